"""Queues as they stand: which are paused, and what waits and runs in each."""

from sqlalchemy import case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from taskyard.domain.executions import Status
from taskyard.domain.queues import Queue, QueueState
from taskyard.store.database import Tx
from taskyard.store.tables import executions, queues


async def paused(tx: Tx) -> set[Queue]:
    """The queues that hand out nothing."""
    query = select(queues.c.name).where(queues.c.paused_at.is_not(None))
    return {Queue(name) for name in (await tx.connection.execute(query)).scalars()}


async def set_paused(tx: Tx, queue: Queue, *, pause: bool, reason: str | None) -> None:
    """Stop or resume handing out."""
    dialect = sqlite if tx.is_sqlite else postgresql
    facts = {"paused_at": tx.now if pause else None, "paused_reason": reason if pause else None}
    query = dialect.insert(queues).values(name=queue.value, **facts)
    await tx.connection.execute(query.on_conflict_do_update(index_elements=["name"], set_=facts))


async def states(tx: Tx) -> list[QueueState]:
    """Every queue, in the order of `Queue`."""
    ready = (executions.c.status == Status.QUEUED.value) & ~executions.c.held & (executions.c.available_at <= tx.now)
    query = (
        select(
            executions.c.queue,
            func.count().filter(executions.c.status == Status.QUEUED.value).label("waiting"),
            func.count()
            .filter(executions.c.status == Status.QUEUED.value, executions.c.available_at > tx.now)
            .label("delayed"),
            func.count().filter(executions.c.status == Status.RUNNING.value).label("running"),
            func.min(case((ready, executions.c.available_at))).label("oldest"),
        )
        .where(executions.c.status.in_((Status.QUEUED.value, Status.RUNNING.value)))
        .group_by(executions.c.queue)
    )
    counted = {row["queue"]: row for row in (await tx.connection.execute(query)).mappings()}
    switches = {row["name"]: row for row in (await tx.connection.execute(select(queues))).mappings()}
    found: list[QueueState] = []
    for queue in Queue:
        row, switch = counted.get(queue.value), switches.get(queue.value)
        oldest = row["oldest"] if row else None
        found.append(
            QueueState(
                name=queue,
                waiting=row["waiting"] if row else 0,
                delayed=row["delayed"] if row else 0,
                running=row["running"] if row else 0,
                oldest_seconds=(tx.now - oldest).total_seconds() if oldest else 0.0,
                paused_at=switch["paused_at"] if switch else None,
                paused_reason=switch["paused_reason"] if switch else None,
            )
        )
    return found
