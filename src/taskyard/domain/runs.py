"""What a runner is given (`Run`) and what it gives back (`Outcome`).

A runner lives in `adapters/runners` and knows nothing of jobs, queues or tables: it takes one of the `Run` shapes
below, streams output into an `Output`, and returns an `Outcome`. It never raises for a failing run; only
`asyncio.CancelledError` passes through, after it has cleaned up what it started.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar
from uuid import UUID

MAX_KEPT_RESPONSE_BYTES = 64 * 1024

RunT_contra = TypeVar("RunT_contra", contravariant=True)


class Stream(StrEnum):
    """Which of a program's outputs a chunk came from."""

    STDOUT = "stdout"
    STDERR = "stderr"


class Output(Protocol):
    """Where a runner writes what the run prints. Awaiting `write` is the back-pressure."""

    async def write(self, stream: Stream, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """Which addresses an outgoing call may reach; metadata addresses are never reachable (RULINGS §4)."""

    allow_private: bool


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One HTTP request of a run. `body` is a template (see `domain/templates`), unset means no body."""

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: str | None = None


@dataclass(frozen=True, slots=True)
class HttpRun:
    """The calls of one execution, made in order; the first that is not 2xx ends the run as failed.

    `context` holds the names a body template may use: `job`, `execution`, `scheduled_at`.
    """

    calls: tuple[HttpCall, ...]
    context: Mapping[str, Any]
    timeout_seconds: float
    network: NetworkPolicy


@dataclass(frozen=True, slots=True)
class CommandRun:
    """A shell line. `environment` is added to a scrubbed one; `output_limit_bytes` is what is kept of its output."""

    command: str
    timeout_seconds: float
    working_directory: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    output_limit_bytes: int = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DeliveryRun:
    """One event on its way to one subscriber; `delivery_id` is the same on every try."""

    url: str
    secret: str
    delivery_id: UUID
    subscription_id: UUID
    event_type: str
    event_time: datetime
    payload: Mapping[str, Any]
    timeout_seconds: float
    network: NetworkPolicy


Run = HttpRun | CommandRun | DeliveryRun


class Verdict(StrEnum):
    """How one attempt ended, before anybody asks whether it will be retried."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class Cause(StrEnum):
    """Why an attempt did not succeed; the words of a retry policy's `retry_on`."""

    CONNECT_ERROR = "connect_error"
    TIMEOUT = "timeout"
    STATUS = "status"
    EXIT_CODE = "exit_code"
    WORKER_LOST = "worker_lost"
    NOT_RUNNABLE = "not_runnable"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The facts of one ended attempt.

    `error` is one sentence for a person. `retry_after` (seconds) is what the other side asked for. `result` is
    JSON: for HTTP the response headers, body (first 64 KB) and timing of each call; for commands the signal.
    """

    verdict: Verdict
    cause: Cause | None = None
    error: str | None = None
    response_code: int | None = None
    exit_code: int | None = None
    retry_after: float | None = None
    result: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def failed(cls, cause: Cause, error: str, **facts: Any) -> "Outcome":
        """A failure for `cause`, told in one sentence."""
        return cls(Verdict.FAILED, cause, error, **facts)


class Runner(Protocol[RunT_contra]):
    """Runs one `Run` to its end."""

    async def run(self, run: RunT_contra, output: Output) -> Outcome: ...
