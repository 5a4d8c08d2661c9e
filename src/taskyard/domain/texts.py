"""Text that any database, log and answer can hold."""

from taskyard.domain.errors import Invalid


def check_text(text: str, field: str) -> str:
    """`text`, or `Invalid` naming `field` when it holds NUL, which PostgreSQL cannot keep, or half a character (a lone
    surrogate, which JSON lets through and UTF-8 does not).
    """
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Invalid(f"{field} may hold neither NUL nor half a character", field=field)
    return text
