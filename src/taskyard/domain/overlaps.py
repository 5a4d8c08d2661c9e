"""What a new run of a job does about those that are not over yet (`jobs.Overlap`)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from taskyard.domain.jobs import Overlap


@dataclass(frozen=True, slots=True)
class Entry:
    """How a due time enters the yard.

    `skipped_because` set: it never runs. `held`: it waits until the job's earlier executions are over.
    `cancels`: executions to be cancelled first.
    """

    skipped_because: str | None = None
    held: bool = False
    cancels: Sequence[UUID] = field(default=())


def entry(overlap: Overlap, active: Sequence[UUID]) -> Entry:
    """The entry of a due time while the executions `active` (oldest first) of its job are queued or running."""
    if not active:
        return Entry()
    match overlap:
        case Overlap.ALLOW:
            return Entry()
        case Overlap.SKIP:
            return Entry(skipped_because=f"execution {active[0]} of this job is not over (overlap: skip)")
        case Overlap.QUEUE:
            return Entry(held=True)
        case Overlap.CANCEL_PREVIOUS:
            return Entry(held=True, cancels=tuple(active))
