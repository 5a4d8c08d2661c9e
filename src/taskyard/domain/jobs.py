"""Jobs: repeatable definitions of what to run, when, and with which policies."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from taskyard.domain import cron, retries
from taskyard.domain.errors import Invalid
from taskyard.domain.queues import Queue, check_priority, check_queue
from taskyard.domain.retries import NO_RETRY, RetryPolicy
from taskyard.domain.rules import Rules
from taskyard.domain.texts import check_text

MAX_NAME_LENGTH = 255
MAX_COMMAND_LENGTH = 64 * 1024
MAX_COMMAND_SECONDS = 3600.0
DEFAULT_CATCH_UP_WINDOW_SECONDS = 86_400
MAX_CATCH_UP_WINDOW_SECONDS = 2**31 - 1


class Kind(StrEnum):
    """What an execution runs (RULINGS §3, Action)."""

    HTTP = "http"
    COMMAND = "command"
    DELIVERY = "delivery"


class Overlap(StrEnum):
    """What a due time does while an earlier execution of the same job is not over."""

    SKIP = "skip"
    QUEUE = "queue"
    CANCEL_PREVIOUS = "cancel_previous"
    ALLOW = "allow"


class CatchUp(StrEnum):
    """Which of the due times that passed while no clock ran are still run."""

    LATEST = "latest"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Command:
    """The shell line of a command job and what surrounds it."""

    line: str
    working_directory: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Job:
    """A job as stored. `retry` and `timeout_seconds` unset mean the house's defaults for its kind.

    `type` is the caller's own free integer (D3). `next_run_at` is None while disabled or without a schedule.
    """

    id: UUID
    tenant_id: UUID
    name: str
    kind: Kind = Kind.HTTP
    type: int = 0
    schedule: str | None = None
    timezone: str = "UTC"
    enabled: bool = True
    command: Command | None = None
    queue: Queue = Queue.NORMAL
    priority: int = 0
    retry: RetryPolicy | None = None
    timeout_seconds: float | None = None
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LATEST
    catch_up_window_seconds: int = DEFAULT_CATCH_UP_WINDOW_SECONDS
    rerun_on_crash: bool | None = None
    next_run_at: datetime | None = None
    last_run_at: datetime | None = None
    created_by: UUID | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP call of a job (D3: webhook). `position` orders the calls of a job by creation."""

    id: UUID
    tenant_id: UUID
    job_id: UUID
    position: int
    url: str
    method: str
    headers: Mapping[str, str] | None
    query_params: Mapping[str, str] | None
    body_template: str | None
    created_at: datetime
    updated_at: datetime


def scheduled(job: Job, now: datetime, decided: datetime | None = None) -> Job:
    """`job` with `next_run_at` as its schedule, zone and switch ask for, seen from `now`.

    `decided` is the latest due time that has its row: none comes twice, even when the wall clock was set back.
    """
    if not job.enabled or job.schedule is None:
        return replace(job, next_run_at=None)
    after = now if decided is None else max(now, decided)
    return replace(job, next_run_at=cron.next_due(job.schedule, job.timezone, after))


def checked(job: Job) -> Job:
    """`job` itself, or `Invalid` naming the field that is wrong and how to mend it."""
    if not job.name.strip():
        raise Invalid("name must not be empty", field="name")
    if len(job.name) > MAX_NAME_LENGTH:
        raise Invalid(f"name must be at most {MAX_NAME_LENGTH} characters", field="name")
    _ = check_text(job.name, "name")
    if not -(2**63) <= job.type < 2**63:
        raise Invalid("type must be an integer of 64 bits", field="type")
    _ = cron.zone(job.timezone)
    if job.schedule is not None:
        cron.check(job.schedule)
    _ = check_queue(job.queue)
    _ = check_priority(job.priority)
    _check_kind(job)
    if job.retry is not None:
        _ = retries.checked(job.retry)
    if not 0 <= job.catch_up_window_seconds <= MAX_CATCH_UP_WINDOW_SECONDS:
        raise Invalid(
            f"catch_up_window_seconds must be from 0 to {MAX_CATCH_UP_WINDOW_SECONDS}", field="catch_up_window_seconds"
        )
    return job


def _check_kind(job: Job) -> None:
    if job.kind is Kind.DELIVERY:
        raise Invalid("kind must be http or command", field="kind")
    if (job.command is not None) != (job.kind is Kind.COMMAND):
        raise Invalid("a command job needs a command, and only a command job has one", field="command")
    if job.command is not None:
        if not job.command.line.strip():
            raise Invalid("command must not be empty", field="command")
        if len(job.command.line) > MAX_COMMAND_LENGTH or "\0" in job.command.line:
            raise Invalid("command must be at most 64 KB and hold no NUL", field="command")
    if job.timeout_seconds is not None and not 0 < job.timeout_seconds <= MAX_COMMAND_SECONDS:
        raise Invalid("timeout_seconds must be more than 0 and at most 3600", field="timeout_seconds")


def retry_policy(kind: Kind, own: RetryPolicy | None, rules: Rules) -> RetryPolicy:
    """The policy an execution of `kind` follows: its job's own, or the house's (RULINGS §4)."""
    if own is not None:
        return own
    match kind:
        case Kind.HTTP:
            return RetryPolicy(attempts=rules.retry_attempts, base_seconds=rules.retry_base_seconds)
        case Kind.DELIVERY:
            return retries.delivery_policy(rules.delivery_scale())
        case Kind.COMMAND:
            return NO_RETRY


COMMAND_FAILURES = frozenset({"exit_code", "timeout"})
"""What a command that is to be retried is retried on unless its job says so."""


def own_retry_policy(kind: Kind, wishes: Mapping[str, Any], own: RetryPolicy | None, rules: Rules) -> RetryPolicy:
    """A policy of a job's own: what it has, else the house's for HTTP calls, with the fields it wishes otherwise."""
    usual = retry_policy(Kind.HTTP, None, rules)
    if kind is Kind.COMMAND:
        usual = replace(usual, retry_on=COMMAND_FAILURES)
    return replace(own or usual, **wishes)


def at_least_once(kind: Kind, own: bool | None) -> bool:
    """Whether a run of `kind` that its worker did not live to finish is started again: as its job says, or by kind."""
    return kind is not Kind.COMMAND if own is None else own


def timeout_seconds(kind: Kind, own: float | None, rules: Rules) -> float:
    """How long a command, a delivery, or each call of an HTTP run may take."""
    if own is not None:
        return own
    return rules.command_timeout_seconds if kind is Kind.COMMAND else rules.http_timeout_seconds


def facts(job: Job) -> dict[str, Any]:
    """What events say of a job."""
    return {
        "job_id": str(job.id),
        "name": job.name,
        "kind": job.kind.value,
        "schedule": job.schedule,
        "timezone": job.timezone,
        "enabled": job.enabled,
    }
