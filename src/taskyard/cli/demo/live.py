"""The demo in a terminal: one picture that moves."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskyard.cli import screen
from taskyard.cli.demo.scene import Scene
from taskyard.domain.executions import Execution, Status

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

ROWS = 8
TAIL = 8
_PERIOD = 0.1
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_EVENT_STYLES = {
    "execution.succeeded": "green",
    "execution.failed": "red",
    "execution.dead_lettered": "bold red",
    "execution.started": "cyan",
    "execution.queued": "yellow",
}


def picture(scene: Scene, *, address: str) -> "RenderableType":
    """The whole scene, for a live display."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    halves = Table.grid(expand=True, padding=(0, 1, 0, 0))
    halves.add_column(ratio=2)
    halves.add_column(ratio=3)
    halves.add_row(
        Panel(_output(scene), title="Live output", title_align="left", border_style="blue", height=TAIL + 2),
        Panel(_events(scene), title="Events", title_align="left", border_style="magenta", height=TAIL + 2),
    )
    return Group(
        Text.assemble(("Taskyard ", "bold cyan"), (scene.chapter, "bold")),
        Text(_soon(scene, address), "bright_black"),
        Panel(_executions(scene), title="Executions", title_align="left", border_style="cyan", height=ROWS + 3),
        halves,
    )


def _soon(scene: Scene, address: str) -> str:
    runs = sorted(scene.next_runs.items(), key=lambda each: each[1])
    clock = ", ".join(f"{name} {screen.ago(at)}" for name, at in runs[:4])
    return f"On the clock: {clock}" if clock else f"The other side listens on {address}"


def _executions(scene: Scene) -> "RenderableType":
    from rich.table import Table

    grid = Table(box=None, expand=True, pad_edge=False, header_style="bright_black")
    for column in ("Job", "Attempt", "Status", "Answer", "Took"):
        grid.add_column(column, no_wrap=True)
    grid.add_column("Why", no_wrap=True, overflow="ellipsis", ratio=1)
    for each in scene.executions[-ROWS:]:
        grid.add_row(
            screen.cell(scene.name(each)),
            str(each.attempt),
            _status(each),
            screen.cell(_answer(each)),
            screen.milliseconds(each.duration_ms) or "",
            screen.cell(each.error or each.reason or ""),
        )
    return grid


def _status(execution: Execution) -> "Text":
    from rich.text import Text

    word = execution.status.value
    style = screen.STYLES.get(word, "")
    now = datetime.now(UTC)
    if execution.status is Status.RUNNING:
        turn = int(now.timestamp() / _PERIOD) % len(_SPINNER)
        return Text(f"{_SPINNER[turn]} running", style)
    ahead = (execution.available_at - now).total_seconds()
    if execution.status is Status.QUEUED and ahead > 0:
        return Text(f"◷ again in {ahead:.1f} s", style)
    marks = {Status.SUCCESS: "✔", Status.FAILURE: "✘", Status.DEAD_LETTER: "✝", Status.QUEUED: "◷"}
    return Text(f"{marks.get(execution.status, '·')} {word.replace('_', ' ')}", style)


def _answer(execution: Execution) -> str:
    if execution.response_code is not None:
        return f"HTTP {execution.response_code}"
    return f"exit {execution.exit_code}" if execution.exit_code is not None else ""


def _output(scene: Scene) -> "RenderableType":
    from rich.text import Text

    shown = "\n".join(screen.clean(line) for line in scene.lines[-TAIL:])
    return Text(shown or "nothing yet", "" if shown else "bright_black", no_wrap=True, overflow="ellipsis")


def _events(scene: Scene) -> "RenderableType":
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ellipsis")
    for event in scene.events[-TAIL:]:
        text.append(f"{event.seq:>3} ", "bright_black")
        text.append(f"{event.type:<24}", _EVENT_STYLES.get(event.type, ""))
        text.append(f" {screen.clean(scene.sentence(event))}\n")
    text.rstrip()
    return text
