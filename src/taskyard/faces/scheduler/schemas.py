"""The shapes of D3's requests and responses."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, StrictBool

from taskyard.domain.executions import Status
from taskyard.faces.kit.wire import HEADERS_SENT, Entries, Int64, Moment, QueryValue, Text

MAX_SCHEDULE_LENGTH = 255

JobName = Annotated[Text, Field(min_length=1, max_length=255, description="Job name")]
Schedule = Annotated[
    Text, Field(min_length=1, max_length=MAX_SCHEDULE_LENGTH, description="Cron expression", examples=["0 2 * * *"])
]
JobType = Annotated[Int64, Field(description="Job type identifier")]
Timezone = Annotated[
    Text, Field(min_length=1, max_length=64, description="IANA zone of the schedule", examples=["UTC"])
]
Url = Annotated[
    Text,
    Field(min_length=1, max_length=500, description="Webhook URL", examples=["https://api.example.com/webhook"]),
]
Method = Annotated[
    Literal["GET", "POST", "PUT", "DELETE", "PATCH"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
    Field(description="HTTP method"),
]
Headers = Annotated[Entries[Text, Text], Field(description=HEADERS_SENT)]
Query = Annotated[Entries[Text, QueryValue], Field(description="URL query parameters")]
Template = Annotated[Text, Field(max_length=64 * 1024, description="Request body template")]


class JobCreate(BaseModel):
    """D3-E01."""

    account_id: UUID = Field(description="UUID of the account")
    name: JobName
    schedule: Schedule
    type: JobType
    timezone: Timezone = "UTC"
    enabled: StrictBool = Field(default=True, description="Whether the job is enabled")


class JobUpdate(BaseModel):
    """D3-E04. What is not sent stays as it is, so the defaults here are never read; null is no value of these."""

    name: JobName = Field(default_factory=str)
    schedule: Schedule = Field(default_factory=str)
    type: JobType = Field(default_factory=int)
    timezone: Timezone = Field(default_factory=str)
    enabled: StrictBool = Field(default_factory=bool)


class Job(BaseModel):
    """D3-E01 to E07."""

    id: UUID
    account_id: UUID
    name: str
    schedule: str | None = Field(description="Cron expression; null for jobs made elsewhere that only run by hand")
    type: int
    timezone: str
    enabled: bool
    last_run_at: Moment | None
    next_run_at: Moment | None
    created_at: Moment
    updated_at: Moment


class JobPage(BaseModel):
    """D3-E03."""

    items: list[Job]
    total: int
    skip: int
    limit: int


class Execution(BaseModel):
    """D3-E08. `response_code` and `error` are there when there is one."""

    id: UUID
    job_id: UUID
    status: Status
    started_at: Moment | None
    finished_at: Moment | None
    response_code: int | None = Field(default=None, exclude_if=lambda code: code is None)
    error: str | None = Field(default=None, exclude_if=lambda error: error is None)
    worker_id: UUID | None
    duration_ms: int | None
    attempt: int
    created_at: Moment


class ExecutionPage(BaseModel):
    """D3-E08."""

    items: list[Execution]
    total: int
    skip: int
    limit: int


class NextRun(BaseModel):
    """A coming due time; `dst` is "gap" or "repeated" when a change of clocks touches it."""

    run_at: Moment
    local: str = Field(description="The same moment on the wall clock of the job's zone")
    dst: str | None


class NextRuns(BaseModel):
    """The coming due times of a job."""

    job_id: UUID
    timezone: str
    items: list[NextRun]


class WebhookCreate(BaseModel):
    """D3-E09."""

    job_id: UUID = Field(description="UUID of the job")
    url: Url
    method: Method
    headers: Headers | None = None
    query_params: Query | None = None
    body_template: Template | None = None


class WebhookUpdate(BaseModel):
    """D3-E11. What is not sent stays as it is; null clears the last three and is no value of the first two."""

    url: Url = Field(default_factory=str)
    method: Method = Field(default_factory=lambda: "GET")
    headers: Headers | None = None
    query_params: Query | None = None
    body_template: Template | None = None


class Webhook(BaseModel):
    """D3-E09 to E11. For members who may not write, `body_template` and the values of `headers` and `query_params` are
    masked, and `url` comes without user, password and query.
    """

    id: UUID
    job_id: UUID
    url: str
    method: str
    headers: dict[str, str] | None
    query_params: dict[str, str] | None
    body_template: str | None
    created_at: Moment
    updated_at: Moment


class Health(BaseModel):
    """D3-E13."""

    status: str
    service: str


class DetailedHealth(Health):
    """D3-E14."""

    database: str
    redis: str
    scheduler_service: str


class JobCounts(BaseModel):
    """D3-E15."""

    total: int
    enabled: int
    disabled: int


class ExecutionCounts(BaseModel):
    """D3-E15; every status has its count."""

    total: int
    queued: int
    running: int
    success: int
    failure: int
    timed_out: int
    cancelled: int
    dead_letter: int
    skipped: int
    missed: int
    success_rate: float
    avg_duration_ms: float


class Metrics(BaseModel):
    """D3-E15."""

    timestamp: Moment
    jobs: JobCounts
    executions: ExecutionCounts


class Problem(BaseModel):
    """D3-X00."""

    detail: str
    error_code: str
    status_code: int
