"""The queues of the yard and the order in which work leaves them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from taskyard.domain.errors import Invalid, NotFound

PRIORITY_RANGE = range(-50, 51)


class Queue(StrEnum):
    """Each queue can be paused alone."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"
    DELIVERIES = "deliveries"


JOB_QUEUES = (Queue.HIGH, Queue.NORMAL, Queue.LOW)
"""Where the work of jobs may wait."""

# Further apart than the range of priorities, so that the best of one queue never ties with the worst of the next.
_RANK = {Queue.HIGH: 600, Queue.NORMAL: 400, Queue.DELIVERIES: 400, Queue.LOW: 200}


@dataclass(frozen=True, slots=True)
class Ticket:
    """An execution's place in the engine. `available_at` in the future delays it."""

    execution_id: UUID
    kind: str
    queue: Queue
    priority: int
    available_at: datetime


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue as it stands: executions waiting (now or later), running, and the age of the oldest that could run."""

    name: Queue
    waiting: int
    delayed: int
    running: int
    oldest_seconds: float
    paused_at: datetime | None
    paused_reason: str | None


def check_queue(queue: Queue) -> Queue:
    """`queue`, or `Invalid` for the one that is the house's own."""
    if queue not in JOB_QUEUES:
        raise Invalid(f"queue must be one of {', '.join(JOB_QUEUES)}", field="queue")
    return queue


def engine_priority(queue: Queue, priority: int) -> int:
    """One number that orders all queues: the queue decides first, the execution's own priority within it."""
    return _RANK[queue] + priority


def named(name: str) -> Queue:
    """The queue called `name`. Raises `NotFound`."""
    try:
        return Queue(name)
    except ValueError:
        raise NotFound("queue", name) from None


def check_priority(priority: int) -> int:
    """`priority`, or `Invalid` when it is outside -50..50."""
    if priority not in PRIORITY_RANGE:
        raise Invalid("priority must be from -50 to 50", field="priority")
    return priority


def payload_of(ticket: Ticket) -> bytes:
    """What the engine carries: the kind, so that a worker can take turns by kind, and the execution's id."""
    return f"{ticket.kind}:{ticket.execution_id}".encode()


def read_payload(payload: bytes | None) -> tuple[str, UUID]:
    """The kind and execution id of a payload made by `payload_of`."""
    kind, _, ident = (payload or b"").decode().partition(":")
    return kind, UUID(ident)
