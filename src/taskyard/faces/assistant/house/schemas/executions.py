"""Executions and dead letters."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from taskyard.domain.executions import Status, Trigger
from taskyard.domain.jobs import Kind
from taskyard.domain.queues import Queue
from taskyard.faces.assistant.house.schemas.values import MAX_IDS, Paged, Priority, Reason
from taskyard.faces.kit.wire import Moment


class Execution(BaseModel):
    """One attempt. `run_id` is the same for all attempts of a run; `dead` means it is among the dead letters;
    `held` means queued, but waiting for an earlier execution of its job.
    """

    id: UUID
    run_id: UUID
    tenant_id: UUID
    job_id: UUID | None
    webhook_id: UUID | None
    kind: Kind
    trigger: Trigger
    status: Status
    attempt: int
    queue: Queue
    priority: int
    held: bool
    dead: bool
    due_at: Moment | None
    created_at: Moment
    available_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    duration_ms: int | None
    worker_id: UUID | None
    reason: str | None
    error: str | None
    response_code: int | None
    exit_code: int | None
    cancel_requested_at: Moment | None
    replay_of: UUID | None
    requested_by: UUID | None


class Attempt(BaseModel):
    """One attempt of a run, in short."""

    id: UUID
    attempt: int
    status: Status
    available_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    duration_ms: int | None
    reason: str | None
    error: str | None
    response_code: int | None
    exit_code: int | None


class FullExecution(Execution):
    """An execution with all that is known of it: what came of it and the other attempts of its run, first to last."""

    result: dict[str, Any] = Field(
        description="HTTP: code, headers, body (first 64 KB) and timing of each call; command: the signal, if any"
    )
    attempts: list[Attempt]


class ExecutionPage(Paged):
    """A page of executions, newest first."""

    items: list[Execution]


class Cancellation(BaseModel):
    """Why, if anybody asks."""

    reason: Reason | None = None


class Move(BaseModel):
    """Where a waiting execution is to wait; what is not sent stays as it is."""

    queue: Queue | None = None
    priority: Priority | None = None


class ReplayWanted(BaseModel):
    """Which dead letters to run again: exactly one of the three."""

    ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_IDS)] | None = None
    job_id: UUID | None = None
    all: StrictBool = False

    @model_validator(mode="after")
    def _exactly_one(self) -> "ReplayWanted":
        if (self.ids is not None) + (self.job_id is not None) + self.all != 1:
            raise PydanticCustomError("value_error", "give exactly one of ids, job_id and all: true")
        return self


class Replayed(BaseModel):
    """What runs again. At most 1000 are replayed at once; `remaining` tells how many are left."""

    replayed: int
    executions: list[UUID]
    remaining: int
