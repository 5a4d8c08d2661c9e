"""Executions: one attempt to run something, how it comes into being and what is told of it. `endings` says how it ends.

held ──release──▶ queued ──begin──▶ running ──finish──▶ success
  │                 │                  │                failure / timed_out ──▶ a new row, attempt + 1
  │                 │                  │                dead_letter
  └────cancel───────┴──────cancel──────┴──────────────▶ cancelled
skipped, missed: due times that never ran
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from taskyard.domain.events import Fact
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Job, Kind
from taskyard.domain.queues import Queue, Ticket
from taskyard.domain.times import iso


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


def ticket(execution: Execution) -> Ticket:
    """The execution's place in the engine."""
    return Ticket(execution.id, execution.kind.value, execution.queue, execution.priority, execution.available_at)


EVENT_OF = {
    Status.QUEUED: "execution.queued",
    Status.RUNNING: "execution.started",
    Status.SUCCESS: "execution.succeeded",
    Status.FAILURE: "execution.failed",
    Status.TIMED_OUT: "execution.timed_out",
    Status.CANCELLED: "execution.cancelled",
    Status.DEAD_LETTER: "execution.dead_lettered",
    Status.SKIPPED: "execution.skipped",
    Status.MISSED: "execution.missed",
}
SILENT = frozenset({Kind.DELIVERY})
"""Kinds whose executions make no events: a delivery that told of itself would never end."""


def told(
    executions: Iterable[Execution], actor: str | None = None, retries: Mapping[UUID, Execution] | None = None
) -> list[Fact]:
    """The events that tell of the present status of executions; `retries` are the next attempts, by their run."""
    following = retries or {}
    return [_fact(each, actor, following.get(each.run_id)) for each in executions if each.kind not in SILENT]


def _fact(execution: Execution, actor: str | None, retry: Execution | None) -> Fact:
    data = _facts(execution)
    if retry is not None:
        data |= {"next_execution_id": str(retry.id), "next_attempt_at": iso(retry.available_at)}
    return Fact(
        tenant_id=execution.tenant_id,
        type=EVENT_OF[execution.status],
        data=data,
        job_id=execution.job_id,
        execution_id=execution.id,
        actor=actor,
    )


def _facts(execution: Execution) -> dict[str, Any]:
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
        return iso(value)
    return None if value is None else str(value)
