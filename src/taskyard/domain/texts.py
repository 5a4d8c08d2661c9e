"""Text that any database, log and answer can hold."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from taskyard.domain.errors import Invalid


def check_text(text: str, field: str) -> str:
    """`text`, or `Invalid` naming `field` when it holds NUL, which PostgreSQL cannot keep, or half a character (a lone
    surrogate, which JSON lets through and UTF-8 does not).
    """
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Invalid(f"{field} may hold neither NUL nor half a character", field=field)
    return text


def storable(value: Any) -> Any:
    """`value` (JSON) with replacement characters for what `check_text` refuses: it came from outside and is kept."""
    match value:
        case str() if value.isascii():
            return value.replace("\0", "\ufffd") if "\0" in value else value
        case str():
            return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case Mapping():
            return {storable(name): storable(each) for name, each in cast("Mapping[str, Any]", value).items()}
        case list() | tuple():
            return [storable(each) for each in cast("Sequence[Any]", value)]
        case _:
            return value
