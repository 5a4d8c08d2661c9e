"""Jobs at rest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, bindparam, delete, func, insert, select, update

from taskyard.domain.jobs import CatchUp, Command, Job, Kind, Overlap
from taskyard.domain.queues import Queue
from taskyard.domain.retries import RetryPolicy
from taskyard.store.database import Tx
from taskyard.store.tables import jobs


def _row(tx: Tx, job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "tenant_id": job.tenant_id,
        "name": job.name,
        "kind": job.kind.value,
        "type": job.type,
        "schedule": job.schedule,
        "timezone": job.timezone,
        "enabled": job.enabled,
        # A command's environment may hold keys, so the whole command is sealed.
        "command": None if job.command is None else tx.vault.seal(asdict(job.command)),
        "queue": job.queue.value,
        "priority": job.priority,
        "retry": None if job.retry is None else _retry_row(job.retry),
        "timeout_seconds": job.timeout_seconds,
        "overlap": job.overlap.value,
        "catch_up": job.catch_up.value,
        "catch_up_window_seconds": job.catch_up_window_seconds,
        "rerun_on_crash": job.rerun_on_crash,
        "next_run_at": job.next_run_at,
        "last_run_at": job.last_run_at,
        "created_by": job.created_by,
        "created_at": job.created_at or tx.now,
        "updated_at": job.updated_at or tx.now,
    }


def _retry_row(policy: RetryPolicy) -> dict[str, Any]:
    lists = {"retry_on": sorted(policy.retry_on), "never_on": sorted(policy.never_on)}
    return asdict(policy) | lists | {"waits_seconds": list(policy.waits_seconds)}


def _retry(row: Mapping[str, Any]) -> RetryPolicy:
    known: dict[str, Any] = dict(row)
    known["retry_on"] = frozenset(row["retry_on"])
    known["never_on"] = frozenset(row.get("never_on", ()))
    known["waits_seconds"] = tuple(row["waits_seconds"])
    return RetryPolicy(**known)


def _job(tx: Tx, row: RowMapping) -> Job:
    facts = dict(row)
    facts["kind"] = Kind(row["kind"])
    facts["queue"] = Queue(row["queue"])
    facts["overlap"] = Overlap(row["overlap"])
    facts["catch_up"] = CatchUp(row["catch_up"])
    facts["command"] = None if row["command"] is None else Command(**tx.vault.open(row["command"]))
    facts["retry"] = None if row["retry"] is None else _retry(row["retry"])
    return Job(**facts)


async def add(tx: Tx, job: Job) -> None:
    """Store a new job."""
    await tx.connection.execute(insert(jobs).values(_row(tx, job)))


async def put(tx: Tx, job: Job) -> None:
    """Store every field of an existing job of this tenant."""
    row = _row(tx, job)
    await tx.connection.execute(update(jobs).where(jobs.c.tenant_id == job.tenant_id, jobs.c.id == job.id).values(row))


_GET = select(jobs).where(jobs.c.tenant_id == bindparam("tenant"), jobs.c.id == bindparam("job"))
_GET_LOCKED = _GET.with_for_update()


async def get(tx: Tx, tenant_id: UUID, job_id: UUID, *, lock: bool = False) -> Job | None:
    """The tenant's job, locked until the end of the transaction when asked."""
    facts = {"tenant": tenant_id, "job": job_id}
    row = (await tx.connection.execute(_GET_LOCKED if lock else _GET, facts)).mappings().first()
    return None if row is None else _job(tx, row)


async def tenant_of(tx: Tx, job_id: UUID) -> UUID | None:
    """Whose job this is; only for deciding between 403 and 404 where a contract tells them apart."""
    return (await tx.connection.execute(select(jobs.c.tenant_id).where(jobs.c.id == job_id))).scalar()


_BY_IDS = select(jobs).where(jobs.c.id.in_(bindparam("ids", expanding=True)))
_ONE_AT_A_TIME = (Overlap.QUEUE.value, Overlap.CANCEL_PREVIOUS.value)
_LOCK_SERIAL = (
    select(jobs.c.id)
    .where(jobs.c.id.in_(bindparam("ids", expanding=True)), jobs.c.overlap.in_(_ONE_AT_A_TIME))
    .order_by(jobs.c.id)
    .with_for_update()
)
_AT_ONCE = 1000


async def by_ids(tx: Tx, job_ids: Iterable[UUID]) -> dict[UUID, Job]:
    """Jobs of any tenant, for the worker that is about to run or end their executions."""
    wanted = list(set(job_ids))
    if not wanted:
        return {}
    rows = (await tx.connection.execute(_BY_IDS, {"ids": wanted})).mappings()
    return {row["id"]: _job(tx, row) for row in rows}


async def lock_serial(tx: Tx, known: Iterable[Job]) -> set[UUID]:
    """Lock those of the jobs that run one execution at a time, so that who ends and who enters take turns.

    Taken before any lock on executions; everything that decides about held executions takes it first.
    """
    return await lock_serial_of(tx, [job.id for job in known if job.overlap.value in _ONE_AT_A_TIME])


async def lock_serial_of(tx: Tx, job_ids: Iterable[UUID | None]) -> set[UUID]:
    """`lock_serial` for those who know no more than ids."""
    wanted = sorted({ident for ident in job_ids if ident is not None})
    locked: set[UUID] = set()
    for start in range(0, len(wanted), _AT_ONCE):
        some = {"ids": wanted[start : start + _AT_ONCE]}
        locked.update((await tx.connection.execute(_LOCK_SERIAL, some)).scalars())
    return locked


async def remove(tx: Tx, tenant_id: UUID, job_id: UUID) -> None:
    """Delete the job and its calls; its executions and events stay as history."""
    await tx.connection.execute(delete(jobs).where(jobs.c.tenant_id == tenant_id, jobs.c.id == job_id))


async def page(
    tx: Tx, tenant_id: UUID, *, enabled: bool | None, search: str | None, skip: int, limit: int
) -> tuple[list[Job], int]:
    """The tenant's jobs, newest first, and how many there are in all."""
    chosen = [jobs.c.tenant_id == tenant_id]
    if enabled is not None:
        chosen.append(jobs.c.enabled == enabled)
    if search:
        # SQLite lowers ASCII letters only, so a name is looked for as it is written too.
        lowered = func.lower(jobs.c.name).contains(search.lower(), autoescape=True)
        chosen.append(lowered | jobs.c.name.contains(search, autoescape=True))
    total = (await tx.connection.execute(select(func.count()).select_from(jobs).where(*chosen))).scalar_one()
    query = select(jobs).where(*chosen).order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
    rows = (await tx.connection.execute(query.offset(skip).limit(limit))).mappings()
    return [_job(tx, row) for row in rows], total


async def due(tx: Tx, limit: int, only: UUID | None = None) -> list[Job]:
    """Jobs of all tenants whose time has come, earliest first, each locked by at most one clock."""
    query = select(jobs).where(*_is_due(tx.now)).order_by(jobs.c.next_run_at).limit(limit)
    if only is not None:
        query = query.where(jobs.c.id == only)
    rows = (await tx.connection.execute(query.with_for_update(skip_locked=True))).mappings()
    return [_job(tx, row) for row in rows]


async def due_ids(tx: Tx) -> list[UUID]:
    """All whose time has come, whoever has locked them."""
    return list((await tx.connection.execute(select(jobs.c.id).where(*_is_due(tx.now)))).scalars())


def _is_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return jobs.c.next_run_at.is_not(None), jobs.c.next_run_at <= now


async def next_due_at(tx: Tx) -> datetime | None:
    """When the clock has something to do next."""
    query = select(func.min(jobs.c.next_run_at)).where(jobs.c.next_run_at.is_not(None))
    return (await tx.connection.execute(query)).scalar()


_ADVANCE = (
    update(jobs)
    .where(jobs.c.id == bindparam("job_id"))
    .values(next_run_at=bindparam("next_run"), last_run_at=bindparam("last_run"))
)


async def advance(tx: Tx, moves: Sequence[tuple[UUID, datetime | None, datetime | None]]) -> None:
    """Move jobs to their next due time: `(id, next_run_at, last_run_at)` each."""
    if moves:
        rows = [{"job_id": ident, "next_run": upcoming, "last_run": last} for ident, upcoming, last in moves]
        await tx.connection.execute(_ADVANCE, rows)


_TOUCH = update(jobs).where(jobs.c.id == bindparam("job")).values(last_run_at=bindparam("at"))


async def touch_last_run(tx: Tx, job_id: UUID, at: datetime) -> None:
    """Note that the job was run by hand."""
    await tx.connection.execute(_TOUCH, {"job": job_id, "at": at})


async def counts(tx: Tx, tenant_ids: Sequence[UUID]) -> tuple[int, int]:
    """How many jobs the tenants have, and how many of them are enabled."""
    query = select(func.count(), func.count().filter(jobs.c.enabled)).where(jobs.c.tenant_id.in_(tenant_ids))
    total, enabled = (await tx.connection.execute(query)).one()
    return total, enabled
