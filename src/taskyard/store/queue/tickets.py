"""Tickets: executions entering, moving in, and leaving the engine, always inside the caller's own transaction."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries
from sqlalchemy import bindparam, insert, text

from taskyard.domain import entrypoints
from taskyard.domain.hints import WorkQueued
from taskyard.domain.jobs import Kind
from taskyard.domain.queues import Queue, Ticket, engine_priority, payload_of
from taskyard.store.columns import to_micros
from taskyard.store.database import Tx
from taskyard.store.queue.tables import engine_queue

_NOW = timedelta(0)

_ENQUEUE_ON_SQLITE = insert(engine_queue)

_WITHDRAW = text("DELETE FROM pgqueuer WHERE status = 'queued' AND dedupe_key IN :keys").bindparams(
    bindparam("keys", expanding=True)
)
# A claimed row moves too: should it be put back, it belongs in its new queue.
_MOVE = text(
    """
    UPDATE pgqueuer SET priority = :priority, entrypoint = CASE
        WHEN entrypoint IN :of_commands THEN CAST(:for_commands AS text) ELSE CAST(:for_calls AS text)
    END
    WHERE dedupe_key IN :keys
    """
).bindparams(bindparam("keys", expanding=True), bindparam("of_commands", expanding=True))
_KNOWN = text("SELECT dedupe_key FROM pgqueuer WHERE dedupe_key IN :keys").bindparams(bindparam("keys", expanding=True))


async def enqueue(tx: Tx, tickets: Sequence[Ticket]) -> None:
    """Hand `tickets` to the engine; rolled back with the transaction, they never run."""
    if not tickets:
        return
    if tx.is_sqlite:
        await tx.connection.execute(_ENQUEUE_ON_SQLITE, [_sqlite_row(tx, ticket) for ticket in tickets])
    else:
        await (await _engine_queries(tx)).enqueue(
            [entrypoints.entrypoint(ticket.queue, ticket.kind) for ticket in tickets],
            [payload_of(ticket) for ticket in tickets],
            [engine_priority(ticket.queue, ticket.priority) for ticket in tickets],
            [max(ticket.available_at - tx.now, _NOW) for ticket in tickets],
            [str(ticket.execution_id) for ticket in tickets],
        )
    tx.hint(WorkQueued())


async def withdraw(tx: Tx, execution_ids: Iterable[UUID]) -> None:
    """Take executions that have not been picked out of the engine."""
    keys = [str(ident) for ident in execution_ids]
    if keys:
        await tx.connection.execute(_WITHDRAW, {"keys": keys})


async def move(tx: Tx, execution_ids: Iterable[UUID], queue: Queue, priority: int) -> None:
    """Put executions that have not begun into `queue` with `priority`."""
    keys = [str(ident) for ident in execution_ids]
    if keys:
        facts = {
            "keys": keys,
            "priority": engine_priority(queue, priority),
            "of_commands": [name for name in entrypoints.EVERY if entrypoints.of_commands(name)],
            "for_commands": entrypoints.entrypoint(queue, Kind.COMMAND.value),
            "for_calls": entrypoints.entrypoint(queue, Kind.HTTP.value),
        }
        await tx.connection.execute(_MOVE, facts)
        tx.hint(WorkQueued())


async def _engine_queries(tx: Tx) -> Queries:
    raw = await tx.connection.get_raw_connection()
    return Queries(AsyncpgDriver(raw.driver_connection))  # pyright: ignore[reportArgumentType]


def _sqlite_row(tx: Tx, ticket: Ticket) -> dict[str, Any]:
    now = to_micros(tx.now)
    return {
        "priority": engine_priority(ticket.queue, ticket.priority),
        "queue_manager_id": None,
        "created": now,
        "updated": now,
        "heartbeat": now,
        "execute_after": to_micros(ticket.available_at),
        "status": "queued",
        "entrypoint": entrypoints.entrypoint(ticket.queue, ticket.kind),
        "dedupe_key": str(ticket.execution_id),
        "attempts": 0,
        "payload": payload_of(ticket),
    }


async def reissue(tx: Tx, tickets: Sequence[Ticket]) -> int:
    """Enqueue those of `tickets` that the engine does not know; how many it was. A safety net, normally empty."""
    keys = [str(ticket.execution_id) for ticket in tickets]
    if not keys:
        return 0
    known = set((await tx.connection.execute(_KNOWN, {"keys": keys})).scalars())
    missing = [ticket for ticket in tickets if str(ticket.execution_id) not in known]
    await enqueue(tx, missing)
    return len(missing)
