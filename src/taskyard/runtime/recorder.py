"""Output on its way from a runner to the store: gathered for at most 50 ms or 16 KB, in the order it came."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from taskyard.domain.executions import Execution
from taskyard.domain.runs import Stream
from taskyard.runtime.gather import Gather
from taskyard.runtime.patience import patiently
from taskyard.services import outputs
from taskyard.services.outputs import Chunk
from taskyard.services.transactions import Database

FLUSH_BYTES = 16 * 1024
FLUSH_SECONDS = 0.05


class Shelf:
    """Where all recorders of a worker store their chunks, several executions' in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gather: Gather[tuple[UUID | None, Sequence[Chunk]], None] = Gather(self._store_all, size=64)

    async def store(self, worker_id: UUID | None, chunks: Sequence[Chunk]) -> None:
        """Store one execution's chunks, if it still runs under `worker_id`; waits out a database that is away."""
        await self._gather((worker_id, chunks))

    async def _store_all(self, batches: Sequence[tuple[UUID | None, Sequence[Chunk]]]) -> Sequence[None]:
        # All alike but for the moment after this process has taken a new name.
        names = {worker_id for worker_id, _ in batches}

        async def attempt() -> None:
            async with self._database.write() as tx:
                for name in names:
                    said = [chunk for worker_id, chunks in batches if worker_id == name for chunk in chunks]
                    await outputs.append(tx, said, under=name)

        await patiently(attempt)
        return [None] * len(batches)


class Recorder:
    """The `Output` of one attempt. `write` waits while a full buffer is being stored: that is the back-pressure."""

    def __init__(self, shelf: Shelf, execution: Execution) -> None:
        self._shelf = shelf
        self._execution_id: UUID = execution.id
        self._tenant_id: UUID = execution.tenant_id
        self._worker_id = execution.worker_id
        self._position = 0
        self._pending: list[tuple[Stream, bytes]] = []
        self._pending_bytes = 0
        self._turn = asyncio.Lock()
        self._timer: asyncio.Task[None] | None = None

    async def write(self, stream: Stream, data: bytes) -> None:
        """Take `data`; stores when 16 KB have come together, else within 50 ms."""
        if not data:
            return
        self._pending.append((stream, data))
        self._pending_bytes += len(data)
        if self._pending_bytes >= FLUSH_BYTES:
            await self._flush()
        elif self._timer is None:
            self._timer = asyncio.create_task(self._flush_soon())

    async def close(self) -> None:
        """Store what is left."""
        if self._timer is not None:
            self._timer.cancel()
        await self._flush()

    async def _flush_soon(self) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        self._timer = None
        await self._flush()

    async def _flush(self) -> None:
        async with self._turn:
            pending, self._pending, self._pending_bytes = self._pending, [], 0
            if pending:
                await self._shelf.store(self._worker_id, self._chunks(pending))

    def _chunks(self, pending: Sequence[tuple[Stream, bytes]]) -> list[Chunk]:
        """Neighbours of one stream joined, each with its place among all output."""
        joined: list[tuple[Stream, list[bytes]]] = []
        for stream, data in pending:
            if joined and joined[-1][0] is stream:
                joined[-1][1].append(data)
            else:
                joined.append((stream, [data]))
        chunks: list[Chunk] = []
        for stream, parts in joined:
            content = b"".join(parts)
            for start in range(0, len(content), FLUSH_BYTES):
                piece = content[start : start + FLUSH_BYTES]
                chunks.append(Chunk(self._execution_id, self._tenant_id, self._position, stream, piece))
                self._position += len(piece)
        return chunks
