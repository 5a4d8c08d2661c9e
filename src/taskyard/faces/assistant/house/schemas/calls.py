"""The HTTP calls of a job."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from taskyard.domain import templates
from taskyard.domain.calls import MAX_HEADER_NAME_LENGTH, check_header_name, check_header_value
from taskyard.faces.assistant.house.schemas.values import Paged, spoken, url_of_at_most
from taskyard.faces.kit.wire import HEADERS_SENT, Entries, Moment, QueryValue, Text
from taskyard.services.calls import MAX_URL_LENGTH


@spoken
def _template(text: str) -> str:
    templates.check(text)
    return text


HeaderName = Annotated[Text, Field(max_length=MAX_HEADER_NAME_LENGTH), AfterValidator(spoken(check_header_name))]
HeaderValue = Annotated[Text, Field(max_length=8192), AfterValidator(spoken(check_header_value))]

Url = Annotated[Text, Field(min_length=1, max_length=MAX_URL_LENGTH), url_of_at_most(MAX_URL_LENGTH)]
Method = Annotated[
    Literal["GET", "POST", "PUT", "DELETE", "PATCH"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]
Headers = Annotated[Entries[HeaderName, HeaderValue], Field(description=HEADERS_SENT)]
QueryParams = Entries[Text, QueryValue]
Template = Annotated[
    Text,
    Field(
        max_length=templates.MAX_OUTPUT_BYTES,
        description="A Jinja2 template over job, execution and scheduled_at; text without {{ passes unchanged",
    ),
    AfterValidator(_template),
]


class CallWanted(BaseModel):
    """A call to be made."""

    url: Url
    method: Method = "POST"
    headers: Headers | None = None
    query_params: QueryParams | None = None
    body_template: Template | None = None


class CallChanges(BaseModel):
    """What is not sent stays as it is; null clears the last three and is no value of the first two."""

    url: Url = Field(default_factory=str)
    method: Method = "POST"
    headers: Headers | None = None
    query_params: QueryParams | None = None
    body_template: Template | None = None


class Call(BaseModel):
    """A call as stored. For members who may not write, `body_template` and the values of `headers` and `query_params`
    are masked, and `url` comes without user, password and query.
    """

    id: UUID
    job_id: UUID
    position: int = Field(description="Calls are made in this order")
    url: str
    method: str
    headers: dict[str, str] | None
    query_params: dict[str, str] | None
    body_template: str | None
    created_at: Moment
    updated_at: Moment


class CallPage(Paged):
    """A page of a job's calls, in the order in which they are made."""

    items: list[Call]
