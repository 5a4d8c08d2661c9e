"""Values that several nouns share. Types are strict: true is no number, and "5" is none either."""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StrictFloat, StrictInt
from pydantic_core import PydanticCustomError

from taskyard.domain.errors import Invalid
from taskyard.domain.jobs import MAX_COMMAND_SECONDS
from taskyard.domain.queues import PRIORITY_RANGE
from taskyard.domain.urls import check_url
from taskyard.faces.kit.wire import Text

MAX_IDS = 1000

Reason = Annotated[Text, Field(max_length=500, description="Why, for those who read the history")]
Priority = Annotated[
    StrictInt,
    Field(ge=PRIORITY_RANGE.start, le=PRIORITY_RANGE.stop - 1, description="Higher goes first within its queue"),
]


def _seconds(low: float, high: float) -> object:
    return Field(ge=low, le=high, allow_inf_nan=False)


RetrySeconds = Annotated[StrictFloat, _seconds(0, 604_800)]
Factor = Annotated[StrictFloat, _seconds(1, 10)]
Jitter = Annotated[StrictFloat, _seconds(0, 1)]
TimeLimit = Annotated[StrictFloat, Field(gt=0, le=MAX_COMMAND_SECONDS, allow_inf_nan=False)]


def spoken(check: Callable[[str], str]) -> Callable[[str], str]:
    """A rule of the domain as pydantic wants its validators, so that the error says where in the body it was."""

    def checking(value: str) -> str:
        try:
            return check(value)
        except Invalid as error:
            raise PydanticCustomError("value_error", "{why}", {"why": error.message}) from None

    return checking


def url_of_at_most(limit: int) -> object:
    """What turns a text into an absolute http(s) URL."""
    return AfterValidator(spoken(lambda url: check_url(url, limit=limit)))


class Paged(BaseModel):
    """What every page has besides its items."""

    total: int
    limit: int
    offset: int
