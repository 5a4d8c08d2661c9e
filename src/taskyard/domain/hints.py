"""Hints: what is whispered to other parts after a commit. A hint may be lost; its reader also polls for the truth."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class EventsAppended:
    """The tenant's history now reaches `seq`."""

    tenant_id: UUID
    seq: int


@dataclass(frozen=True, slots=True)
class OutputAppended:
    """More of an execution's output is stored, or it has ended."""

    execution_id: UUID


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """A running execution is to be stopped by its worker."""

    execution_id: UUID


@dataclass(frozen=True, slots=True)
class WorkQueued:
    """The engine has something new to hand out."""


@dataclass(frozen=True, slots=True)
class QueuesChanged:
    """A queue was paused or resumed."""


@dataclass(frozen=True, slots=True)
class ScheduleChanged:
    """Some job's next run may be earlier than the clock believes."""


Hint = EventsAppended | OutputAppended | CancelRequested | WorkQueued | QueuesChanged | ScheduleChanged


class Mailbox(Protocol):
    """One reader's bounded queue of hints. When it overflows the oldest are dropped: hints may be lost."""

    async def get(self) -> Hint: ...


class Bus(Protocol):
    """Carries hints between the parts of the yard, within a process or between many."""

    def publish(self, hints: Sequence[Hint]) -> None:
        """Send without waiting; never raises."""
        ...

    def subscribe(self, *kinds: type[Hint]) -> AbstractContextManager[Mailbox]:
        """A mailbox for hints of `kinds`, open within the block."""
        ...
