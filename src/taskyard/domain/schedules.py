"""What becomes of each due time of a job: run, or missed with its reason. Every due time gets exactly one fate."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from taskyard.domain import cron
from taskyard.domain.jobs import CatchUp, Job

ON_TIME = timedelta(seconds=60)
"""A due time seen within this is on time; later than this, nobody was there to fire it."""
MAX_FATES = 500
"""Due times of one job decided at once; the rest waits for the next pass."""


@dataclass(frozen=True, slots=True)
class Fate:
    """One due time: `missed_because` is None when it is to run."""

    due_at: datetime
    missed_because: str | None = None


def fates(job: Job, now: datetime, limit: int = MAX_FATES) -> tuple[list[Fate], datetime | None]:
    """The fates of the job's due times up to `now`, oldest first, and its next `next_run_at`.

    At most `limit` are decided; then `next_run_at` is the first undecided one, which lies in the past.
    """
    if job.next_run_at is None or job.schedule is None:
        return [], None
    due = [job.next_run_at]
    upcoming: datetime | None = None
    for at in cron.due_times(job.schedule, job.timezone, job.next_run_at):
        if at > now or len(due) == limit:
            upcoming = at
            break
        due.append(at)
    more_are_due = upcoming is not None and upcoming <= now
    latest = None if more_are_due else due[-1]
    return [_fate(job, at, latest, now) for at in due], upcoming


def _fate(job: Job, due_at: datetime, latest: datetime | None, now: datetime) -> Fate:
    late = now - due_at
    match job.catch_up:
        case CatchUp.LATEST if due_at != latest:
            return Fate(due_at, "a later due time had passed too (catch-up: latest)")
        case CatchUp.ALL if late > max(timedelta(seconds=job.catch_up_window_seconds), ON_TIME):
            return Fate(due_at, f"{_spoken(late)} late, outside the catch-up window")
        case CatchUp.NONE if late > ON_TIME:
            return Fate(due_at, f"{_spoken(late)} late (catch-up: none)")
        case _:
            return Fate(due_at)


def _spoken(late: timedelta) -> str:
    return f"{int(late.total_seconds())} s"
