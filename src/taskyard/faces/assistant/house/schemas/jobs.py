"""Jobs."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, StrictBool, StrictInt

from taskyard.domain.cron import MAX_EXPRESSION_LENGTH
from taskyard.domain.jobs import DEFAULT_CATCH_UP_WINDOW_SECONDS, MAX_COMMAND_LENGTH, MAX_NAME_LENGTH, CatchUp, Overlap
from taskyard.domain.queues import Queue
from taskyard.domain.retries import MAX_ATTEMPTS
from taskyard.faces.assistant.house.schemas.calls import Call, CallWanted
from taskyard.faces.assistant.house.schemas.values import (
    Factor,
    Jitter,
    Paged,
    Priority,
    RetrySeconds,
    TimeLimit,
)
from taskyard.faces.kit.wire import Entries, Int64, Moment, Text
from taskyard.services.calls import MAX_CALLS

JobKind = Literal["http", "command"]
JobQueue = Annotated[Literal["high", "normal", "low"], Field(description="The queue its executions wait in")]
Name = Annotated[Text, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
Schedule = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=MAX_EXPRESSION_LENGTH,
        description="Five cron fields; without a schedule the job only runs by hand",
        examples=["*/5 * * * *"],
    ),
]
Timezone = Annotated[
    Text, Field(min_length=1, max_length=64, description="IANA zone of the schedule", examples=["Europe/Berlin"])
]
FreeNumber = Annotated[Int64, Field(description="Your own number, kept as it is")]
Window = Annotated[StrictInt, Field(ge=0, le=2**31 - 1, description="Seconds that catch-up `all` looks back")]
RetryWord = Annotated[Text, Field(min_length=1, max_length=32)]
Variable = Annotated[Text, Field(max_length=255, pattern=r"^[^=\x00]+$")]


class RetryWanted(BaseModel):
    """How failed attempts are followed by others. What is not sent is as the house does it, or as it was."""

    attempts: StrictInt = Field(default_factory=int, ge=1, le=MAX_ATTEMPTS, description="The first one counts")
    base_seconds: RetrySeconds = Field(default_factory=float)
    factor: Factor = Field(default_factory=float)
    max_seconds: RetrySeconds = Field(default_factory=float)
    jitter: Jitter = Field(default_factory=float)
    retry_on: list[RetryWord] = Field(
        default_factory=list[str],
        max_length=100,
        description="connect_error, timeout, exit_code, internal, any, status codes (429) and classes (5xx)",
    )


class CommandWanted(BaseModel):
    """A shell line and what surrounds it."""

    line: Text = Field(default_factory=str, min_length=1, max_length=MAX_COMMAND_LENGTH)
    working_directory: Annotated[Text, Field(min_length=1, max_length=4096)] | None = None
    environment: Entries[Variable, Annotated[Text, Field(max_length=32_768)]] = Field(default_factory=dict[str, str])


def _as_line(value: Any) -> Any:
    return {"line": value} if isinstance(value, str) else value


Command = Annotated[
    CommandWanted,
    BeforeValidator(_as_line, json_schema_input_type=CommandWanted | str),
    Field(description="An object, or the shell line alone"),
]


def _own(description: str) -> Any:
    return Field(default=None, description=f"{description}; null: as the house does it")


OwnRetry = _own("How failed attempts are followed by others")
OwnTimeLimit = _own("Seconds that a command, or each call, may take")
OwnRerun = _own("Whether a run is started again when its worker was lost")


class JobWanted(BaseModel):
    """A new job; an HTTP job may come with its calls."""

    name: Name
    kind: JobKind = "http"
    type: FreeNumber = 0
    schedule: Schedule | None = None
    timezone: Timezone = "UTC"
    enabled: StrictBool = True
    command: Command | None = None
    calls: list[CallWanted] = Field(default_factory=list[CallWanted], max_length=MAX_CALLS)
    queue: JobQueue = "normal"
    priority: Priority = 0
    retry: RetryWanted | None = OwnRetry
    timeout_seconds: TimeLimit | None = OwnTimeLimit
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LATEST
    catch_up_window_seconds: Window = DEFAULT_CATCH_UP_WINDOW_SECONDS
    rerun_on_crash: StrictBool | None = OwnRerun


class JobChanges(BaseModel):
    """What is not sent stays as it is, within `command` and `retry` too, so the defaults here are never read; null
    clears what may be null.
    """

    name: Name = Field(default_factory=str)
    kind: JobKind = Field(default_factory=lambda: "http")
    type: FreeNumber = Field(default_factory=int)
    schedule: Schedule | None = None
    timezone: Timezone = Field(default_factory=str)
    enabled: StrictBool = Field(default_factory=bool)
    command: Command | None = None
    queue: JobQueue = Field(default_factory=lambda: "normal")
    priority: Priority = Field(default_factory=int)
    retry: RetryWanted | None = OwnRetry
    timeout_seconds: TimeLimit | None = OwnTimeLimit
    overlap: Overlap = Field(default_factory=lambda: Overlap.SKIP)
    catch_up: CatchUp = Field(default_factory=lambda: CatchUp.LATEST)
    catch_up_window_seconds: Window = Field(default_factory=int)
    rerun_on_crash: StrictBool | None = OwnRerun


class CommandShown(BaseModel):
    """A command as stored. For members who may not write the values of `environment` are masked."""

    line: str
    working_directory: str | None
    environment: dict[str, str]


class RetryShown(BaseModel):
    """A job's own retry policy."""

    attempts: int
    base_seconds: float
    factor: float
    max_seconds: float
    jitter: float
    retry_on: list[str]


class Job(BaseModel):
    """A job as stored; `next_run_at` is null while it is off or without a schedule."""

    id: UUID
    tenant_id: UUID
    name: str
    kind: JobKind
    type: int
    schedule: str | None
    timezone: str
    enabled: bool
    command: CommandShown | None
    calls: list[Call]
    queue: Queue
    priority: int
    retry: RetryShown | None
    timeout_seconds: float | None
    overlap: Overlap
    catch_up: CatchUp
    catch_up_window_seconds: int
    rerun_on_crash: bool | None
    next_run_at: Moment | None
    last_run_at: Moment | None
    created_by: UUID | None
    created_at: Moment
    updated_at: Moment


class JobPage(Paged):
    """A page of jobs, newest first."""

    items: list[Job]


class NextRun(BaseModel):
    """A coming due time; `dst` is "gap" or "repeated" when a change of clocks touches it."""

    at: Moment
    local: str = Field(description="The same moment on the wall clock of the job's zone")
    dst: Literal["gap", "repeated"] | None


class NextRuns(BaseModel):
    """The coming due times of a job."""

    job_id: UUID
    timezone: str
    items: list[NextRun]
