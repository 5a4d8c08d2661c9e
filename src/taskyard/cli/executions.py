"""`taskyard executions`: what ran, what it printed, and why it failed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from taskyard.cli import execution_views, output, screen
from taskyard.cli.desk import Desk, at_desk
from taskyard.cli.options import AsJson, DataDir, ExecutionWord, TenantChoice, group
from taskyard.cli.references import find_execution, find_job
from taskyard.domain.executions import Execution, Status

if TYPE_CHECKING:
    from taskyard.services.transactions import Tx

commands = group(
    "What ran, what it printed, and why it failed.",
    "taskyard executions list --status failure",
    "taskyard executions list --dead           dead letters, to be looked at and retried",
    "taskyard executions logs -f 3f9a1c2b      follow the output",
)


@commands.command("list")
def list_executions(
    job: Annotated[str | None, typer.Option(metavar="JOB", help="Only of this job.", show_default=False)] = None,
    status: Annotated[
        Status | None,
        typer.Option(metavar="STATUS", help=f"Only with this status: {', '.join(Status)}.", show_default=False),
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Only dead letters.", show_default=False)] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many at most.")] = 20,
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show executions, newest first."""
    if dead and status is not None:
        raise typer.BadParameter("give either --dead or --status", param_hint="--dead / --status")

    async def read(desk: Desk) -> tuple[list[Execution], int, dict[UUID, str]]:
        from taskyard.services import executions

        job_id = None if job is None else (await find_job(desk, job)).id
        async with desk.database.read() as tx:
            if dead:
                found, total = await executions.dead_letters(tx, desk.actor, job_id=job_id, limit=limit)
            else:
                found, total = await executions.page(tx, desk.actor, job_id=job_id, status=status, limit=limit)
            return found, total, await _job_names(tx, desk, found)

    found, total, names = at_desk(read, data_dir, tenant)
    if as_json:
        screen.data({"executions": found, "total": total})
        return
    execution_views.table(found, names, _empty(job, status, dead=dead))
    if total > len(found):
        screen.note(f"{len(found)} of {total} executions; --limit shows more")


def _empty(job: str | None, status: Status | None, *, dead: bool) -> str:
    """What is said instead of a table; whatever was asked for is named, for there may be other executions."""
    of_job = "" if job is None else f" of job {screen.clean(job)}"
    if dead:
        return f"No dead letters{of_job}"
    if status is not None:
        return f"No executions{of_job} with status {status.value}"
    return f"Nothing{of_job} has run yet"


async def _job_names(tx: "Tx", desk: Desk, executions: Sequence[Execution]) -> dict[UUID, str]:
    from taskyard.domain.errors import NotFound
    from taskyard.services import jobs

    names: dict[UUID, str] = {}
    for job_id in {each.job_id for each in executions if each.job_id}:
        try:
            names[job_id] = (await jobs.get(tx, desk.actor, job_id)).name
        except NotFound:
            names[job_id] = "(removed)"
    return names


@commands.command()
def show(
    execution: ExecutionWord, tenant: TenantChoice = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show everything known of one execution."""

    async def read(desk: Desk) -> tuple[Execution, dict[UUID, str]]:
        found = await find_execution(desk, execution)
        async with desk.database.read() as tx:
            return found, await _job_names(tx, desk, [found])

    found, names = at_desk(read, data_dir, tenant)
    if as_json:
        screen.data(found)
    else:
        execution_views.show(found, names)


@commands.command()
def logs(
    execution: ExecutionWord,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the execution ends.", show_default=False)
    ] = False,
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what an execution printed: its stdout on stdout, its stderr on stderr. JSON comes as one object a line."""

    async def read(desk: Desk) -> None:
        found = await find_execution(desk, execution)
        await output.show(desk, found, follow=follow, as_json=as_json)

    at_desk(read, data_dir, tenant)


@commands.command()
def cancel(
    execution: ExecutionWord,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Kept in the history.", show_default=False)] = None,
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Stop an execution: at once while it waits, by its worker while it runs."""

    async def stop(desk: Desk) -> Execution:
        from taskyard.services import executions

        found = await find_execution(desk, execution)
        async with desk.database.write() as tx:
            return await executions.cancel(tx, desk.actor, found.id, reason)

    stopped = at_desk(stop, data_dir, tenant)
    if as_json:
        screen.data(stopped)
    elif stopped.status is Status.RUNNING:
        screen.say(f"Execution {stopped.id} is asked to stop")
    else:
        screen.say(f"Execution {stopped.id} is {stopped.status.value}")


@commands.command()
def retry(
    execution: ExecutionWord, tenant: TenantChoice = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Run an ended execution's work again, as a new run; a dead letter leaves the list."""

    async def again(desk: Desk) -> Execution:
        from taskyard.services import executions

        found = await find_execution(desk, execution)
        async with desk.database.write() as tx:
            return await executions.retry(tx, desk.actor, found.id)

    started = at_desk(again, data_dir, tenant)
    if as_json:
        screen.data(started)
    else:
        screen.say(f"Queued again as execution {started.id}")
