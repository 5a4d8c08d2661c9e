"""Executions as a terminal shows them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from taskyard.cli import screen
from taskyard.domain.executions import Execution, Status

MAX_BODY = 200
"""Letters of an answer's body that are shown; the whole of it is in the JSON."""

NEVER_RAN = frozenset({Status.SKIPPED, Status.MISSED})


def table(executions: Sequence[Execution], names: Mapping[UUID, str], empty: str) -> None:
    """One line for each execution, with the job it belongs to."""
    jobs = [names.get(each.job_id) if each.job_id else each.kind.value for each in executions]
    _table(executions, {"Job": jobs}, empty)


def of_job(executions: Sequence[Execution]) -> None:
    """The latest executions of one job."""
    _table(executions, {}, "It has not run yet")


def _table(executions: Sequence[Execution], extra: Mapping[str, Sequence[object]], empty: str) -> None:
    now = datetime.now(UTC)
    columns: dict[str, Sequence[object]] = {
        "ID": [screen.short(each.id) for each in executions],
        **extra,
        "Status": [each.status.value for each in executions],
        "Attempt": [each.attempt for each in executions],
        "Trigger": [each.trigger.value for each in executions],
        "When": [when(each, now) for each in executions],
        "Took": [screen.milliseconds(each.duration_ms) for each in executions],
        "Why": [each.error or each.reason or "" for each in executions],
    }
    screen.table(list(columns), list(zip(*columns.values(), strict=True)), empty, spare=("Trigger", "Took", "Attempt"))


def when(execution: Execution, now: datetime) -> str | None:
    """When it began, when it was due if it never ran, when it may begin if it waits for a time; else None."""
    if execution.started_at is not None:
        return screen.ago(execution.started_at, now)
    if execution.status in NEVER_RAN and execution.due_at is not None:
        return f"due {screen.ago(execution.due_at, now)}"
    if execution.status is Status.QUEUED and execution.available_at > now:
        return screen.ago(execution.available_at, now)
    return None


def show(found: Execution, names: Mapping[UUID, str]) -> None:
    """Everything known of one execution."""
    screen.facts(
        {
            "Execution": found.id,
            "Job": names.get(found.job_id) if found.job_id else found.kind.value,
            "Status": found.status.value,
            "Attempt": found.attempt,
            "Trigger": found.trigger.value,
            "Queue": found.queue.value,
            "Due": found.due_at,
            "Queued": found.created_at,
            "Available": found.available_at if found.available_at != found.created_at else None,
            "Started": found.started_at,
            "Ended": found.finished_at,
            "Took": screen.milliseconds(found.duration_ms),
            "Response": found.response_code,
            "Exit code": found.exit_code,
            "Error": found.error,
            "Reason": found.reason,
            "Replay of": found.replay_of,
            **_result(found.result),
        }
    )


def _result(result: Mapping[str, Any]) -> dict[str, object]:
    """What the runner kept of its work, in words."""
    rest = dict(result)
    told: dict[str, object] = {}
    for place, call in enumerate(rest.pop("calls", ()), 1):
        told |= {f"Call {place}": _call(call), f"Answer {place}": _shortened(call.get("body"))}
    size, cut = rest.pop("output_bytes", None), rest.pop("output_truncated", False)
    if not rest.get("calls_not_made"):
        rest.pop("calls_not_made", None)
    if size is not None:
        told["Output"] = f"{size} bytes{', of which the last were dropped' if cut else ''}"
    return told | {name.replace("_", " ").capitalize(): value for name, value in rest.items()}


def _call(call: Mapping[str, Any]) -> str:
    ended = " ".join(str(call[name]) for name in ("status", "error") if call.get(name) is not None)
    took = screen.milliseconds(round(call.get("duration_ms") or 0))
    return f"{call.get('method')} {call.get('url')} -> {ended} in {took}"


def _shortened(body: str | None) -> str | None:
    if not body:
        return None
    return body if len(body) <= MAX_BODY else f"{body[:MAX_BODY]}... (--json shows all of it)"
