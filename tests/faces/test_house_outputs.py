"""The output of executions: live, from any byte, the same after a reload."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.adapters.bus.local import LocalBus
from taskyard.domain.outputs import Place, leftovers, pieces
from taskyard.domain.runs import Stream
from taskyard.faces.assistant.house.messages import data_of, ident_of, read_place
from taskyard.faces.kit import streams
from taskyard.services import outputs
from taskyard.services.outputs import Chunk
from tests.faces.conftest import World
from tests.faces.house_work import Printer, finish, over_network, queued, running, served

pytestmark = pytest.mark.anyio

NOWHERE = UUID(int=0)


def path_of(execution_id: object) -> str:
    return f"/api/v1/executions/{execution_id}/output"


def exact(data: dict[str, Any]) -> bytes:
    return base64.b64decode(data["base64"]) if "base64" in data else data["content"].encode()


async def until(true: Callable[[], bool]) -> None:
    """For what nobody is told of: passes the turn to others until it is so."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def read_up_to(stream: AsyncIterator[bytes], content: bytes) -> None:
    """The next bytes of the stream are `content`, and they come without waiting for more."""
    got = b""
    async with asyncio.timeout(20):
        while len(got) < len(content):
            got += await anext(stream)
    assert got == content


def sse(text: str) -> list[dict[str, Any]]:
    """The messages of an event stream; comments left out."""
    found: list[dict[str, Any]] = []
    for frame in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if line and not line.startswith(":"))
        if "data" in fields:
            found.append({"id": fields["id"], "event": fields.get("event"), "data": json.loads(fields["data"])})
    return found


async def test_stored_output_from_any_byte(each_world: World) -> None:
    person = await each_world.user()
    execution = await running(each_world, person)
    printer = Printer(each_world, execution)
    await printer.out(b"one\n", "zw\u00f6lf\n".encode())
    await printer.err(b"oh\xff\n")
    await printer.out(b"three")
    whole = b"one\n" + "zw\u00f6lf\n".encode() + b"oh\xff\n" + b"three"
    for offset in (0, 1, 4, 7, len(whole) - 1, len(whole), len(whole) + 5):
        answer = await person.http.get(path_of(execution.id), params={"offset": offset})
        assert answer.content == whole[offset:]
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-next-offset"] == str(max(offset, len(whole)))
        assert answer.headers["x-output-complete"] == "false"
    for stream, content in (("stdout", "one\nzw\u00f6lf\nthree".encode()), ("stderr", b"oh\xff\n")):
        assert (await person.http.get(path_of(execution.id), params={"stream": stream})).content == content
    await finish(each_world, execution)
    done = await person.http.get(path_of(execution.id))
    assert (done.content, done.headers["x-output-complete"]) == (whole, "true")


async def test_long_output_is_read_page_by_page(world: World) -> None:
    person = await world.user()
    execution = await running(world, person)
    lines = [f"line {number}\n".encode() for number in range(outputs.READ_CHUNKS * 2)]
    await Printer(world, execution).out(*lines)
    whole = b"".join(lines)
    assert (await person.http.get(path_of(execution.id))).content == whole
    told = sse((await person.http.get(path_of(execution.id), params={"format": "events"})).text)
    assert b"".join(exact(each["data"]) for each in told[:-1]) == whole
    assert (told[-1]["event"], told[-1]["data"]) == (
        "end",
        {"status": "running", "complete": False, "next_offset": len(whole)},
    )


async def test_no_output_and_no_execution(world: World) -> None:
    person = await world.user()
    ident = await queued(person)
    answer = await person.http.get(path_of(ident))
    assert (answer.status_code, answer.content, answer.headers["x-next-offset"]) == (200, b"", "0")
    unknown = "00000000-0000-7000-8000-000000000000"
    for params in ({}, {"follow": True}, {"format": "events"}):
        missing = await person.http.get(path_of(unknown), params=params)
        assert (missing.status_code, missing.json()["error_code"]) == (404, "EXECUTION_NOT_FOUND")
    for bad in ({"offset": -1}, {"offset": 2**63}, {"stream": "both"}, {"format": "xml"}, {"follow": "perhaps"}):
        assert (await person.http.get(path_of(ident), params=bad)).status_code == 422, bad


async def test_following_live_then_the_same_after_a_reload(each_world: World) -> None:
    person = await each_world.user()
    execution = await running(each_world, person)
    printer = Printer(each_world, execution)
    await printer.out(b"before \xe2\x82")
    async with served(each_world) as url, over_network(person, url) as http:
        async with http.stream("GET", path_of(execution.id), params={"follow": True}) as answer:
            stream = answer.aiter_raw()
            await read_up_to(stream, b"before \xe2\x82")
            await printer.out(b"\xac live")
            await read_up_to(stream, b"\xac live")
            # A second reader joins in the middle of a chunk and of a character.
            async with http.stream("GET", path_of(execution.id), params={"follow": True, "offset": 8}) as late:
                joined = late.aiter_raw()
                await read_up_to(joined, b"\x82\xac live")
                await printer.err(b" loud")
                await read_up_to(joined, b" loud")
                await read_up_to(stream, b" loud")
                await finish(each_world, execution)
                assert [chunk async for chunk in joined] == []
            assert [chunk async for chunk in stream] == []
        whole = "before \u20ac live loud".encode()
        for params in ({"follow": True}, {}):
            assert (await http.get(path_of(execution.id), params=params)).content == whole
            rest = await http.get(path_of(execution.id), params=params | {"offset": 9})
            assert rest.content == whole[9:]


async def test_following_what_still_waits_and_ends_without_a_word(world: World) -> None:
    person = await world.user()
    ident = await queued(person)
    async with (
        served(world) as url,
        over_network(person, url) as http,
        http.stream("GET", path_of(ident), params={"follow": True}) as answer,
    ):
        assert answer.status_code == 200
        await person.http.post(f"/api/v1/executions/{ident}/cancel")
        assert [chunk async for chunk in answer.aiter_raw()] == []


@pytest.mark.parametrize("form", ["text", "events"])
async def test_following_ends_with_the_right_to_it(world: World, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(streams, "RECHECK_SECONDS", 0.0)
    person = await world.user()
    execution = await running(world, person)
    printer = Printer(world, execution)
    async with (
        served(world) as url,
        over_network(person, url) as http,
        http.stream("GET", path_of(execution.id), params={"follow": True, "format": form}) as answer,
    ):
        stream, got = answer.aiter_raw(), b""
        await printer.out(b"mine")
        async with asyncio.timeout(20):
            while b"mine" not in got:
                got += await anext(stream)
            await world.yard.identity.sign_out(person.token)
            await printer.out(b"hidden")
            assert b"hidden" not in b"".join([chunk async for chunk in stream])


async def test_a_lost_hint_is_made_up_for(world: World) -> None:
    person = await world.user()
    execution = await running(world, person)
    async with (
        served(world) as url,
        over_network(person, url) as http,
        http.stream("GET", path_of(execution.id), params={"follow": True}) as answer,
    ):
        async with world.yard.database.write() as tx:
            await outputs.append(tx, [Chunk(execution.id, execution.tenant_id, 0, Stream.STDOUT, b"nobody was told")])
            tx.hints.clear()
        await read_up_to(answer.aiter_raw(), b"nobody was told")


@pytest.mark.parametrize("form", ["text", "events"])
async def test_who_leaves_leaves_nothing_behind(world: World, form: str) -> None:
    person = await world.user()
    execution = await running(world, person)
    bus = world.yard.bus
    assert isinstance(bus, LocalBus)
    before = len(bus._mailboxes)
    async with served(world) as url:
        tasks = len(asyncio.all_tasks())
        async with (
            over_network(person, url) as http,
            http.stream("GET", path_of(execution.id), params={"follow": True, "format": form}),
        ):
            await until(lambda: len(bus._mailboxes) == before + 1)
        await until(lambda: len(bus._mailboxes) == before)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
    # The database is in good health.
    assert (await person.http.get(path_of(execution.id))).status_code == 200


async def test_messages_resume_without_gaps_or_doubles(each_world: World) -> None:
    person = await each_world.user()
    execution = await running(each_world, person)
    printer = Printer(each_world, execution)
    await printer.out(b"a\xe2", b"\x82")
    await printer.err(b"between\n")
    await printer.out(b"\xac\nz")
    async with served(each_world) as url, over_network(person, url) as http:
        told = await _follow(http, execution.id, {}, 3)
        assert [(each["data"]["stream"], each["data"]["content"], each["data"]["offset"]) for each in told] == [
            ("stdout", "a", 0),
            ("stderr", "between\n", 3),
            ("stdout", "\u20ac\nz", 1),
        ]
        assert {each["data"]["encoding"] for each in told} == {"utf-8"}
        await printer.out(b"\xff!")
        for place, each in enumerate(told):
            resumed = await _follow(http, execution.id, {"Last-Event-ID": each["id"]}, 3 - place)
            assert [again["data"] for again in resumed[:-1]] == [later["data"] for later in told[place + 1 :]]
            assert resumed[-1]["data"] == {
                "stream": "stdout",
                "offset": 14,
                "content": "\ufffd!",
                "encoding": "utf-8-replaced",
                "base64": base64.b64encode(b"\xff!").decode(),
            }
        await finish(each_world, execution)
        rest = sse(
            (await http.get(path_of(execution.id), params={"format": "events", "follow": True, "offset": 15})).text
        )
        assert [(each["event"], each["data"]) for each in rest][1:] == [
            ("end", {"status": "success", "complete": True, "next_offset": 16})
        ]
        only = sse((await http.get(path_of(execution.id), params={"format": "events", "stream": "stderr"})).text)
        assert [each["data"].get("content") for each in only] == ["between\n", None]


async def _follow(http: httpx2.AsyncClient, ident: object, headers: dict[str, str], count: int) -> list[dict[str, Any]]:
    """The next `count` messages, then the reader leaves."""
    text = ""
    params = {"format": "events", "follow": True}
    async with asyncio.timeout(20), http.stream("GET", path_of(ident), params=params, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for part in answer.aiter_text():
            text += part
            if text.endswith("\n\n") and len(sse(text)) >= count:
                break
    return sse(text)


@pytest.mark.parametrize("ident", ["x", "-1", "5;stdout@4", "5;stdin@4=e2", "5;stdout@4=e28", "9" * 19, "5" * 200])
async def test_an_id_that_is_none(world: World, ident: str) -> None:
    assert read_place(ident) is None
    if ident == "x":
        person = await world.user()
        execution_id = await queued(person)
        headers = {"Last-Event-ID": ident}
        answer = await person.http.get(path_of(execution_id), params={"format": "events"}, headers=headers)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["header", "last-event-id"]


PRINTED = st.lists(
    st.tuples(
        st.sampled_from(Stream), st.binary(min_size=1, max_size=4) | st.text(min_size=1, max_size=3).map(str.encode)
    ),
    max_size=12,
)


def chunks_of(printed: list[tuple[Stream, bytes]]) -> list[Chunk]:
    position = 0
    made: list[Chunk] = []
    for stream, content in printed:
        made.append(Chunk(NOWHERE, NOWHERE, position, stream, content))
        position += len(content)
    return made


def from_offset(chunks: list[Chunk], offset: int) -> list[Chunk]:
    """As the store answers from `offset` on."""
    cut = [
        replace(
            chunk,
            position=max(chunk.position, offset),
            content=chunk.content[max(0, offset - chunk.position) :],
        )
        for chunk in chunks
    ]
    return [chunk for chunk in cut if chunk.content]


def told_of(place: Place, chunks: list[Chunk]) -> list[dict[str, Any]]:
    made, after = pieces(place, chunks)
    return [data_of(piece) for piece in [*made, *leftovers(after)]]


@given(PRINTED)
def test_every_byte_is_told_once_from_any_message_on(printed: list[tuple[Stream, bytes]]) -> None:
    chunks = chunks_of(printed)
    whole = told_of(Place(), chunks)
    for stream in Stream:
        expected = b"".join(content for each, content in printed if each is stream)
        assert b"".join(exact(data) for data in whole if data["stream"] == stream.value) == expected
    made, _ = pieces(Place(), chunks)
    for number, message in enumerate(made, start=1):
        place = read_place(ident_of(message.after))
        assert place is not None
        assert place == message.after
        assert told_of(place, from_offset(chunks, place.offset)) == whole[number:]
