"""Events in the house's own API: history, and live with nothing missed."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from uuid import UUID

import httpx2
import pytest

from taskyard.domain.events import Fact
from taskyard.faces.kit import streams
from taskyard.services import events
from tests.faces.conftest import Person, World
from tests.faces.house_work import made_job, over_network, queued, served

pytestmark = pytest.mark.anyio

STREAM = "/api/v1/events/stream"


async def tell(world: World, person: Person, *types: str, job_id: UUID | None = None) -> None:
    async with world.yard.database.write() as tx:
        facts = [Fact(person.actor.tenant_id, each, {"n": n}, job_id=job_id) for n, each in enumerate(types)]
        await events.append(tx, facts)


async def listen(
    http: httpx2.AsyncClient, headers: dict[str, str] | None = None, **params: Any
) -> AsyncGenerator[dict[str, Any]]:
    """The events of the stream; first of all {} once it stands."""
    async with http.stream("GET", STREAM, params=params, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields or "retry" in fields:
                data = json.loads(fields["data"]) if "data" in fields else None
                yield {"id": fields["id"], "event": fields["event"], "data": data} if data else {}
                fields = {}


async def take(stream: AsyncGenerator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(20):
        return [await anext(stream) for _ in range(count)]


async def test_history(each_world: World) -> None:
    person = await each_world.user()
    job = await made_job(person)
    execution = await queued(person, job["id"])
    await tell(each_world, person, "job.updated", "queue.paused")
    page = (await person.http.get("/api/v1/events")).json()
    assert [(each["seq"], each["type"]) for each in page["items"]] == [
        (1, "job.created"),
        (2, "execution.queued"),
        (3, "job.updated"),
        (4, "queue.paused"),
    ]
    assert (page["next_after"], page["head"]) == (4, 4)
    told = page["items"][1]
    assert told.keys() == {"id", "seq", "type", "time", "actor", "job_id", "execution_id", "data"}
    assert (told["job_id"], told["execution_id"], told["actor"]) == (job["id"], execution, person.principal.user.email)
    assert told["data"]["status"] == "queued"


async def test_paging_and_filters(world: World) -> None:
    person = await world.user()
    job = UUID((await made_job(person))["id"])
    await tell(world, person, "job.updated", "queue.paused", "job.deleted", "queue.resumed", job_id=job)
    await tell(world, person, "job.updated", "queue.cleared")

    async def found(**params: Any) -> tuple[list[int], int, int]:
        page = (await person.http.get("/api/v1/events", params=params)).json()
        return [each["seq"] for each in page["items"]], page["next_after"], page["head"]

    assert await found(limit=3) == ([1, 2, 3], 3, 7)
    assert await found(limit=3, after=3) == ([4, 5, 6], 6, 7)
    assert await found(limit=3, after=6) == ([7], 7, 7)
    assert await found(after=7) == ([], 7, 7)
    # A cursor from another life leads back to where history really is.
    assert await found(after=1000) == ([], 7, 7)
    assert await found(type=["job.*", "queue.paused"], limit=2) == ([1, 2], 2, 7)
    assert await found(type=["job.*", "queue.paused"], after=4) == ([6], 7, 7)
    assert await found(type="*", after=6) == ([7], 7, 7)
    assert await found(job_id=str(job), type="job.*") == ([1, 2, 4], 7, 7)
    for bad in ({"type": "no.such"}, {"type": "a\0"}, {"after": -1}, {"after": 2**63}, {"limit": 501}, {"job_id": "5"}):
        assert (await person.http.get("/api/v1/events", params=bad)).status_code == 422, bad
    issues = (await person.http.get("/api/v1/events", params={"type": ["job.*", "no.such"]})).json()["detail"]
    assert [issue["loc"] for issue in issues] == [["query", "type", 1]]


async def test_live_and_resumed_without_gaps_or_doubles(each_world: World) -> None:
    person, stranger = await each_world.user(), await each_world.user()
    await tell(each_world, person, "job.created")
    async with served(each_world) as url, over_network(person, url) as http:
        async with aclosing(listen(http)) as stream:
            assert await take(stream, 1) == [{}]
            await tell(each_world, stranger, "job.deleted")
            await tell(each_world, person, "job.updated", "job.deleted")
            told = await take(stream, 2)
        assert [(each["id"], each["event"], each["data"]["seq"]) for each in told] == [
            ("2", "job.updated", 2),
            ("3", "job.deleted", 3),
        ]
        await tell(each_world, person, "queue.paused", "queue.resumed")
        async with aclosing(listen(http, {"Last-Event-ID": told[0]["id"]}, after=0)) as stream:
            resumed = (await take(stream, 4))[1:]
            assert [each["id"] for each in resumed] == ["3", "4", "5"]
            await tell(each_world, person, "job.created")
            assert [each["id"] for each in await take(stream, 1)] == ["6"]
        async with aclosing(listen(http, {"Last-Event-ID": ""}, after=4, type=["job.*"])) as stream:
            assert [each["id"] for each in (await take(stream, 2))[1:]] == ["6"]
        history = (await http.get("/api/v1/events", params={"after": 5})).json()["items"]
        assert history[0]["data"] == {"n": 0}


async def test_a_stream_ends_with_the_right_to_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RECHECK_SECONDS", 0.0)
    person = await world.user()
    async with (
        served(world) as url,
        over_network(person, url) as http,
        aclosing(listen(http)) as stream,
    ):
        await take(stream, 1)
        await tell(world, person, "job.updated")
        assert [each["event"] for each in await take(stream, 1)] == ["job.updated"]
        await world.yard.identity.sign_out(person.token)
        await tell(world, person, "job.deleted")
        async with asyncio.timeout(20):
            assert [each async for each in stream] == []


async def test_a_stream_that_cannot_be(world: World) -> None:
    person = await world.user()
    for params, headers, place in (
        ({"after": "x"}, {}, ["query", "after"]),
        ({"type": "no.such"}, {}, ["query", "type", 0]),
        ({}, {"Last-Event-ID": "x"}, ["header", "last-event-id"]),
        ({}, {"Last-Event-ID": "-1"}, ["header", "last-event-id"]),
    ):
        answer = await person.http.get(STREAM, params=params, headers=headers)
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, place)
    assert (await world.client().get(STREAM)).status_code == 401
