"""Output of executions: stored in the order it came, read again from any byte."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from taskyard.domain.actors import Actor
from taskyard.domain.executions import ACTIVE, Status
from taskyard.domain.hints import OutputAppended
from taskyard.services import executions
from taskyard.store import attempts
from taskyard.store import outputs as store
from taskyard.store.database import Tx
from taskyard.store.outputs import Chunk

READ_CHUNKS = 64
"""Chunks (16 KB each at most) that one read may answer, so that a long output is paged, not loaded whole."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Some output from an offset on, and whether the execution is over so that no more will come."""

    chunks: Sequence[Chunk]
    next_offset: int
    ended: bool
    status: Status


@dataclass(frozen=True, slots=True)
class Extent:
    """How many bytes of output are stored; `ended` means that it stays so."""

    size: int
    ended: bool


async def append(tx: Tx, chunks: Sequence[Chunk], *, under: UUID | None = None) -> None:
    """Store what executions have printed. A chunk's place is its offset: said twice, it is stored once.

    `under` is the worker that says so: what it says of executions that are no longer its own is dropped.
    """
    accepted = chunks
    if under is not None:
        own = await attempts.own(tx, under, {chunk.execution_id for chunk in chunks})
        accepted = [chunk for chunk in chunks if chunk.execution_id in own]
    await store.add(tx, accepted)
    for execution_id in {chunk.execution_id for chunk in accepted}:
        tx.hint(OutputAppended(execution_id))


async def read(tx: Tx, actor: Actor, execution_id: UUID, offset: int = 0, limit: int = READ_CHUNKS) -> Reading:
    """Output from byte `offset` on, at most `limit` chunks. Raises `NotFound`."""
    execution = await executions.get(tx, actor, execution_id)
    chunks = await store.read(tx, actor.tenant_id, execution_id, offset, limit)
    reached = chunks[-1].position + len(chunks[-1].content) if chunks else offset
    ended = execution.status not in ACTIVE and len(chunks) < limit
    return Reading(chunks, reached, ended, execution.status)


async def extent(tx: Tx, actor: Actor, execution_id: UUID) -> Extent:
    """How much output there is. Raises `NotFound`."""
    execution = await executions.get(tx, actor, execution_id)
    return Extent(await store.size(tx, actor.tenant_id, execution_id), execution.status not in ACTIVE)


__all__ = ["Chunk", "Extent", "Reading", "append", "extent", "read"]
