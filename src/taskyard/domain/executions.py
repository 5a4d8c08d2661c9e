"""Executions: one attempt to run something, and the only place that says how it may change.

held ──release──▶ queued ──begin──▶ running ──finish──▶ success
  │                 │                  │                failure / timed_out ──▶ a new row, attempt + 1
  │                 │                  │                dead_letter
  └────cancel───────┴──────cancel──────┴──────────────▶ cancelled
skipped, missed: due times that never ran
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Job, Kind
from taskyard.domain.queues import Queue, Ticket
from taskyard.domain.retries import CRASH_ATTEMPTS, RetryPolicy
from taskyard.domain.runs import Cause, Outcome, Verdict


class Status(StrEnum):
    """The words of RULINGS §3."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    DEAD_LETTER = "dead_letter"
    SKIPPED = "skipped"
    MISSED = "missed"


ACTIVE = frozenset({Status.QUEUED, Status.RUNNING})


class Trigger(StrEnum):
    """Who asked for a run; later attempts keep the word of the first."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    REPLAY = "replay"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Execution:
    """One attempt. `run_id` is the id of the run's first attempt and the same for all of them.

    `held` means queued, but waiting for an earlier execution of its job before the engine is told. `dead` marks the
    last failed attempt of a run, which lists among the dead letters. `spec` is what to run when no job says so.
    """

    id: UUID
    tenant_id: UUID
    run_id: UUID
    kind: Kind
    trigger: Trigger
    status: Status
    created_at: datetime
    available_at: datetime
    job_id: UUID | None = None
    subscription_id: UUID | None = None
    attempt: int = 1
    queue: Queue = Queue.NORMAL
    priority: int = 0
    held: bool = False
    dead: bool = False
    due_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_ms: int | None = None
    worker_id: UUID | None = None
    reason: str | None = None
    error: str | None = None
    response_code: int | None = None
    exit_code: int | None = None
    result: Mapping[str, Any] = field(default_factory=dict[str, Any])
    spec: Mapping[str, Any] = field(default_factory=dict[str, Any])
    cancel_requested_at: datetime | None = None
    replay_of: UUID | None = None
    requested_by: UUID | None = None


def first_attempt(job: Job, trigger: Trigger, now: datetime, **facts: Any) -> Execution:
    """The first attempt of a run of `job`, queued at once; `facts` are what is particular to it."""
    ident = new_id()
    plain = Execution(
        id=ident,
        run_id=ident,
        tenant_id=job.tenant_id,
        job_id=job.id,
        kind=job.kind,
        trigger=trigger,
        status=Status.QUEUED,
        queue=job.queue,
        priority=job.priority,
        created_at=now,
        available_at=now,
    )
    return replace(plain, **facts)


def next_attempt(ended: Execution, now: datetime, at: datetime) -> Execution:
    """The attempt of the same run that follows a failed one, to begin not before `at`."""
    return replace(
        _successor(ended, now),
        run_id=ended.run_id,
        trigger=ended.trigger,
        attempt=ended.attempt + 1,
        available_at=at,
        due_at=ended.due_at,
        replay_of=ended.replay_of,
        requested_by=ended.requested_by,
    )


def replayed(ended: Execution, now: datetime, requested_by: UUID | None, *, same_run: bool = False) -> Execution:
    """The work of an ended execution once more: a run of its own, or the same one (a delivery keeps its id)."""
    again = replace(_successor(ended, now), replay_of=ended.id, requested_by=requested_by)
    return replace(again, run_id=ended.run_id) if same_run else again


def _successor(ended: Execution, now: datetime) -> Execution:
    """What whatever follows an execution takes over from it: the work and its place, nothing of how it went."""
    ident = new_id()
    return Execution(
        id=ident,
        run_id=ident,
        tenant_id=ended.tenant_id,
        job_id=ended.job_id,
        subscription_id=ended.subscription_id,
        kind=ended.kind,
        trigger=Trigger.REPLAY,
        status=Status.QUEUED,
        queue=ended.queue,
        priority=ended.priority,
        spec=ended.spec,
        created_at=now,
        available_at=now,
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


def ticket(execution: Execution) -> Ticket:
    """The execution's place in the engine."""
    return Ticket(execution.id, execution.kind.value, execution.queue, execution.priority, execution.available_at)


def facts(execution: Execution) -> dict[str, Any]:
    """What events say of an execution; unset facts are left out."""
    known: dict[str, Any] = {
        "execution_id": str(execution.id),
        "run_id": str(execution.run_id),
        "job_id": _text(execution.job_id),
        "kind": execution.kind.value,
        "trigger": execution.trigger.value,
        "queue": execution.queue.value,
        "status": execution.status.value,
        "attempt": execution.attempt,
        "due_at": _text(execution.due_at),
        "worker_id": _text(execution.worker_id),
        "duration_ms": execution.duration_ms,
        "reason": execution.reason,
        "error": execution.error,
        "response_code": execution.response_code,
        "exit_code": execution.exit_code,
    }
    return {name: value for name, value in known.items() if value is not None}


def _text(value: UUID | datetime | None) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return None if value is None else str(value)
