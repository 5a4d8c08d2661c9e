"""`taskyard migrate`: the database brought up to this program's version."""

import asyncio

from taskyard.cli import screen
from taskyard.cli.desk import require_yard
from taskyard.cli.options import AsJson, DataDir
from taskyard.cli.usage import Commands


def register(app: Commands, panel: str) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=panel)(migrate)


def migrate(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Bring the database up to this version. `serve` and `worker` do so by themselves."""
    from taskyard import bootstrap, settings
    from taskyard.cli import logs

    chosen = settings.load(data_dir=data_dir)
    require_yard(chosen)
    logs.quiet()

    async def upgrade() -> bool:
        async with bootstrap.base(chosen, upgrade=False) as base:
            outdated = await bootstrap.outdated(base)
        async with bootstrap.base(chosen):
            return outdated

    changed = asyncio.run(upgrade())
    if as_json:
        screen.data({"changed": changed, "version": bootstrap.VERSION})
    else:
        screen.say("The database is now up to date" if changed else "The database was up to date already")
