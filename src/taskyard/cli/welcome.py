"""What a starting yard tells the person who started it: where it is, and on the first day, how to get in."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from taskyard.cli import screen
from taskyard.cli.plain import plain
from taskyard.domain.urls import without_secrets

if TYPE_CHECKING:
    from taskyard.services.first_start import Opened
    from taskyard.settings import Settings

_USUAL_DATA_DIR = Path("data")


def tell(
    settings: "Settings", urls: Sequence[str], doing: str, opened: "Opened | None", *, exposed: bool, as_json: bool
) -> None:
    """Print the addresses, and after a first start the owner, their password and what to try, on stdout."""
    if as_json:
        _tell_json(settings, urls, doing, opened)
        return
    if opened is None:
        screen.say(f"Taskyard is open at {' and '.join(urls)} ({doing})")
        _warn(exposed=exposed)
        return
    lines = _first_day(settings, urls, opened)
    if sys.stdout.isatty():
        _between_rules(lines, opened.password)
    else:
        screen.say("\n".join(lines))
    _warn(exposed=exposed)


def _first_day(settings: "Settings", urls: Sequence[str], opened: "Opened") -> list[str]:
    folder = "" if settings.data_dir == _USUAL_DATA_DIR else f" --data-dir {shlex.quote(str(settings.data_dir))}"
    place = settings.data_dir.absolute() if settings.database_url is None else without_secrets(settings.database)
    password = opened.password or "the one you set (TASKYARD_OWNER_PASSWORD)"
    elsewhere = "" if settings.database_url is None else " with the same DATABASE_URL and SECRET_KEY"
    return [
        f"Taskyard is open at {' and '.join(urls)}",
        "",
        f"  Owner:    {opened.email}",
        f"  Password: {password}",
        *(["            shown only this once: keep it"] if opened.password else []),
        f"  Data:     {place}",
        "",
        f"A sample job, {opened.sample.name!r}, runs every minute. Try next, in another terminal{elsewhere}:",
        "",
        f"  taskyard executions list{folder}",
        f"  taskyard jobs run {opened.sample.name} --follow{folder}",
        f'  curl -H "Authorization: Bearer $(taskyard token{folder})" {urls[0]}/api/v1/jobs',
        "  taskyard demo",
        "",
        f"API documentation: {urls[0]}/docs",
    ]


def _between_rules(lines: Sequence[str], password: str | None) -> None:
    """For a terminal. Nothing stands beside the lines, so that commands can be copied however long they are."""
    from rich.rule import Rule
    from rich.text import Text

    body = Text("\n".join(lines))
    body.highlight_regex(r"https?://[\w.:\[\]-]+(/docs)?", "bold cyan")
    body.highlight_regex(r"(?m)^  (taskyard|curl) .*$", "green")
    if password:
        body.highlight_words([password], "bold yellow")
    console = screen.console()
    console.print(Rule(style="cyan"))
    console.print(body, soft_wrap=True)
    console.print(Rule(style="cyan"))


def _tell_json(settings: "Settings", urls: Sequence[str], doing: str, opened: "Opened | None") -> None:
    import json

    told = {
        "urls": list(urls),
        "doing": doing,
        "data_dir": str(settings.data_dir.absolute()),
        "first_start": None
        if opened is None
        else {"email": opened.email, "password": opened.password, "sample_job": plain(opened.sample.id)},
    }
    screen.say(json.dumps(told))


def _warn(*, exposed: bool) -> None:
    if exposed:
        screen.note("Reachable from other machines: put HTTPS in front of it before passwords travel a network.")
