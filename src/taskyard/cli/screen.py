"""What commands write: results on stdout, for people as tables and for programs as JSON, errors on stderr.

Names and messages come from users, so they are never read as markup, and control characters in them never reach the
terminal.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from taskyard.cli.plain import as_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

TEXTS = frozenset({"Why", "Found", "To do", "Daylight saving"})
"""Columns of sentences, which may take several lines."""

NAMES = frozenset({"Job", "Name", "E-mail"})
"""Columns of words by people, which are cut where they would leave no room for the rest."""

MIN_TEXT = 24
"""Letters a column of sentences is worth having from; narrower, others make room for it."""

GAP = 3
"""Letters between two columns."""

STYLES = {
    "queued": "yellow",
    "running": "cyan",
    "success": "green",
    "failure": "red",
    "timed_out": "red",
    "dead_letter": "bold red",
    "cancelled": "bright_black",
    "skipped": "bright_black",
    "missed": "magenta",
    "ok": "green",
    "on": "green",
    "off": "bright_black",
    "warning": "yellow",
    "broken": "bold red",
}


@lru_cache(maxsize=1)
def console() -> "Console":
    """Standard output."""
    from rich.console import Console

    return Console(highlight=False)


def error(message: str) -> None:
    """One red line on stderr."""
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble(("Error: ", "bold red"), (clean(message), "red"))
    Console(stderr=True, highlight=False, soft_wrap=True).print(line)


def note(message: str) -> None:
    """A remark for the person at the terminal, on stderr."""
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(clean(message), "bright_black"))


def clean(text: str) -> str:
    """`text` on one line, without anything a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text.rstrip("\n"))


def cell(value: object) -> "Text":
    """`value` as a table shows it; the words of the yard have their colours."""
    from rich.text import Text

    if value is None:
        return Text("-", "bright_black")
    if isinstance(value, datetime):
        return Text(local(value))
    if isinstance(value, bool):
        value = "on" if value else "off"
    text = clean(str(value))
    return Text(text, STYLES.get(text, ""))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str, *, spare: Sequence[str] = ()) -> None:
    """Rows under headings, or the sentence `empty`. A narrow terminal goes without `spare` columns, the first first.

    Without a terminal a line is a row and tabs stand between its cells, for programs that cut and count.
    """
    listed = [[cell(value) for value in row] for row in rows]
    if not listed:
        say(empty)
    elif not console().is_terminal:
        for row in (columns, *listed):
            say("\t".join(str(value) for value in row))
    else:
        _draw(columns, listed, fitting(columns, listed, spare, console().width))


def fitting(columns: Sequence[str], rows: Sequence[Sequence[object]], spare: Sequence[str], width: int) -> list[int]:
    """The places of the columns that are shown on `width` letters."""
    from rich.cells import cell_len

    needed = {
        place: max(_needs(column, cell_len(str(value))) for value in (column, *(row[place] for row in rows)))
        for place, column in enumerate(columns)
    }
    for name in spare:
        if sum(needed.values()) + GAP * (len(needed) - 1) <= width:
            break
        needed.pop(columns.index(name), None)
    return list(needed)


def _needs(column: str, length: int) -> int:
    return min(length, MIN_TEXT) if column in TEXTS | NAMES else length


def _draw(columns: Sequence[str], rows: Sequence[Sequence["Text"]], places: Sequence[int]) -> None:
    from rich import box
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    name_width = max(MIN_TEXT, console().width // 3)
    for place in places:
        column = columns[place]
        if column in TEXTS:
            grid.add_column(column, overflow="fold")
        else:
            limit = name_width if column in NAMES else None
            grid.add_column(column, overflow="ellipsis", no_wrap=True, max_width=limit)
    for row in rows:
        grid.add_row(*(row[place] for place in places))
    console().print(grid)


def facts(pairs: Mapping[str, object]) -> None:
    """Names and values below one another, without a terminal with a tab between; unset ones are left out."""
    from rich.table import Table

    told = {name: cell(value) for name, value in pairs.items() if value is not None}
    if not console().is_terminal:
        for name, value in told.items():
            say(f"{name}\t{value}")
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bright_black", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in told.items():
        grid.add_row(name, value)
    console().print(grid)


def say(text: str = "") -> None:
    """A plain line on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def data(value: Any) -> None:
    """`value` as JSON on stdout."""
    say(as_json(value))


def local(at: datetime) -> str:
    """A moment on the clock of this terminal, with the name of its zone."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def ago(at: datetime | None, now: datetime | None = None) -> str | None:
    """How far a moment lies off, in words: "3 min ago", "in 12 s"."""
    if at is None:
        return None
    distance = at - (now or datetime.now(UTC))
    length = spoken(abs(distance))
    return f"in {length}" if distance > timedelta(0) else f"{length} ago"


def spoken(length: timedelta) -> str:
    """A duration in its largest unit."""
    seconds = length.total_seconds()
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def milliseconds(count: int | None) -> str | None:
    """A run's length."""
    if count is None:
        return None
    return f"{count} ms" if count < 1000 else f"{count / 1000:.1f} s"


def short(ident: object) -> str:
    """The end of an id, which tells ids apart where their beginning is only the time they were made."""
    return str(ident)[-8:]
