"""The clock's use case: every due time becomes exactly one execution row, in one transaction with all it brings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from taskyard.domain import overlaps, schedules
from taskyard.domain.endings import cancelled
from taskyard.domain.events import Fact
from taskyard.domain.executions import Execution, Status, Trigger, first_attempt
from taskyard.domain.jobs import Job, Overlap
from taskyard.domain.schedules import Fate
from taskyard.services import cancelling, dispatch, events
from taskyard.store import executions, jobs
from taskyard.store.database import Tx

BATCH = 500
MAX_ROWS = 4000
"""Due times one pass decides over all jobs, so that a long downtime of many jobs is worked off in bites."""
REPLACED = "a newer due time came (overlap: cancel_previous)"


@dataclass(frozen=True, slots=True)
class Fired:
    """One pass of the clock: how many due times it decided, how late the latest was, and when there is more to do."""

    count: int
    lateness: timedelta
    next_due_at: datetime | None


async def due_ids(tx: Tx) -> Sequence[UUID]:
    """The jobs of all tenants whose time has come."""
    return await jobs.due_ids(tx)


async def fire_due(tx: Tx, limit: int = BATCH, *, only: UUID | None = None) -> Fired:
    """Decide the due times of up to `limit` jobs, or of one job only.

    Any number of clocks may call this at once: row locks decide.
    """
    due = await jobs.due(tx, limit, only)
    active = await executions.active_of_jobs(tx, [job.id for job in due if job.overlap is not Overlap.ALLOW])
    replaceable = [job.id for job in due if job.overlap is Overlap.CANCEL_PREVIOUS]
    await executions.lock_active(tx, [ident for job_id in replaceable for ident in active.get(job_id, [])])
    entering: list[Execution] = []
    facts: list[Fact] = []
    moves: list[tuple[UUID, datetime | None, datetime | None]] = []
    share = max(1, min(schedules.MAX_FATES, MAX_ROWS // max(1, len(due))))
    for job in due:
        fates, upcoming = schedules.fates(job, tx.now, share)
        entered, replaced = await _enter(tx, job, fates, active.get(job.id, []))
        entering += entered
        facts += replaced
        ran = [execution.due_at for execution in entered if execution.status is Status.QUEUED]
        moves.append((job.id, upcoming, ran[-1] if ran else job.last_run_at))
    await jobs.advance(tx, moves)
    facts += await dispatch.enter(tx, entering)
    # What a held run waited for may have been cancelled in this very pass.
    await dispatch.release(tx, list({row.job_id for row in entering if row.held and row.job_id}))
    await events.append(tx, facts)
    lateness = max((tx.now - job.next_run_at for job in due if job.next_run_at), default=timedelta(0))
    return Fired(len(entering), lateness, await jobs.next_due_at(tx))


async def _enter(tx: Tx, job: Job, fates: Sequence[Fate], active: Sequence[UUID]) -> tuple[list[Execution], list[Fact]]:
    """The rows for the job's due times, each seeing those before it as active."""
    entered: dict[UUID, Execution] = {}
    facts: list[Fact] = []
    unfinished = list(active)
    for fate in fates:
        if fate.missed_because is not None:
            execution = _row(tx, job, fate.due_at, Status.MISSED, reason=fate.missed_because)
        elif (way := overlaps.entry(job.overlap, unfinished)).skipped_because is not None:
            execution = _row(tx, job, fate.due_at, Status.SKIPPED, reason=way.skipped_because)
        else:
            if way.cancels:
                facts += await cancelling.stop(tx, job.tenant_id, way.cancels, REPLACED)
                fresh = [entered[ident] for ident in way.cancels if ident in entered]
                entered |= {each.id: cancelled(each, REPLACED, tx.now) for each in fresh}
            execution = _row(tx, job, fate.due_at, Status.QUEUED, held=way.held)
            unfinished.append(execution.id)
        entered[execution.id] = execution
    return list(entered.values()), facts


def _row(
    tx: Tx, job: Job, due_at: datetime, status: Status, *, held: bool = False, reason: str | None = None
) -> Execution:
    ended_at = None if status is Status.QUEUED else tx.now
    facts = {"status": status, "held": held, "due_at": due_at, "reason": reason, "finished_at": ended_at}
    return first_attempt(job, Trigger.SCHEDULE, tx.now, **facts)
