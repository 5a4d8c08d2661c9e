"""Executions at rest. The statements that change a status name the status they expect: compare and set."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    RowMapping,
    Select,
    and_,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from taskyard.domain.executions import Execution, Status, Trigger
from taskyard.domain.jobs import Kind
from taskyard.domain.queues import Queue
from taskyard.store.columns import Moment
from taskyard.store.database import Tx
from taskyard.store.tables import executions

_ACTIVE = executions.c.status.in_((Status.QUEUED.value, Status.RUNNING.value))
_NO_SPEC = "{}"
# What a run brought may be megabytes, so that a list of runs with it would fill the memory.
_WITHOUT_RESULT = [column for column in executions.c if column is not executions.c.result]


def _row(tx: Tx, execution: Execution) -> dict[str, Any]:
    return {
        "id": execution.id,
        "tenant_id": execution.tenant_id,
        "run_id": execution.run_id,
        "job_id": execution.job_id,
        "subscription_id": execution.subscription_id,
        "kind": execution.kind.value,
        "trigger": execution.trigger.value,
        "queue": execution.queue.value,
        "priority": execution.priority,
        "attempt": execution.attempt,
        "status": execution.status.value,
        "held": execution.held,
        "dead": execution.dead,
        "due_at": execution.due_at,
        "created_at": execution.created_at,
        "available_at": execution.available_at,
        "finished_at": execution.finished_at,
        "reason": execution.reason,
        "result": dict(execution.result),
        "spec": tx.vault.seal(dict(execution.spec)) if execution.spec else _NO_SPEC,
        "replay_of": execution.replay_of,
        "requested_by": execution.requested_by,
    }


def execution_of(tx: Tx, row: RowMapping) -> Execution:
    """The execution in a row of its table."""
    facts = dict(row)
    facts["kind"] = Kind(row["kind"])
    facts["trigger"] = Trigger(row["trigger"])
    facts["queue"] = Queue(row["queue"])
    facts["status"] = Status(row["status"])
    facts["spec"] = {} if row["spec"] == _NO_SPEC else tx.vault.open(row["spec"])
    return Execution(**facts)


_ADD = insert(executions)


async def add(tx: Tx, added: Sequence[Execution]) -> None:
    """Store new executions."""
    if added:
        await tx.connection.execute(_ADD, [_row(tx, execution) for execution in added])


async def get(tx: Tx, tenant_id: UUID, execution_id: UUID, *, lock: bool = False) -> Execution | None:
    """The tenant's execution, locked until the end of the transaction when asked."""
    query = select(executions).where(executions.c.tenant_id == tenant_id, executions.c.id == execution_id)
    return next(iter(await fetch(tx, query.with_for_update() if lock else query)), None)


async def lock_active(tx: Tx, execution_ids: Sequence[UUID]) -> None:
    """Keep whichever of the executions are not over as they are, until the end of the transaction.

    For those who then change them in another order than that of their ids.
    """
    if execution_ids:
        named = select(executions.c.id).where(_ACTIVE, executions.c.id.in_(execution_ids))
        await tx.connection.execute(named.order_by(executions.c.id).with_for_update())


async def active_of_jobs(tx: Tx, job_ids: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """The ids of each job's executions that are not over, oldest first."""
    query = select(executions.c.job_id, executions.c.id).where(_ACTIVE, executions.c.job_id.in_(list(job_ids)))
    found: dict[UUID, list[UUID]] = {}
    for job_id, execution_id in await tx.connection.execute(query.order_by(executions.c.id)):
        found.setdefault(job_id, []).append(execution_id)
    return found


async def last_due_at(tx: Tx, job_id: UUID) -> datetime | None:
    """The latest due time of the job that has a row."""
    query = select(func.max(executions.c.due_at)).where(executions.c.job_id == job_id)
    return (await tx.connection.execute(query)).scalar()


async def to_release(tx: Tx, job_ids: Iterable[UUID]) -> list[Execution]:
    """Of each job of which nothing but held executions is left, the oldest held one. The jobs must be locked."""
    wanted = list(set(job_ids))
    if not wanted:
        return []
    query = select(executions).where(_ACTIVE, executions.c.job_id.in_(wanted)).order_by(executions.c.id)
    oldest: dict[UUID | None, Execution] = {}
    busy: set[UUID | None] = set()
    for execution in await fetch(tx, query):
        if execution.held:
            oldest.setdefault(execution.job_id, execution)
        else:
            busy.add(execution.job_id)
    return [execution for job_id, execution in oldest.items() if job_id not in busy]


async def release(tx: Tx, execution_ids: Sequence[UUID]) -> None:
    """Held no longer."""
    if execution_ids:
        await tx.connection.execute(
            update(executions).where(executions.c.id.in_(execution_ids)).values(held=False, available_at=tx.now)
        )


async def request_cancel(tx: Tx, tenant_id: UUID, execution_ids: Sequence[UUID], reason: str | None) -> None:
    """Ask the workers of running executions to stop them."""
    await tx.connection.execute(
        update(executions)
        .where(
            executions.c.tenant_id == tenant_id,
            executions.c.id.in_(execution_ids),
            executions.c.status == Status.RUNNING.value,
        )
        .values(
            cancel_requested_at=func.coalesce(executions.c.cancel_requested_at, literal(tx.now, Moment)), reason=reason
        )
    )


async def cancel_requests(tx: Tx, worker_id: UUID) -> list[UUID]:
    """Which of the worker's running executions somebody wants stopped."""
    query = select(executions.c.id).where(
        executions.c.worker_id == worker_id,
        executions.c.status == Status.RUNNING.value,
        executions.c.cancel_requested_at.is_not(None),
    )
    return list((await tx.connection.execute(query)).scalars())


async def set_priority(tx: Tx, execution_ids: Sequence[UUID], queue: Queue, priority: int) -> None:
    """Move queued executions to another queue or priority."""
    await tx.connection.execute(
        update(executions)
        .where(executions.c.id.in_(execution_ids), executions.c.status == Status.QUEUED.value)
        .values(queue=queue.value, priority=priority)
    )


async def page(
    tx: Tx,
    tenant_id: UUID,
    *,
    job_id: UUID | None = None,
    run_id: UUID | None = None,
    subscription_id: UUID | None = None,
    status: Status | None = None,
    dead: bool | None = None,
    kind: Kind | None = None,
    skip: int = 0,
    limit: int = 100,
) -> tuple[list[Execution], int]:
    """The tenant's executions without their results, newest first, and how many there are in all.

    Deliveries only when asked for.
    """
    chosen = [executions.c.tenant_id == tenant_id]
    for column, value in ((executions.c.job_id, job_id), (executions.c.run_id, run_id), (executions.c.dead, dead)):
        if value is not None:
            chosen.append(column == value)
    if subscription_id is not None:
        chosen.append(executions.c.subscription_id == subscription_id)
    elif kind is None and run_id is None:
        chosen.append(executions.c.kind != Kind.DELIVERY.value)
    if kind is not None:
        chosen.append(executions.c.kind == kind.value)
    if status is not None:
        chosen.append(executions.c.status == status.value)
    total = (await tx.connection.execute(select(func.count()).select_from(executions).where(*chosen))).scalar_one()
    query = select(*_WITHOUT_RESULT).where(and_(*chosen)).order_by(executions.c.id.desc())
    return await fetch(tx, query.offset(skip).limit(limit)), total


async def bury(tx: Tx, execution_ids: Sequence[UUID]) -> set[UUID]:
    """Take replayed or dismissed executions off the list of dead letters; which of them were still on it."""
    dead = select(executions.c.id).where(executions.c.id.in_(execution_ids), executions.c.dead)
    in_order = dead.order_by(executions.c.id).with_for_update()
    listed = update(executions).where(executions.c.id.in_(in_order), executions.c.dead)
    return set((await tx.connection.execute(listed.values(dead=False).returning(executions.c.id))).scalars())


async def waiting(
    tx: Tx, tenant_id: UUID, *, queue: Queue | None = None, ids: Sequence[UUID] | None = None
) -> dict[UUID, UUID | None]:
    """The tenant's queued (or held) executions that fit all that is given, oldest first, each with its job's id."""
    query = _waiting(select(executions.c.id, executions.c.job_id), tenant_id, queue, ids)
    return {row.id: row.job_id for row in await tx.connection.execute(query.order_by(executions.c.id))}


async def lock_waiting(tx: Tx, tenant_id: UUID, ids: Sequence[UUID], *, queue: Queue | None = None) -> list[Execution]:
    """Those of the tenant's executions that are queued (or held; in `queue`), oldest first, locked.

    Held ones are released by who has locked their jobs, so lock those before.
    """
    query = _waiting(select(executions), tenant_id, queue, ids)
    return await fetch(tx, query.order_by(executions.c.id).with_for_update())


def _waiting(
    query: Select[*tuple[Any, ...]], tenant_id: UUID, queue: Queue | None, ids: Sequence[UUID] | None
) -> Select[*tuple[Any, ...]]:
    query = query.where(executions.c.tenant_id == tenant_id, executions.c.status == Status.QUEUED.value)
    if queue is not None:
        query = query.where(executions.c.queue == queue.value)
    return query if ids is None else query.where(executions.c.id.in_(ids))


async def prune(tx: Tx, before: datetime, limit: int) -> int:
    """Delete ended executions made before `before`, with their output; how many went."""
    old = select(executions.c.id).where(executions.c.created_at < before, ~_ACTIVE).limit(limit)
    return (await tx.connection.execute(delete(executions).where(executions.c.id.in_(old)))).rowcount


async def fetch(tx: Tx, query: Select[Any]) -> list[Execution]:
    """The executions that `query`, a selection of rows with or without `result`, finds."""
    return [execution_of(tx, row) for row in (await tx.connection.execute(query)).mappings()]
