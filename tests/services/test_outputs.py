"""Output: the same bytes from any offset."""

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskyard.domain.errors import NotFound
from taskyard.domain.ids import new_id
from taskyard.domain.runs import Stream
from taskyard.services import outputs
from taskyard.services.outputs import Chunk
from tests.services.world import Yard

pytestmark = pytest.mark.anyio

PARTS = st.lists(st.tuples(st.sampled_from(Stream), st.binary(min_size=1, max_size=4)), max_size=5)


async def store(yard: Yard, parts: list[tuple[Stream, bytes]]) -> UUID:
    """The execution that has printed the parts, and still runs."""
    queued = await yard.run_now(await yard.http_job())
    position = 0
    chunks: list[Chunk] = []
    for stream, content in parts:
        chunks.append(Chunk(queued.id, queued.tenant_id, position, stream, content))
        position += len(content)
    async with yard.database.write() as tx:
        await outputs.append(tx, chunks)
    return queued.id


async def read_on(yard: Yard, execution_id: UUID, offset: int, limit: int) -> bytes:
    """All output from `offset` on, in several reads."""
    found = b""
    async with yard.database.read() as tx:
        while (reading := await outputs.read(tx, yard.alice, execution_id, offset, limit)).chunks:
            assert len(reading.chunks) <= limit
            assert reading.chunks[0].position == offset
            found += b"".join(chunk.content for chunk in reading.chunks)
            assert reading.next_offset == offset + sum(len(chunk.content) for chunk in reading.chunks)
            offset = reading.next_offset
    assert reading.next_offset == offset
    return found


@given(parts=PARTS, limit=st.integers(1, 3))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_reading_from_any_offset_gives_the_slice_of_the_whole(
    yard: Yard, parts: list[tuple[Stream, bytes]], limit: int
) -> None:
    ident = await store(yard, parts)
    whole = b"".join(content for _, content in parts)
    for offset in range(len(whole) + 2):
        assert await read_on(yard, ident, offset, limit) == whole[offset:]
    async with yard.database.read() as tx:
        assert await outputs.extent(tx, yard.alice, ident) == outputs.Extent(len(whole), ended=False)


async def test_streams_keep_their_order_and_names(yard: Yard) -> None:
    parts = [(Stream.STDOUT, b"a"), (Stream.STDERR, b"\xff\x00"), (Stream.STDOUT, b"c")]
    ident = await store(yard, parts)
    async with yard.database.read() as tx:
        reading = await outputs.read(tx, yard.alice, ident)
    assert [(chunk.stream, chunk.content) for chunk in reading.chunks] == parts
    assert not reading.ended


async def test_output_ends_with_its_execution_and_not_before_all_is_read(yard: Yard) -> None:
    ident = await store(yard, [(Stream.STDOUT, b"ab"), (Stream.STDOUT, b"cd"), (Stream.STDOUT, b"ef")])
    await yard.end(ident)
    async with yard.database.read() as tx:
        for offset, limit, ended in ((0, 2, False), (4, 2, True), (1, 3, False), (6, 1, True), (0, 4, True)):
            assert (await outputs.read(tx, yard.alice, ident, offset, limit)).ended is ended
        assert await outputs.extent(tx, yard.alice, ident) == outputs.Extent(6, ended=True)


async def test_without_output_there_is_nothing_to_read(yard: Yard) -> None:
    ident = await store(yard, [])
    async with yard.database.read() as tx:
        reading = await outputs.read(tx, yard.alice, ident, 5)
        assert (list(reading.chunks), reading.next_offset) == ([], 5)


async def test_a_place_once_written_stays_as_it_is(yard: Yard) -> None:
    ident = await store(yard, [(Stream.STDOUT, b"ab")])
    again = Chunk(ident, yard.alice.tenant_id, 0, Stream.STDOUT, b"xy")
    more = Chunk(ident, yard.alice.tenant_id, 2, Stream.STDOUT, b"cd")
    async with yard.database.write() as tx:
        await outputs.append(tx, [again, more])
    assert await read_on(yard, ident, 0, 9) == b"abcd"


async def test_nobody_else_reads_it(yard: Yard) -> None:
    ident = await store(yard, [(Stream.STDOUT, b"secret")])
    async with yard.database.read() as tx:
        asked: list[Coroutine[Any, Any, object]] = [
            outputs.read(tx, yard.bob, ident),
            outputs.extent(tx, yard.bob, ident),
            outputs.read(tx, yard.alice, new_id()),
        ]
        for each in asked:
            with pytest.raises(NotFound):
                await each


async def test_a_reader_beside_a_writer_sees_the_same_bytes(yard: Yard) -> None:
    ident = await store(yard, [])
    parts = [bytes([number]) * (number + 1) for number in range(20)]

    async def write() -> None:
        position = 0
        for part in parts:
            async with yard.database.write() as tx:
                await outputs.append(tx, [Chunk(ident, yard.alice.tenant_id, position, Stream.STDOUT, part)])
            position += len(part)
        await yard.end(ident)

    async def read() -> bytes:
        found = b""
        while True:
            async with yard.database.read() as tx:
                reading = await outputs.read(tx, yard.alice, ident, len(found), 3)
            found += b"".join(chunk.content for chunk in reading.chunks)
            if reading.ended:
                return found

    found, _ = await asyncio.gather(read(), write())
    assert found == b"".join(parts)
