"""Executions on their way through a worker: begun, fenced, finished.

The statements that change a status name the status they expect: compare and set. They are built once, since every
execution passes through them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, exists, false, select, update

from taskyard.domain.executions import Execution, Status
from taskyard.store.database import Tx
from taskyard.store.executions import execution_of, fetch
from taskyard.store.tables import executions, queues, workers

_NAMED = executions.c.id.in_(bindparam("ids", expanding=True))
_READY = (executions.c.status == Status.QUEUED.value, executions.c.held.is_(false()))
_UNDER = (executions.c.worker_id == bindparam("worker"), executions.c.status == Status.RUNNING.value)

_BEGIN = (
    update(executions)
    .where(
        *_READY,
        executions.c.queue.not_in(select(queues.c.name).where(queues.c.paused_at.is_not(None))),
        # Kept alive until the end of the transaction: what a lost worker began, nobody would look after.
        exists(
            select(workers.c.id)
            .where(workers.c.id == bindparam("worker"), workers.c.ended_at.is_(None))
            # The weakest lock that a reaper's conflicts with, so that the renewal of the lease goes on beside it.
            .with_for_update(read=True, key_share=True)
        ),
    )
    .values(status=Status.RUNNING.value, worker_id=bindparam("worker"), started_at=bindparam("now"))
    .returning(executions)
)
_BEGIN_ALONE = _BEGIN.where(_NAMED)
# Locked in the order of ids like everywhere else, or this and a cancellation of many could wait for each other.
_BEGIN_AMONG_OTHERS = _BEGIN.where(
    executions.c.id.in_(select(executions.c.id).where(_NAMED, *_READY).order_by(executions.c.id).with_for_update())
)
_STILL_QUEUED = select(executions.c.id).where(_NAMED, *_READY)
_OVERDUE = (
    select(executions)
    .where(*_READY, executions.c.available_at < bindparam("before"))
    .order_by(executions.c.id)
    .limit(bindparam("most"))
)
_RUNNING_IDS = select(executions.c.id).where(*_UNDER)
_OWN = _RUNNING_IDS.where(_NAMED).with_for_update(read=True)
_FENCE = (
    select(executions.c.id, executions.c.attempt, executions.c.cancel_requested_at, executions.c.reason)
    .where(_NAMED, *_UNDER)
    .order_by(executions.c.id)
    .with_for_update()
)
_ENDING = (
    "status",
    "held",
    "dead",
    "finished_at",
    "duration_ms",
    "reason",
    "error",
    "response_code",
    "exit_code",
    "result",
)
_FINISH = (
    update(executions)
    .where(executions.c.id == bindparam("execution_id"))
    .values({name: bindparam(name) for name in _ENDING})
)


@dataclass(frozen=True, slots=True)
class Held:
    """What may have changed of an execution while its worker ran it."""

    id: UUID
    attempt: int
    cancel_requested_at: datetime | None
    reason: str | None


async def begin(tx: Tx, execution_ids: Sequence[UUID], worker_id: UUID) -> list[Execution]:
    """Make queued executions running under `worker_id`; those held, paused or no longer queued are left out."""
    statement = _BEGIN_ALONE if tx.is_sqlite else _BEGIN_AMONG_OTHERS
    facts = {"ids": list(execution_ids), "worker": worker_id, "now": tx.now}
    return [execution_of(tx, row) for row in (await tx.connection.execute(statement, facts)).mappings()]


async def still_queued(tx: Tx, execution_ids: Sequence[UUID]) -> set[UUID]:
    """Which of the executions wait for the engine."""
    return set((await tx.connection.execute(_STILL_QUEUED, {"ids": list(execution_ids)})).scalars())


async def overdue(tx: Tx, before: datetime, limit: int) -> list[Execution]:
    """Executions that could have begun before `before` and have not."""
    rows = (await tx.connection.execute(_OVERDUE, {"before": before, "most": limit})).mappings()
    return [execution_of(tx, row) for row in rows]


async def running_under(
    tx: Tx, worker_ids: Sequence[UUID], execution_ids: Sequence[UUID] | None = None, *, lock: bool = True
) -> list[Execution]:
    """All (or those named) that runs under any of the workers, for those who take over from them."""
    running = executions.c.status == Status.RUNNING.value
    query = select(executions).where(running, executions.c.worker_id.in_(worker_ids)).order_by(executions.c.id)
    if execution_ids is not None:
        query = query.where(executions.c.id.in_(execution_ids))
    return await fetch(tx, query.with_for_update() if lock else query)


async def ids_running_under(tx: Tx, worker_id: UUID) -> set[UUID]:
    """The ids of all that runs under `worker_id`."""
    return set((await tx.connection.execute(_RUNNING_IDS, {"worker": worker_id})).scalars())


async def own(tx: Tx, worker_id: UUID, execution_ids: Iterable[UUID]) -> set[UUID]:
    """Which of the executions still run under `worker_id`, kept so until the end of the transaction."""
    return set((await tx.connection.execute(_OWN, {"worker": worker_id, "ids": list(execution_ids)})).scalars())


async def lock_running(tx: Tx, worker_id: UUID, execution_ids: Sequence[UUID]) -> list[Held]:
    """Which of the executions still run under `worker_id`, locked: the fence its results have to pass."""
    rows = await tx.connection.execute(_FENCE, {"worker": worker_id, "ids": list(execution_ids)})
    return [Held(*row) for row in rows]


async def finish(tx: Tx, ended: Sequence[Execution]) -> None:
    """Write the endings of executions this transaction has locked."""
    rows = [
        {
            "execution_id": execution.id,
            "status": execution.status.value,
            "held": False,
            "dead": execution.dead,
            "finished_at": execution.finished_at,
            "duration_ms": execution.duration_ms,
            "reason": execution.reason,
            "error": execution.error,
            "response_code": execution.response_code,
            "exit_code": execution.exit_code,
            "result": dict(execution.result),
        }
        for execution in ended
    ]
    if rows:
        await tx.connection.execute(_FINISH, rows)
