"""Jobs as a terminal shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskyard.cli import execution_views, screen
from taskyard.cli.references import find_job

if TYPE_CHECKING:
    from taskyard.cli.desk import Desk
    from taskyard.domain.cron import NextRun
    from taskyard.domain.executions import Execution
    from taskyard.domain.jobs import Call, Job

LATEST = 5
DST_MARKS = {
    "gap": "clocks go forward: the wall clock skips this hour",
    "repeated": "clocks go back: this hour comes twice",
}


@dataclass(frozen=True, slots=True)
class View:
    """A job with what surrounds it."""

    job: "Job"
    calls: "Sequence[Call]"
    next_runs: "Sequence[NextRun]"
    executions: "Sequence[Execution]"


async def read(desk: "Desk", word: str) -> View:
    """The job meant by `word` and its surroundings. Raises as `references.find_job`."""
    from taskyard.services import calls, executions, jobs

    job = await find_job(desk, word)
    async with desk.database.read() as tx:
        latest, _ = await executions.page(tx, desk.actor, job_id=job.id, limit=LATEST)
        return View(
            job=job,
            calls=await calls.of_job(tx, desk.actor, job.id),
            next_runs=await jobs.upcoming(tx, desk.actor, job.id, LATEST) if job.enabled else [],
            executions=latest,
        )


def table(jobs: "Sequence[Job]", search: str | None = None) -> None:
    """One line for each job; `search` is what they were found by."""
    rows = [
        (
            screen.short(job.id),
            job.name,
            "on" if job.enabled else "off",
            job.kind.value,
            job.schedule or "by hand",
            job.timezone if job.schedule else None,
            screen.ago(job.next_run_at),
            screen.ago(job.last_run_at),
        )
        for job in jobs
    ]
    empty = "No jobs yet: `taskyard jobs add --help` shows how to make one"
    if search:
        empty = f"No job's name holds {screen.clean(search)!r}"
    columns = ("ID", "Name", "Status", "Kind", "Schedule", "Zone", "Next run", "Last run")
    screen.table(columns, rows, empty, spare=("Kind", "Last run", "Zone", "Next run"))


def show(view: View) -> None:
    """Everything about one job."""
    job = view.job
    screen.facts(
        {
            "Job": job.name,
            "ID": job.id,
            "Status": "on" if job.enabled else "off",
            "Schedule": f"{job.schedule} ({job.timezone})" if job.schedule else "by hand",
            "Command": job.command.line if job.command else None,
            "Folder": job.command.working_directory if job.command else None,
            **{f"Call {place}": f"{call.method} {call.url}" for place, call in enumerate(view.calls, 1)},
            "Attempts": job.retry.attempts if job.retry else None,
            "Time limit": f"{job.timeout_seconds:g} s" if job.timeout_seconds else None,
            "Overlap": job.overlap.value,
            "Catch-up": job.catch_up.value,
            "Queue": f"{job.queue.value}, priority {job.priority}",
            "Made": job.created_at,
        }
    )
    if view.next_runs:
        screen.say()
        show_next(job, view.next_runs)
    screen.say()
    execution_views.of_job(view.executions)


def show_next(job: "Job", runs: "Sequence[NextRun]") -> None:
    """Due times on the job's own wall clock."""
    rows = [
        (run.local.strftime("%a %Y-%m-%d %H:%M %Z"), run.at.strftime("%Y-%m-%d %H:%M"), screen.ago(run.at), _mark(run))
        for run in runs
    ]
    empty = "The job has no schedule: `taskyard jobs run` runs it" if job.schedule is None else "It never runs again"
    screen.table((f"Next runs ({job.timezone})", "UTC", "", "Daylight saving"), rows, empty, spare=("UTC", ""))
    if not job.enabled:
        screen.note("The job is off: none of these will run before `taskyard jobs resume`")


def _mark(run: "NextRun") -> str:
    return DST_MARKS.get(run.dst or "", "")
