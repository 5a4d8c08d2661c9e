"""The HTTP calls of a job."""

import re
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from taskyard.domain import templates
from taskyard.faces.assistant.house.schemas.values import Paged, spoken, url_of_at_most
from taskyard.faces.kit.wire import Entries, Moment, QueryValue, Text
from taskyard.services.calls import MAX_URL_LENGTH

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _header_name(name: str) -> str:
    """RFC 9110 §5.1."""
    if not _TOKEN.fullmatch(name):
        raise PydanticCustomError("value_error", "is no header name")
    return name


def _one_line(value: str) -> str:
    if "\r" in value or "\n" in value:
        raise PydanticCustomError("value_error", "a header's value must be one line")
    return value


@spoken
def _template(text: str) -> str:
    templates.check(text)
    return text


HeaderName = Annotated[Text, Field(max_length=255), AfterValidator(_header_name)]
HeaderValue = Annotated[Text, Field(max_length=8192), AfterValidator(_one_line)]

Url = Annotated[Text, Field(min_length=1, max_length=MAX_URL_LENGTH), url_of_at_most(MAX_URL_LENGTH)]
Method = Annotated[
    Literal["GET", "POST", "PUT", "DELETE", "PATCH"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]
Headers = Entries[HeaderName, HeaderValue]
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
    """A call as stored. For members who may not write the values of `headers` are masked."""

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
