"""Why the database does not answer, in the words of its driver, and what helps."""

REFUSALS = ("28", "3D")
"""SQLSTATE classes of PostgreSQL for a wrong user or password, and for a database that does not exist."""
UNREADABLE = ("SQLITE_NOTADB", "SQLITE_CORRUPT")
"""What SQLite says of a file that is no database, or no longer one."""


def words(error: BaseException) -> str:
    """The first line of what the driver said, without the names of its classes."""
    said = str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__]
    return said[0].rpartition("'>: ")[2]


def refusal(error: BaseException) -> str | None:
    """What PostgreSQL says of settings that cannot open it, or SQLite of such a file; None for every other error."""
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    return words(error) if state.startswith(REFUSALS) or _unreadable(error) else None


def remedy(error: BaseException) -> str:
    """What to do about a `refusal`."""
    if _unreadable(error):
        return "put a backup of the database file in its place, or name another folder with --data-dir"
    return "correct DATABASE_URL (postgresql://user:password@host/name)"


def told(message: str, cause: BaseException | None) -> str:
    """A sentence with its cause, when there is one."""
    return message if cause is None else f"{message} ({words(cause)})"


def _unreadable(error: BaseException) -> bool:
    name = getattr(getattr(error, "orig", None), "sqlite_errorname", None)
    return isinstance(name, str) and name.startswith(UNREADABLE)
