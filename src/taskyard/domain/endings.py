"""How executions end, and what follows from it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from taskyard.domain.executions import Execution, Status
from taskyard.domain.retries import CRASH_ATTEMPTS, RetryPolicy
from taskyard.domain.runs import Cause, Outcome, Verdict
from taskyard.domain.texts import storable


def cancelled(execution: Execution, reason: str | None, now: datetime) -> Execution:
    """An execution that waits, ended at once."""
    return replace(execution, status=Status.CANCELLED, held=False, reason=reason, finished_at=now)


def ended(execution: Execution, outcome: Outcome, decided: "Ending", now: datetime) -> Execution:
    """An execution that ran, with how it went and what was decided."""
    began = execution.started_at or now
    return replace(
        execution,
        status=decided.status,
        dead=decided.dead,
        reason=decided.reason,
        finished_at=now,
        duration_ms=max(0, round((now - began).total_seconds() * 1000)),
        error=storable(outcome.error),
        response_code=outcome.response_code,
        exit_code=outcome.exit_code,
        result=storable(outcome.result),
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ends. `retry_at` set means that a new attempt is queued for then."""

    status: Status
    reason: str | None = None
    dead: bool = False
    retry_at: datetime | None = None


def ending(
    execution: Execution,
    outcome: Outcome,
    policy: RetryPolicy,
    now: datetime,
    draw: float,
    *,
    at_least_once: bool,
) -> Ending:
    """What follows from `outcome`: success, cancelled, another attempt, or the end of the run.

    `draw` in [0, 1) decides the jitter. `at_least_once` says whether a lost worker's run is started again.
    """
    if outcome.verdict is Verdict.SUCCEEDED:
        return Ending(Status.SUCCESS)
    if execution.cancel_requested_at is not None or outcome.verdict is Verdict.CANCELLED:
        return Ending(Status.CANCELLED, reason=execution.reason or outcome.error)
    if outcome.cause is Cause.WORKER_LOST:
        return _after_lost_worker(execution, policy, now, at_least_once=at_least_once)
    failed = Status.TIMED_OUT if outcome.verdict is Verdict.TIMED_OUT else Status.FAILURE
    if policy.wants(outcome, execution.attempt):
        wait = policy.wait(execution.attempt, draw, outcome.retry_after)
        return Ending(failed, retry_at=now + timedelta(seconds=wait))
    return _dead(execution, failed, policy)


def _after_lost_worker(execution: Execution, policy: RetryPolicy, now: datetime, *, at_least_once: bool) -> Ending:
    if at_least_once and execution.attempt < max(policy.attempts, CRASH_ATTEMPTS):
        return Ending(Status.FAILURE, reason="worker lost", retry_at=now)
    return Ending(Status.DEAD_LETTER, reason="worker lost", dead=True)


def _dead(execution: Execution, failed: Status, policy: RetryPolicy) -> Ending:
    """A run with one attempt that met its time limit stays `timed_out`; every other last failure is a dead letter."""
    if failed is Status.TIMED_OUT and policy.attempts == 1:
        return Ending(Status.TIMED_OUT, reason="time limit", dead=True)
    if execution.attempt >= policy.attempts > 1:
        return Ending(Status.DEAD_LETTER, reason=f"failed {execution.attempt} of {policy.attempts} attempts", dead=True)
    return Ending(Status.DEAD_LETTER, reason="not retried", dead=True)
