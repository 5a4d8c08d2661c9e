"""What executions print, shown as it comes: bytes for a terminal, one JSON object a line for programs."""

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from taskyard.cli import screen
from taskyard.domain.executions import ACTIVE, Execution, Status
from taskyard.domain.outputs import Place, leftovers, pieces
from taskyard.domain.runs import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskyard.cli.desk import Desk
    from taskyard.domain.outputs import Piece
    from taskyard.services.outputs import Chunk

PAUSE_SECONDS = 0.2
"""Between two looks at an output that has nothing new."""


async def show(desk: "Desk", execution: Execution, *, follow: bool, as_json: bool, offset: int = 0) -> None:
    """Write the output from byte `offset` on; with `follow` until the execution has ended."""
    from taskyard.services import outputs

    place = Place(offset)
    while True:
        async with desk.database.read() as tx:
            reading = await outputs.read(tx, desk.actor, execution.id, place.offset)
        if as_json:
            told, place = pieces(place, reading.chunks)
            _tell(told)
        else:
            _copy(reading.chunks)
            place = Place(reading.next_offset)
        if reading.ended or (not reading.chunks and not follow):
            _tell(leftovers(place))
            return
        if not reading.chunks:
            await asyncio.sleep(PAUSE_SECONDS)


async def follow_run(desk: "Desk", execution: Execution, *, as_json: bool) -> Execution:
    """Follow an execution and the retries after it; the last of them as it ended."""
    from taskyard.services import executions

    current = execution
    while True:
        await show(desk, current, follow=True, as_json=as_json)
        async with desk.database.read() as tx:
            attempts, _ = await executions.page(tx, desk.actor, run_id=execution.run_id, limit=100)
        latest = max(attempts, key=lambda each: each.attempt)
        if latest.status not in ACTIVE:
            return latest
        if not as_json:
            wait = screen.ago(latest.available_at)
            screen.note(f"attempt {current.attempt} failed; attempt {latest.attempt} follows {wait}")
        current = latest


def tell_end(execution: Execution, *, as_json: bool) -> None:
    """How it went; leaves with exit code 1 unless it went well."""
    import typer

    if as_json:
        screen.say(json.dumps({"execution_id": str(execution.id), "status": execution.status.value}))
    else:
        why = execution.error or execution.reason
        screen.note(
            f"{execution.status.value} after {screen.milliseconds(execution.duration_ms) or '0 ms'}"
            + (f": {why}" if why else "")
        )
    if execution.status is not Status.SUCCESS:
        raise typer.Exit(1)


def _tell(told: "Sequence[Piece]") -> None:
    """One JSON object a line, for programs."""
    for piece in told:
        screen.say(json.dumps({"offset": piece.offset, "stream": piece.stream.value, "text": piece.text}))


def _copy(chunks: "Sequence[Chunk]") -> None:
    """The bytes, each stream's to its own; a terminal sees them in the order in which they came."""
    for chunk in chunks:
        target = sys.stderr if chunk.stream is Stream.STDERR else sys.stdout
        target.buffer.write(chunk.content)
        target.flush()
