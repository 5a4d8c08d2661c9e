"""What the end of a command is to its owner: exit code, signal, how much it printed."""

import signal
from typing import Any

from taskyard.adapters.runners.capture import Allowance
from taskyard.domain.runs import Cause, Outcome, Verdict


def facts_of(code: int | None, allowance: Allowance) -> dict[str, Any]:
    """What an `Outcome` keeps of a command's end."""
    result: dict[str, Any] = {"output_truncated": allowance.truncated, "output_bytes": allowance.total_bytes}
    if code is not None and code < 0:
        result["signal"] = _signal_name(-code)
    return {"exit_code": code, "result": result}


def judged(facts: dict[str, Any]) -> Outcome:
    """The outcome of a command that ended by itself."""
    code: int | None = facts["exit_code"]
    if code == 0:
        return Outcome(Verdict.SUCCEEDED, **facts)
    if code is not None and code < 0:
        return Outcome.failed(Cause.EXIT_CODE, f"killed by signal {_signal_name(-code)} ({-code})", **facts)
    return Outcome.failed(Cause.EXIT_CODE, f"exit code {code}", **facts)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
