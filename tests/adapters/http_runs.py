"""Runs for the tests of the HTTP runner."""

from datetime import UTC, datetime
from typing import Any

from taskyard.domain.runs import HttpCall, HttpRun, NetworkPolicy, Outcome

CONTEXT = {"job": {"name": "nightly"}, "execution": {"attempt": 2}, "scheduled_at": datetime(2024, 5, 17, tzinfo=UTC)}


def a_run(*calls: HttpCall, timeout: float = 10.0, private: bool = True) -> HttpRun:
    return HttpRun(calls, CONTEXT, timeout, NetworkPolicy(allow_private=private))


def only_call(outcome: Outcome) -> dict[str, Any]:
    (call,) = outcome.result["calls"]
    return call
