"""Jobs: making, reading, changing, switching, running by hand, removing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from taskyard.domain import cron
from taskyard.domain.actors import Actor, Permission
from taskyard.domain.cron import NextRun
from taskyard.domain.errors import Invalid, NotFound
from taskyard.domain.events import Fact
from taskyard.domain.executions import Execution, Trigger, first_attempt
from taskyard.domain.hints import ScheduleChanged
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Job, Kind, checked, facts, scheduled
from taskyard.domain.texts import check_text
from taskyard.services import cancelling, dispatch, events
from taskyard.store import calls as call_store
from taskyard.store import executions
from taskyard.store import jobs as store
from taskyard.store.database import Tx

MAX_UPCOMING = 100
_TIMING = frozenset({"schedule", "timezone", "enabled"})
_FIXED = frozenset({"id", "tenant_id", "created_by", "created_at", "updated_at", "next_run_at", "last_run_at"})


def _require_change(actor: Actor, job: Job) -> None:
    actor.require(Permission.WRITE)
    if job.kind is Kind.COMMAND:
        actor.require(Permission.EXECUTE)


def _told(job: Job, event_type: str, actor: Actor, **more: Any) -> Fact:
    return Fact(job.tenant_id, event_type, facts(job) | more, job_id=job.id, actor=actor.name)


async def create(tx: Tx, actor: Actor, job: Job) -> Job:
    """Store `job` as the actor's; its id, tenant and times are given here. Raises `Invalid`, `Forbidden`."""
    _require_change(actor, job)
    fresh = replace(
        checked(job),
        id=new_id(),
        tenant_id=actor.tenant_id,
        created_by=actor.user_id,
        created_at=tx.now,
        updated_at=tx.now,
    )
    made = scheduled(fresh, tx.now)
    await store.add(tx, made)
    await events.append(tx, [_told(made, "job.created", actor)])
    tx.hint(ScheduleChanged())
    return made


async def get(tx: Tx, actor: Actor, job_id: UUID, *, lock: bool = False) -> Job:
    """One job, locked until the end of the transaction when asked. Raises `NotFound`."""
    actor.require(Permission.READ)
    return await _found(tx, actor, job_id, lock=lock)


async def _found(tx: Tx, actor: Actor, job_id: UUID, *, lock: bool = False) -> Job:
    job = await store.get(tx, actor.tenant_id, job_id, lock=lock)
    if job is None:
        raise NotFound("job", job_id)
    return job


async def locate(tx: Tx, job_id: UUID) -> UUID | None:
    """The tenant a job belongs to, for faces whose contract tells 403 from 404."""
    return await store.tenant_of(tx, job_id)


async def page(
    tx: Tx, actor: Actor, *, enabled: bool | None = None, search: str | None = None, skip: int = 0, limit: int = 100
) -> tuple[list[Job], int]:
    """Jobs, newest first, and how many there are in all. Raises `Invalid` for a search that no text can match."""
    actor.require(Permission.READ)
    if search is not None:
        _ = check_text(search, "search")
    return await store.page(tx, actor.tenant_id, enabled=enabled, search=search, skip=skip, limit=limit)


async def update(tx: Tx, actor: Actor, job_id: UUID, changes: Mapping[str, Any]) -> Job:
    """Change the named fields of a job. A change of schedule, zone or switch moves its next run."""
    before = await _found(tx, actor, job_id, lock=True)
    _require_change(actor, before)
    if not _FIXED.isdisjoint(changes):
        field = min(_FIXED.intersection(changes))
        raise Invalid(f"{field} cannot be changed", field=field)
    after = checked(replace(before, **changes, updated_at=tx.now))
    _require_change(actor, after)
    changed = sorted(name for name, value in changes.items() if getattr(before, name) != value)
    # Saved as it was, a job keeps its next run: it may be due at this very moment and not have been fired yet.
    if not _TIMING.isdisjoint(changed):
        after = scheduled(after, tx.now, await executions.last_due_at(tx, job_id))
    await store.put(tx, after)
    if changed:
        await events.append(tx, [_told(after, _event_of(changed, after), actor, changed=changed)])
    tx.hint(ScheduleChanged())
    return after


def _event_of(changed: list[str], job: Job) -> str:
    if changed == ["enabled"]:
        return "job.enabled" if job.enabled else "job.disabled"
    return "job.updated"


async def set_enabled(tx: Tx, actor: Actor, job_id: UUID, *, enabled: bool) -> Job:
    """Switch a job on or off; what is already queued or running goes on."""
    return await update(tx, actor, job_id, {"enabled": enabled})


async def delete(tx: Tx, actor: Actor, job_id: UUID) -> None:
    """Remove a job and its calls, cancel what waits or runs of it; history and events stay."""
    job = await _found(tx, actor, job_id, lock=True)
    _require_change(actor, job)
    active = await executions.active_of_jobs(tx, [job_id])
    told = await cancelling.stop(tx, actor.tenant_id, active.get(job_id, []), "the job was deleted", actor.name)
    await call_store.remove_of_job(tx, actor.tenant_id, job_id)
    await store.remove(tx, actor.tenant_id, job_id)
    await events.append(tx, [*told, _told(job, "job.deleted", actor)])


async def run_now(tx: Tx, actor: Actor, job_id: UUID) -> Execution:
    """Queue one run at once, whatever the schedule, the switch and the overlap policy say."""
    job = await _found(tx, actor, job_id)
    _require_change(actor, job)
    execution = first_attempt(job, Trigger.MANUAL, tx.now, requested_by=actor.user_id)
    told = await dispatch.enter(tx, [execution], actor.name)
    # Late, since from here on other changes of the job wait.
    await store.touch_last_run(tx, job.id, tx.now)
    await events.append(tx, told)
    return execution


async def upcoming(tx: Tx, actor: Actor, job_id: UUID, count: int = 5) -> list[NextRun]:
    """The job's next due times, also while it is disabled; none without a schedule."""
    job = await get(tx, actor, job_id)
    if not 1 <= count <= MAX_UPCOMING:
        raise Invalid(f"count must be from 1 to {MAX_UPCOMING}", field="count")
    if job.schedule is None:
        return []
    return cron.upcoming(job.schedule, job.timezone, tx.now, count)
