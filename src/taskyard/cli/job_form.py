"""The options of `taskyard jobs add`, and the job they make."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from taskyard.cli.references import jobs_named
from taskyard.domain.errors import Conflict
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import CatchUp, Command, Job, Kind, Overlap, own_retry_policy
from taskyard.domain.retries import RetryPolicy

if TYPE_CHECKING:
    from taskyard.cli.desk import Desk

WHAT = "What to run (one of --command and --url)"
WHEN = "When to run"
DEFAULT_METHOD = "POST"

Schedule = Annotated[
    str | None,
    typer.Option(
        metavar="CRON",
        help='Five fields, as "*/5 * * * *"; without it the job runs by hand.',
        rich_help_panel=WHEN,
        show_default=False,
    ),
]
Timezone = Annotated[str, typer.Option(metavar="ZONE", help="As Europe/Berlin.", rich_help_panel=WHEN)]
CommandLine = Annotated[
    str | None, typer.Option(metavar="LINE", help="A shell line.", rich_help_panel=WHAT, show_default=False)
]
Url = Annotated[str | None, typer.Option(metavar="URL", help="To call.", rich_help_panel=WHAT, show_default=False)]
Method = Annotated[
    str | None, typer.Option(metavar="METHOD", help="Of the call.", rich_help_panel=WHAT, show_default=DEFAULT_METHOD)
]
Header = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME:VALUE", help="Of the call; may be repeated.", rich_help_panel=WHAT, show_default=False),
]
Body = Annotated[
    str | None,
    typer.Option(
        metavar="TEMPLATE",
        help="Of the call; {{ job.name }} and the like are filled in.",
        rich_help_panel=WHAT,
        show_default=False,
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=99,
        metavar="N",
        help="Further attempts after a failure.",
        show_default="the house's for calls, 0 for commands",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Limit of one attempt.", show_default="the house's"),
]


@dataclass(frozen=True, slots=True)
class CallForm:
    """The HTTP call of a job to be made."""

    url: str
    method: str
    headers: dict[str, str] = field(repr=False)
    body: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Form:
    """A job to be made, as the options say it."""

    name: str
    action: Command | CallForm
    schedule: str | None
    timezone: str
    retries: int | None
    timeout_seconds: float | None
    overlap: Overlap
    catch_up: CatchUp
    enabled: bool
    another: bool


def action(
    *, command: str | None, url: str | None, method: str | None, headers: Sequence[str], body: str | None
) -> Command | CallForm:
    """What the job runs. Raises `typer.BadParameter` for options that do not go together."""
    if (command is None) == (url is None):
        raise typer.BadParameter("give one of the two", param_hint="--command / --url")
    if command is not None:
        if method is not None or headers or body is not None:
            raise typer.BadParameter("only a job with --url has them", param_hint="--method / --header / --body")
        return Command(command)
    return CallForm(url or "", (method or DEFAULT_METHOD).upper(), dict(_header(each) for each in headers), body)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"{text!r}: write NAME:VALUE", param_hint="--header")
    return name.strip(), value.strip()


async def create(desk: "Desk", form: Form) -> Job:
    """Make the job, with its call, in one transaction.

    Raises `Invalid`, `Forbidden`, and `Conflict` for a name in use, since commands find jobs by name, unless another
    one of that name is wanted.
    """
    from taskyard.services import calls, jobs

    kind = Kind.COMMAND if isinstance(form.action, Command) else Kind.HTTP
    job = Job(
        id=new_id(),
        tenant_id=desk.actor.tenant_id,
        name=form.name,
        kind=kind,
        schedule=form.schedule,
        timezone=form.timezone,
        enabled=form.enabled,
        command=form.action if isinstance(form.action, Command) else None,
        retry=_retry(desk, form.retries, kind),
        timeout_seconds=form.timeout_seconds,
        overlap=form.overlap,
        catch_up=form.catch_up,
    )
    async with desk.database.write() as tx:
        made = await jobs.create(tx, desk.actor, job)
        namesakes = [each for each in await jobs_named(tx, desk, made.name) if each.id != made.id]
        if namesakes and not form.another:
            raise Conflict(
                f"There is a job called {made.name!r} already ({namesakes[0].id}): choose another name, remove that "
                "job with `taskyard jobs rm`, or have two of that name with --another",
                code="NAME_IN_USE",
            )
        if isinstance(form.action, CallForm):
            await calls.create(
                tx,
                desk.actor,
                made.id,
                url=form.action.url,
                method=form.action.method,
                headers=form.action.headers or None,
                body_template=form.action.body,
            )
    return made


def _retry(desk: "Desk", retries: int | None, kind: Kind) -> RetryPolicy | None:
    """A policy of the job's own, when retries are asked for."""
    if retries is None:
        return None
    return own_retry_policy(kind, {"attempts": retries + 1}, None, desk.settings.rules)
