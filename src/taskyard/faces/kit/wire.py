"""How values look on the wire, the same on every face."""

from datetime import datetime
from typing import Annotated, Any, TypeVar, cast

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from taskyard.domain.credentials import MAX_EMAIL_LENGTH
from taskyard.domain.times import iso

Moment = Annotated[datetime, PlainSerializer(iso, return_type=str, when_used="json")]
"""A time in a response."""


NO_NUL = r"^[^\x00]*$"

# PostgreSQL stores no NUL, and no name, URL or template has a use for one.
Text = Annotated[str, StringConstraints(pattern=NO_NUL)]
"""Any text a caller may send."""


Int64 = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
"""A whole number that both databases can hold."""


MAX_ENTRIES = 100

K = TypeVar("K")
V = TypeVar("V")


def _few(value: object) -> object:
    """Pydantic counts only when it has looked at every member, and has something to say about each."""
    entries = cast("dict[Any, Any]", value) if isinstance(value, dict) else {}
    if (count := len(entries)) > MAX_ENTRIES:
        found = {"field_type": "Dictionary", "max_length": MAX_ENTRIES, "actual_length": count}
        raise PydanticKnownError("too_long", found)
    return cast("object", value)


Entries = Annotated[dict[K, V], Field(max_length=MAX_ENTRIES), BeforeValidator(_few)]
"""An object whose keys are the caller's own, such as headers."""


HEADERS_SENT = (
    "HTTP headers. Host, Content-Length and those of the connection (Connection, Expect, HTTP2-Settings, Keep-Alive, "
    "Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade) are kept and shown, but never sent"
)
"""What a caller should know of a call's headers."""


def _in_a_url(value: object) -> object:
    """A query value as it stands in a URL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


QueryValue = Annotated[StrictStr | StrictBool | StrictInt | StrictFloat, Field(), BeforeValidator(_in_a_url)]
"""A query parameter's value, which becomes text."""

_SOME_DOMAIN = ".example.com"


def email_address(text: str) -> str:
    """`text` if it can be an e-mail address. A yard at home may well live under `.local`, so any domain will do:
    the grammar is checked as if it were a public one.
    """
    try:
        found = validate_email(text + _SOME_DOMAIN, check_deliverability=False)
    except EmailNotValidError:
        raise PydanticCustomError("value_error.email", "value is not a valid email address") from None
    return found.normalized.removesuffix(_SOME_DOMAIN)


Email = Annotated[
    str, Field(max_length=MAX_EMAIL_LENGTH, json_schema_extra={"format": "email"}), AfterValidator(email_address)
]
"""An e-mail address; what is refused reads as D4-X01 shows it."""
