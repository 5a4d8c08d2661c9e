"""`taskyard jobs`: what is to run, and when."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from taskyard.cli import job_form, job_views, screen
from taskyard.cli.desk import Desk, at_desk
from taskyard.cli.options import AsJson, DataDir, JobWord, TenantChoice, group
from taskyard.cli.references import find_job
from taskyard.domain.jobs import CatchUp, Overlap

if TYPE_CHECKING:
    from taskyard.domain.cron import NextRun
    from taskyard.domain.executions import Execution
    from taskyard.domain.jobs import Job

commands = group(
    "What is to run, and when.",
    'taskyard jobs add backup --schedule "0 3 * * *" --timezone Europe/Berlin --command ./backup.sh',
    'taskyard jobs add probe --schedule "*/5 * * * *" --url https://example.com/probe --retries 4',
    "taskyard jobs next backup --count 10",
    "taskyard jobs run backup --follow",
)


@commands.command("list")
def list_jobs(
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only names with TEXT.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many at most.")] = 100,
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the jobs, newest first."""

    async def read(desk: Desk) -> "tuple[list[Job], int]":
        from taskyard.services import jobs

        async with desk.database.read() as tx:
            return await jobs.page(tx, desk.actor, search=search, limit=limit)

    found, total = at_desk(read, data_dir, tenant)
    if as_json:
        screen.data({"jobs": found, "total": total})
        return
    job_views.table(found, search)
    if total > len(found):
        screen.note(f"{len(found)} of {total} jobs; --limit shows more")


@commands.command()
def show(job: JobWord, tenant: TenantChoice = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one job: its calls, its next runs and its latest executions."""
    view = at_desk(lambda desk: job_views.read(desk, job), data_dir, tenant)
    if as_json:
        screen.data(view)
    else:
        job_views.show(view)


@commands.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="To tell it apart.", show_default=False)],
    schedule: job_form.Schedule = None,
    timezone: job_form.Timezone = "UTC",
    command: job_form.CommandLine = None,
    url: job_form.Url = None,
    method: job_form.Method = None,
    header: job_form.Header = None,
    body: job_form.Body = None,
    retries: job_form.Retries = None,
    timeout: job_form.Timeout = None,
    overlap: Annotated[
        Overlap,
        typer.Option(metavar="POLICY", help=f"What a due time does while the last run goes on: {', '.join(Overlap)}."),
    ] = Overlap.SKIP,
    catch_up: Annotated[
        CatchUp, typer.Option(metavar="POLICY", help=f"Which due times run after a downtime: {', '.join(CatchUp)}.")
    ] = CatchUp.LATEST,
    another: Annotated[
        bool, typer.Option("--another", help="Also when a job has that name already.", show_default=False)
    ] = False,
    disabled: Annotated[bool, typer.Option("--disabled", help="Make it switched off.", show_default=False)] = False,
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a job: a shell command or an HTTP call, on a schedule or to be run by hand."""
    action = job_form.action(command=command, url=url, method=method, headers=header or [], body=body)
    form = job_form.Form(
        name=name,
        action=action,
        schedule=schedule,
        timezone=timezone,
        retries=retries,
        timeout_seconds=timeout,
        overlap=overlap,
        catch_up=catch_up,
        enabled=not disabled,
        another=another,
    )
    made = at_desk(lambda desk: job_form.create(desk, form), data_dir, tenant)
    if as_json:
        screen.data(made)
        return
    when = f"runs next {screen.local(made.next_run_at)}" if made.next_run_at else "runs when you say so"
    screen.say(f"Made job {screen.clean(made.name)} ({made.id}): it {when}")


@commands.command()
def run(
    job: JobWord,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show its output until it ends.", show_default=False)
    ] = False,
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run a job now, whatever its schedule says."""
    from taskyard.cli import output, waiting

    async def start(desk: Desk) -> "Execution":
        from taskyard.services import jobs

        found = await find_job(desk, job)
        async with desk.database.write() as tx:
            queued = await jobs.run_now(tx, desk.actor, found.id)
        if follow and not as_json:
            screen.note(f"{found.name} is queued as {queued.id}; Ctrl-C stops watching, not the run")
        for reason in await waiting.reasons(desk, queued):
            screen.note(reason)
        return await output.follow_run(desk, queued, as_json=as_json) if follow else queued

    ended = at_desk(start, data_dir, tenant)
    if follow:
        output.tell_end(ended, as_json=as_json)
    elif as_json:
        screen.data(ended)
    else:
        screen.say(f"Queued execution {ended.id}: `taskyard executions logs -f {screen.short(ended.id)}` follows it")


@commands.command("next")
def next_runs(
    job: JobWord,
    count: Annotated[int, typer.Option(min=1, max=100, metavar="N", help="How many due times.")] = 5,
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show when a job runs next, and what daylight saving does to it."""

    async def read(desk: Desk) -> "tuple[Job, list[NextRun]]":
        from taskyard.services import jobs

        found = await find_job(desk, job)
        async with desk.database.read() as tx:
            return found, await jobs.upcoming(tx, desk.actor, found.id, count)

    found, runs = at_desk(read, data_dir, tenant)
    if as_json:
        screen.data({"job_id": found.id, "timezone": found.timezone, "enabled": found.enabled, "next_runs": runs})
        return
    job_views.show_next(found, runs)


@commands.command()
def pause(job: JobWord, tenant: TenantChoice = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Switch a job off; what is queued or running goes on."""
    _switch(at_desk(lambda desk: _set_enabled(desk, job, enabled=False), data_dir, tenant), as_json=as_json)


@commands.command()
def resume(job: JobWord, tenant: TenantChoice = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Switch a job on again."""
    _switch(at_desk(lambda desk: _set_enabled(desk, job, enabled=True), data_dir, tenant), as_json=as_json)


async def _set_enabled(desk: Desk, word: str, *, enabled: bool) -> "Job":
    from taskyard.services import jobs

    found = await find_job(desk, word)
    async with desk.database.write() as tx:
        return await jobs.set_enabled(tx, desk.actor, found.id, enabled=enabled)


def _switch(job: "Job", *, as_json: bool) -> None:
    if as_json:
        screen.data(job)
    elif not job.enabled:
        screen.say(f"Job {screen.clean(job.name)} is off")
    else:
        when = f", it runs next {screen.local(job.next_run_at)}" if job.next_run_at else ""
        screen.say(f"Job {screen.clean(job.name)} is on{when}")


@commands.command()
def rm(
    job: JobWord,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", show_default=False)] = False,
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove a job and cancel what waits or runs of it; its history stays."""

    found = at_desk(lambda desk: find_job(desk, job), data_dir, tenant)
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Remove job {screen.clean(found.name)} ({found.id})?", abort=True, err=True)

    async def remove(desk: Desk) -> None:
        from taskyard.services import jobs

        async with desk.database.write() as tx:
            await jobs.delete(tx, desk.actor, found.id)

    at_desk(remove, data_dir, tenant)
    if as_json:
        screen.data({"removed": found.id, "name": found.name})
    else:
        screen.say(f"Removed job {screen.clean(found.name)}")
