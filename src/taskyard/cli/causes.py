"""Why the database does not answer, in the words of its driver."""

REFUSALS = ("28", "3D")
"""SQLSTATE classes of PostgreSQL for a wrong user or password, and for a database that does not exist."""


def words(error: BaseException) -> str:
    """The first line of what the driver said, without the names of its classes."""
    said = str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__]
    return said[0].rpartition("'>: ")[2]


def refusal(error: BaseException) -> str | None:
    """What PostgreSQL says of settings that cannot open it; None for every other error."""
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    return words(error) if state.startswith(REFUSALS) else None


def told(message: str, cause: BaseException | None) -> str:
    """A sentence with its cause, when there is one."""
    return message if cause is None else f"{message} ({words(cause)})"
