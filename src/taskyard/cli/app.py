"""The command line put together, and its way with errors: a user's mistake is one line, never a traceback."""

import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer

from taskyard.cli import (
    causes,
    demo,
    doctor,
    executions,
    jobs,
    keys,
    migrate,
    openapi,
    screen,
    serve,
    tenants,
    tokens,
    users,
)
from taskyard.cli.options import epilog
from taskyard.cli.usage import Commands, Group
from taskyard.domain.errors import NotFound, TaskyardError, Unavailable

RUN = "Run the yard"
WORK = "Work"
ACCESS = "People and access"
LEARN = "Learn and build"

ORDER = ("serve", "worker", "migrate", "doctor", "jobs", "executions", "user", "key", "token", "tenant", "demo")


class Ordered(Group):
    """Lists the commands in the order in which people meet them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, those of `ORDER` first."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


app = Commands(
    cls=Ordered,
    name="taskyard",
    help="One yard for the work people give to machines: on a clock or in a queue, watched live, nothing lost.",
    epilog=epilog(
        "taskyard demo                     the whole story in 20 seconds",
        "taskyard serve                    the yard on http://127.0.0.1:8000",
        'taskyard jobs add disk --schedule "0 4 * * *" --command "df -h"',
        "taskyard jobs run disk --follow   run it now and watch",
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(asked: bool) -> None:
    if asked:
        screen.say(f"taskyard {version('taskyard')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version and leave.")
    ] = False,
) -> None:
    """One yard for the work people give to machines: on a clock or in a queue, watched live, nothing lost."""


serve.register(app, RUN)
migrate.register(app, RUN)
doctor.register(app, RUN)
app.add_typer(jobs.commands, name="jobs", rich_help_panel=WORK)
app.add_typer(executions.commands, name="executions", rich_help_panel=WORK)
app.add_typer(users.commands, name="user", rich_help_panel=ACCESS)
app.add_typer(keys.commands, name="key", rich_help_panel=ACCESS)
tokens.register(app, ACCESS)
app.add_typer(tenants.commands, name="tenant", rich_help_panel=ACCESS)
demo.register(app, LEARN)
openapi.register(app, LEARN)


def main() -> None:
    """Run the command line. Exit code 1 for what went wrong, 2 for wrong usage, 130 for Ctrl-C."""
    if not sys.stdout:
        screen.error("Standard output is closed; to see nothing, send it to /dev/null")
        sys.exit(1)
    try:
        app()
    except TaskyardError as error:
        screen.error(_told(error))
        sys.exit(1)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        screen.error(f"{error.strerror or error}{place}")
        sys.exit(1)
    except Exception as error:
        refusal = causes.refusal(error)
        if refusal is None:
            raise
        screen.error(f"The database refuses us: {refusal}; {causes.remedy(error)}")
        sys.exit(1)


def _told(error: TaskyardError) -> str:
    """The error's own sentence, with what was looked for, or the driver's words for a database that is away."""
    if isinstance(error, NotFound):
        return f"{error.message}: {error.details['id']}"
    if not isinstance(error, Unavailable) or error.__cause__ is None:
        return error.message
    return f"{causes.told(error.message, error.__cause__)}; `taskyard doctor` looks closer"
