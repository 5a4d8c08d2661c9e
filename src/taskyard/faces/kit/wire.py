"""How values look on the wire, the same on every face."""

from datetime import datetime
from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, PlainSerializer, StringConstraints
from pydantic_core import PydanticCustomError

from taskyard.domain.credentials import MAX_EMAIL_LENGTH
from taskyard.domain.times import iso

Moment = Annotated[datetime, PlainSerializer(iso, return_type=str, when_used="json")]
"""A time in a response."""


NO_NUL = r"^[^\x00]*$"

# PostgreSQL stores no NUL, and no name, URL or template has a use for one.
Text = Annotated[str, StringConstraints(pattern=NO_NUL)]
"""Any text a caller may send."""

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
