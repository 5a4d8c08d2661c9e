"""Events."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from taskyard.domain.events import CATALOGUE, matches
from taskyard.faces.kit.wire import Moment, Text


def _some_event(pattern: str) -> str:
    if not any(matches([pattern], known) for known in CATALOGUE):
        raise PydanticCustomError("value_error", "no event is of this type: {pattern}", {"pattern": pattern})
    return pattern


EventType = Annotated[
    Text,
    Field(max_length=64, examples=["execution.*"], description="A type, or all of a family: execution.*"),
    AfterValidator(_some_event),
]


class Event(BaseModel):
    """A fact. `seq` counts a tenant's events without gaps."""

    id: UUID
    seq: int
    type: str
    time: Moment
    actor: str | None
    job_id: UUID | None
    execution_id: UUID | None
    data: dict[str, Any]


class EventPage(BaseModel):
    """Events in order. Ask on with `after=next_after`; `head` is the number of the tenant's latest event."""

    items: list[Event]
    next_after: int
    head: int
