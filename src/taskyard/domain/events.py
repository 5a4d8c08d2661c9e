"""Events: immutable facts, numbered per tenant without gaps. Whatever is shown, pushed or notified is made of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from taskyard.domain.errors import Invalid

CATALOGUE: Mapping[str, str] = {
    "execution.queued": "An execution entered a queue.",
    "execution.started": "A worker began an execution.",
    "execution.succeeded": "An execution ended well.",
    "execution.failed": "An attempt failed; another one follows.",
    "execution.timed_out": "An attempt met its time limit.",
    "execution.cancelled": "An execution was cancelled.",
    "execution.dead_lettered": "A run failed for good.",
    "execution.skipped": "A due time did not run because the job's earlier execution was not over.",
    "execution.missed": "A due time passed while no clock ran.",
    "job.created": "A job was made.",
    "job.updated": "A job was changed.",
    "job.enabled": "A job was switched on.",
    "job.disabled": "A job was switched off.",
    "job.deleted": "A job was removed.",
    "queue.paused": "A queue stopped handing out work.",
    "queue.resumed": "A queue hands out work again.",
    "queue.cleared": "All waiting executions of a queue were cancelled.",
    "webhook.created": "An event subscription was made.",
    "webhook.updated": "An event subscription was changed.",
    "webhook.disabled": "An event subscription was switched off after its receiver failed or was gone.",
    "webhook.deleted": "An event subscription was removed.",
    "webhook.test": "A trial delivery asked for by a user.",
    "task.created": "A task was made.",
    "task.updated": "A task was changed.",
    "task.completed": "A task ended well.",
    "task.failed": "A task failed.",
    "project.created": "A project was made.",
    "project.updated": "A project was changed.",
    "system.maintenance": "The operator announced maintenance.",
    "system.alert": "The yard needs its operator's attention.",
    "agent.completed": "An agent finished a run.",
    "usage.quota_exceeded": "A tenant passed its budget.",
    "subscription.expiring": "A tenant's plan ends soon.",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """An event before it has its number."""

    tenant_id: UUID
    type: str
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    job_id: UUID | None = None
    execution_id: UUID | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A fact with its place in its tenant's history: `seq` counts 1, 2, 3 without gaps."""

    id: UUID
    tenant_id: UUID
    seq: int
    type: str
    time: datetime
    data: Mapping[str, Any]
    job_id: UUID | None = None
    execution_id: UUID | None = None
    actor: str | None = None


def matches(patterns: Iterable[str], event_type: str) -> bool:
    """Whether a subscriber to `patterns` ("job.created", "execution.*", "*") wants `event_type`."""
    return any(
        pattern in ("*", event_type) or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))
        for pattern in patterns
    )


def checked_patterns(patterns: Iterable[str]) -> list[str]:
    """`patterns` without repeats, or `Invalid` naming the one that no event can match."""
    wanted = list(dict.fromkeys(patterns))
    if not wanted:
        raise Invalid("event_types must name at least one event type", field="event_types")
    for pattern in wanted:
        if not any(matches([pattern], known) for known in CATALOGUE):
            raise Invalid(f"Unknown event type {pattern!r}; known are {', '.join(CATALOGUE)}", field="event_types")
    return wanted
