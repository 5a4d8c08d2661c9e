"""Queues."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StrictBool
from pydantic_core import PydanticCustomError

from taskyard.domain.queues import Queue
from taskyard.faces.assistant.house.schemas.values import Paged, Reason
from taskyard.faces.kit.wire import Moment


class QueueState(BaseModel):
    """A queue as it stands, over all tenants. `delayed` of those `waiting` have to wait for their time;
    `oldest_seconds` is the age of the oldest that could run.
    """

    name: Queue
    waiting: int
    delayed: int
    running: int
    oldest_seconds: float
    paused: bool
    paused_at: Moment | None
    paused_reason: str | None


class QueuePage(Paged):
    """The queues."""

    items: list[QueueState]


class Pause(BaseModel):
    """Why, if anybody asks."""

    reason: Reason | None = None


def _said_so(confirmed: bool) -> bool:
    if not confirmed:
        raise PydanticCustomError("value_error", "clearing a queue cancels all that waits in it: send confirm: true")
    return confirmed


class Clearing(BaseModel):
    """All that the tenant has waiting is cancelled, so it has to be said twice."""

    confirm: Annotated[StrictBool, AfterValidator(_said_so), Field(description="must be true")]


class Cleared(BaseModel):
    """How many executions were cancelled."""

    cleared: int
