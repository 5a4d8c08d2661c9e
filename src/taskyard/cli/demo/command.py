"""`taskyard demo`: opens a yard in a temporary folder, plays the story, shows it, and leaves nothing behind."""

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskyard.cli import screen
from taskyard.cli.demo import ending, story
from taskyard.cli.demo.lines import LineTeller
from taskyard.cli.demo.receiver import receiving
from taskyard.cli.demo.scene import Scene, SceneReader
from taskyard.cli.options import AsJson
from taskyard.cli.usage import Commands
from taskyard.domain.errors import Unavailable

if TYPE_CHECKING:
    from rich.live import Live

    from taskyard.services.metrics import Metrics

READERS_PAUSE = 1.2
"""Seconds between chapters for a person who watches."""
FRAMES_PER_SECOND = 12


def register(app: Commands, panel: str) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=panel)(demo)


def demo(
    fast: Annotated[bool, typer.Option("--fast", help="Without pauses for reading.", show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Tell the whole story in 20 seconds: live output, a retry, a dead letter, its replay. Leaves nothing behind."""
    from taskyard.cli import logs

    logs.quiet()
    # A demo that is killed politely cleans up as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    watched = sys.stdout.isatty() and not as_json
    pace = READERS_PAUSE if watched and not fast else 0.0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="taskyard-demo-") as folder:
        stage, numbers = asyncio.run(_play(Path(folder), watched=watched, pace=pace, as_json=as_json))
    seconds = time.monotonic() - began
    ending.tell(stage.reader.scene, stage.receiver, numbers, seconds, as_json=as_json)


async def _play(folder: Path, *, watched: bool, pace: float, as_json: bool) -> "tuple[story.Stage, Metrics]":
    tell: Callable[[Scene], None] = _leave_to_the_display if watched else LineTeller(as_json=as_json).tell
    async with _stage(folder, pace, tell) as stage:
        with _display(stage) if watched else nullcontext():
            return stage, await story.tell(stage)


def _leave_to_the_display(_scene: Scene) -> None:
    """The live display looks at the scene by itself."""


@asynccontextmanager
async def _stage(folder: Path, pace: float, tell: Callable[[Scene], None]) -> AsyncGenerator[story.Stage]:
    """A real yard, whatever the settings of this terminal say."""
    from taskyard import bootstrap
    from taskyard.services import accounts, first_start
    from taskyard.settings import Settings

    settings = Settings.model_validate({"data_dir": folder, "shutdown_grace_seconds": 2.0})
    async with receiving() as receiver, bootstrap.process(settings, bootstrap.Roles()) as running:
        database = running.base.database
        await first_start.open_yard(database, email=settings.owner_email, password=None, api_key=None)
        async with database.read() as tx:
            owner = await accounts.find_operator(tx)
        if owner is None:
            raise Unavailable("The demo's yard has no owner")
        yield story.Stage(running, owner, receiver, SceneReader(running, owner, tell), pace)


def _display(stage: story.Stage) -> "Live":
    from rich.live import Live

    from taskyard.cli.demo.live import picture

    return Live(
        get_renderable=lambda: picture(stage.reader.scene, address=stage.receiver.url),
        console=screen.console(),
        refresh_per_second=FRAMES_PER_SECOND,
        redirect_stdout=False,
        redirect_stderr=False,
    )
