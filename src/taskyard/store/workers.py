"""Processes of the yard and their leases: what runs under a lapsed lease has lost its worker."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from taskyard.store.database import Tx
from taskyard.store.tables import workers


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A process: `roles` holds "worker", "clock" or both."""

    id: UUID
    host: str
    pid: int
    roles: str
    started_at: datetime
    lease_until: datetime
    ended_at: datetime | None = None
    end_reason: str | None = None


async def add(tx: Tx, worker: WorkerRow) -> None:
    """Register a process that has just started."""
    await tx.connection.execute(
        insert(workers).values(
            id=worker.id,
            host=worker.host,
            pid=worker.pid,
            roles=worker.roles,
            started_at=worker.started_at,
            lease_until=worker.lease_until,
        )
    )


async def renew(tx: Tx, worker_id: UUID, lease_seconds: float) -> bool:
    """Extend the lease; False when the process has been given up for lost meanwhile."""
    query = update(workers).where(workers.c.id == worker_id, workers.c.ended_at.is_(None))
    renewed = await tx.connection.execute(query.values(lease_until=tx.now + timedelta(seconds=lease_seconds)))
    return renewed.rowcount == 1


async def end(tx: Tx, worker_ids: Sequence[UUID], reason: str) -> None:
    """The processes are over and may write no more."""
    query = update(workers).where(workers.c.id.in_(worker_ids), workers.c.ended_at.is_(None))
    await tx.connection.execute(query.values(ended_at=tx.now, end_reason=reason))


async def lapsed(tx: Tx, spared: UUID | None = None) -> list[UUID]:
    """Processes but `spared` whose lease has run out, each locked by at most one reaper."""
    query = select(workers.c.id).where(workers.c.ended_at.is_(None), workers.c.lease_until < tx.now)
    if spared is not None:
        query = query.where(workers.c.id != spared)
    return list((await tx.connection.execute(query.with_for_update(skip_locked=True))).scalars())


async def alive(tx: Tx) -> list[WorkerRow]:
    """Processes with a lease that holds."""
    query = select(workers).where(workers.c.ended_at.is_(None), workers.c.lease_until >= tx.now)
    return [WorkerRow(**row) for row in (await tx.connection.execute(query.order_by(workers.c.id))).mappings()]


async def prune(tx: Tx, before: datetime) -> None:
    """Forget processes that ended before `before`."""
    await tx.connection.execute(delete(workers).where(workers.c.ended_at < before))
