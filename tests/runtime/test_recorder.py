"""Output on its way to the store: same bytes, in order, without gaps, in small pieces, as fast as it is stored."""

import asyncio
from itertools import pairwise
from random import Random
from uuid import UUID

import pytest

from taskyard.domain.errors import Unavailable
from taskyard.domain.runs import Stream
from taskyard.runtime.recorder import FLUSH_BYTES, Recorder, Shelf
from taskyard.services import outputs
from taskyard.services.outputs import Chunk
from tests.processes import eventually
from tests.runtime.fixtures import ON_SQLITE
from tests.runtime.yards import Yard

pytestmark = pytest.mark.anyio


@pytest.fixture
async def recorder(yard: Yard) -> Recorder:
    ident = await yard.enter(await yard.job("a"))
    return Recorder(Shelf(yard.database), await yard.get(ident))


async def stored(yard: Yard, recorder: Recorder) -> list[Chunk]:
    ident: UUID = recorder._execution_id
    found: list[Chunk] = []
    offset = 0
    while True:
        async with yard.database.read() as tx:
            reading = await outputs.read(tx, yard.actor, ident, offset)
        found += reading.chunks
        if reading.next_offset == offset:
            return found
        offset = reading.next_offset


async def test_the_same_bytes_come_back_in_order_and_without_gaps(yard: Yard, recorder: Recorder) -> None:
    random = Random(7)
    written: list[tuple[Stream, bytes]] = []
    for _ in range(200):
        stream = random.choice(list(Stream))
        data = random.randbytes(random.choice([0, 1, 10, 1000, FLUSH_BYTES - 1, FLUSH_BYTES, 40_000]))
        written.append((stream, data))
        await recorder.write(stream, data)
    await recorder.close()
    chunks = await stored(yard, recorder)
    assert b"".join(chunk.content for chunk in chunks) == b"".join(data for _, data in written)
    for stream in Stream:
        mine = b"".join(chunk.content for chunk in chunks if chunk.stream is stream)
        assert mine == b"".join(data for of, data in written if of is stream)
    assert chunks[0].position == 0
    assert all(after.position == before.position + len(before.content) for before, after in pairwise(chunks))
    assert max(len(chunk.content) for chunk in chunks) <= FLUSH_BYTES


async def test_a_little_output_is_stored_without_waiting_for_more(yard: Yard, recorder: Recorder) -> None:
    await recorder.write(Stream.STDOUT, b"hello ")
    await recorder.write(Stream.STDOUT, b"world")

    async def there() -> bool:
        return [chunk.content for chunk in await stored(yard, recorder)] == [b"hello world"]

    await eventually(there)
    await recorder.write(Stream.STDERR, b"!")
    await recorder.close()
    assert [chunk.content for chunk in await stored(yard, recorder)] == [b"hello world", b"!"]


@ON_SQLITE
async def test_writing_waits_while_a_full_buffer_is_being_stored(yard: Yard, recorder: Recorder) -> None:
    async with yard.database.write():
        writing = asyncio.create_task(recorder.write(Stream.STDOUT, b"x" * FLUSH_BYTES))
        await asyncio.wait({writing}, timeout=0.1)
        assert not writing.done()
    await asyncio.wait_for(writing, 10)
    assert len(b"".join(chunk.content for chunk in await stored(yard, recorder))) == FLUSH_BYTES


@ON_SQLITE
async def test_output_waits_for_a_database_that_is_away(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    ident = await yard.enter(await yard.job("a"))
    database = yard.database
    away = True

    class Flaky:
        """The database with a broken line to it."""

        def write(self) -> object:
            if away:
                raise Unavailable("away")
            return database.write()

    recorder = Recorder(Shelf(Flaky()), await yard.get(ident))  # pyright: ignore[reportArgumentType]
    await recorder.write(Stream.STDOUT, b"kept")
    closing = asyncio.create_task(recorder.close())
    await asyncio.wait({closing}, timeout=0.2)
    assert not closing.done()
    away = False
    await asyncio.wait_for(closing, 10)
    assert [chunk.content for chunk in await stored(yard, recorder)] == [b"kept"]
