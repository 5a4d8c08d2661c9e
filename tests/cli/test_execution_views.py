"""Executions as a terminal shows them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from taskyard.cli import execution_views, screen
from taskyard.domain.executions import Execution, Status, Trigger
from taskyard.domain.jobs import Kind

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUEUED = Execution(
    id=UUID(int=1),
    tenant_id=UUID(int=2),
    run_id=UUID(int=1),
    kind=Kind.HTTP,
    trigger=Trigger.SCHEDULE,
    status=Status.QUEUED,
    created_at=NOW - timedelta(seconds=20),
    available_at=NOW - timedelta(seconds=20),
)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({}, None),
        ({"available_at": NOW + timedelta(minutes=5)}, "in 5 min"),
        ({"status": Status.RUNNING, "started_at": NOW - timedelta(seconds=3)}, "3 s ago"),
        ({"status": Status.MISSED, "due_at": NOW - timedelta(hours=2)}, "due 2 h ago"),
        ({"status": Status.SKIPPED, "due_at": NOW - timedelta(minutes=1)}, "due 1 min ago"),
        ({"status": Status.CANCELLED, "due_at": NOW - timedelta(minutes=1)}, None),
    ],
)
def test_when_tells_what_has_happened_or_will(facts: dict[str, Any], told: str | None) -> None:
    assert execution_views.when(replace(QUEUED, **facts), NOW) == told


def _shown(capsys: pytest.CaptureFixture[str], result: dict[str, Any]) -> dict[str, str]:
    screen.console.cache_clear()
    execution_views.show(replace(QUEUED, result=result), {})
    lines = capsys.readouterr().out.splitlines()
    return dict(line.split("\t", 1) for line in lines)


def test_calls_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    call = {"url": "https://example.com/a", "method": "PUT", "status": 503, "headers": {}, "body": "busy " * 100}
    told = _shown(
        capsys,
        {
            "calls": [call | {"duration_ms": 12.4, "error": None}, call | {"status": None, "error": "refused"}],
            "calls_not_made": 1,
        },
    )
    assert told["Call 1"] == "PUT https://example.com/a -> 503 in 12 ms"
    assert told["Call 2"] == "PUT https://example.com/a -> refused in 0 ms"
    assert told["Answer 1"].endswith("busy ... (--json shows all of it)")
    assert told["Calls not made"] == "1"


def test_the_end_of_a_command_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    told = _shown(capsys, {"output_bytes": 35, "output_truncated": True, "signal": "SIGKILL"})
    assert told["Output"] == "35 bytes, of which the last were dropped"
    assert told["Signal"] == "SIGKILL"
    assert "Calls not made" not in _shown(capsys, {"calls": [], "calls_not_made": 0})
    assert _shown(capsys, {"output_bytes": 35, "output_truncated": False})["Output"] == "35 bytes"
