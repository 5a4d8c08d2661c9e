"""`taskyard doctor`: is everything here that the yard needs, and if not, what to do?"""

import asyncio

import typer

from taskyard.cli import screen
from taskyard.cli.options import AsJson, DataDir
from taskyard.cli.usage import Commands


def register(app: Commands, panel: str) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=panel)(doctor)


def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check this machine and the yard's database, and say how to mend what is broken (then exit code 1)."""
    from taskyard import settings
    from taskyard.cli import checks, logs

    chosen = settings.load(data_dir=data_dir)
    logs.quiet()
    findings = asyncio.run(checks.examine(chosen))
    healthy = all(each.health is not checks.Health.BROKEN for each in findings)
    if as_json:
        screen.data({"healthy": healthy, "checks": findings})
    else:
        rows = [(each.health.value, each.check, each.fact, each.mend or "") for each in findings]
        screen.table(("Status", "Check", "Found", "To do"), rows, "")
    if not healthy:
        raise typer.Exit(1)
