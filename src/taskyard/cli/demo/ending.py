"""The demo's last words: the yard's own numbers, and where to go from here."""

import json
from typing import TYPE_CHECKING

from taskyard.cli import screen
from taskyard.cli.demo.receiver import Receiver
from taskyard.cli.demo.scene import Scene
from taskyard.cli.demo.story import INVOICES, REPORT
from taskyard.domain.executions import Status

if TYPE_CHECKING:
    from taskyard.services.metrics import Metrics


def tell(scene: Scene, receiver: Receiver, numbers: "Metrics", seconds: float, *, as_json: bool) -> None:
    """Write the summary on stdout."""
    told = _signed_deliveries(receiver)
    if as_json:
        summary = {
            "executions": dict(numbers.executions.by_status),
            "events": len(scene.events),
            "signed_deliveries": told,
            "seconds": round(seconds, 1),
        }
        screen.say(json.dumps({"summary": summary}))
        return
    by_status = ", ".join(f"{count} {status}" for status, count in sorted(numbers.executions.by_status.items()))
    lines = [
        _retried(scene),
        _dead(scene, told),
        _replayed(scene),
        f"{len(scene.events)} events in one history, numbered {_span(scene)} without a gap",
        f"{numbers.executions.total} executions: {by_status}",
        f"{seconds:.1f} s, one process, SQLite in a temporary folder that is gone now",
    ]
    _print(lines)


def _retried(scene: Scene) -> str:
    attempts = scene.of(REPORT)
    codes = " then ".join(str(each.response_code) for each in attempts)
    return f"The call of job {REPORT!r} was answered {codes}: {attempts[-1].status.value} at attempt {len(attempts)}"


def _dead(scene: Scene, told: int) -> str:
    dead = next(each for each in scene.of(INVOICES) if each.status is Status.DEAD_LETTER)
    return f"Job {INVOICES!r} became a dead letter ({dead.reason}), told to its subscriber in {told} signed webhook(s)"


def _replayed(scene: Scene) -> str:
    replay = next(each for each in scene.of(INVOICES) if each.replay_of is not None)
    return f"The dead letter was replayed: {replay.status.value}"


def _signed_deliveries(receiver: Receiver) -> int:
    return sum(each.path == "/events" and each.signed and each.status == 200 for each in receiver.received)


def _span(scene: Scene) -> str:
    """The numbers of the events that were read; a gap would show here."""
    numbers = [event.seq for event in scene.events]
    whole = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return f"{numbers[0]} to {numbers[-1]}" if whole else f"{numbers}, not"


def _print(lines: list[str]) -> None:
    onward = (
        "Now your own:",
        "  taskyard serve            a yard that stays",
        "  taskyard jobs add --help  your first job",
    )
    if not screen.console().is_terminal:
        screen.say("\n".join(["", "== What happened", *(f"- {line}" for line in lines), "", *onward]))
        return
    from rich.panel import Panel
    from rich.text import Text

    body = Text()
    for line in lines:
        body.append("✔ ", "green")
        body.append(f"{screen.clean(line)}\n")
    body.append(f"\n{onward[0]}\n", "bold")
    body.append("\n".join(onward[1:]), "cyan")
    screen.console().print(Panel(body, title="What happened", title_align="left", border_style="green"))
