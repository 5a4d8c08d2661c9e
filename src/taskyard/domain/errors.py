"""The errors of the house.

    TaskyardError
    ├── Invalid          the request is understood and wrong: names the field and the fix
    ├── Unauthenticated  nobody we know
    ├── Forbidden        somebody we know, who may not
    ├── NotFound         no such thing, or not yours to know of
    ├── Conflict         true of the request, false of the present state
    ├── LimitExceeded    too much, try again in `retry_after` seconds
    └── Unavailable      the database, the engine or a configured service is away

No HTTP status lives here: each face maps these to its own wire in one table. A user's failed run is not an error
but an `Outcome` (see `runs`). Anything else that is raised is a bug.
"""

from collections.abc import Mapping
from typing import Any


class TaskyardError(Exception):
    """Root of all errors a caller is meant to see.

    `code` is stable and upper case (`JOB_NOT_FOUND`), `message` is a sentence for a person, `details` holds
    machine-readable facts such as `{"field": "schedule", "issue": "..."}`.
    """

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: dict[str, Any] = dict(details or {})


class Invalid(TaskyardError):
    """A well-formed request with a wrong value in it."""

    def __init__(self, message: str, *, field: str | None = None, code: str = "VALIDATION_ERROR") -> None:
        details = {"field": field, "issue": message} if field else {}
        super().__init__(code, message, details)
        self.field = field


class Unauthenticated(TaskyardError):
    """No credential, or one that proves nothing."""

    def __init__(self, message: str = "Missing or invalid credentials", *, code: str = "UNAUTHORIZED") -> None:
        super().__init__(code, message)


class Forbidden(TaskyardError):
    """The actor is known and lacks the permission."""

    def __init__(self, message: str, *, code: str = "FORBIDDEN") -> None:
        super().__init__(code, message)


class NotFound(TaskyardError):
    """No such thing in the actor's tenant. `noun` is the domain's word, e.g. "job"."""

    def __init__(self, noun: str, ident: object) -> None:
        super().__init__(f"{noun.upper().replace(' ', '_')}_NOT_FOUND", f"{noun.capitalize()} not found")
        self.details = {"noun": noun, "id": str(ident)}
        self.noun = noun


class Conflict(TaskyardError):
    """The present state of the thing does not allow this."""

    def __init__(self, message: str, *, code: str = "CONFLICT") -> None:
        super().__init__(code, message)


class LimitExceeded(TaskyardError):
    """A rate, size or count limit was passed; `retry_after` is in seconds, None when waiting does not help."""

    def __init__(self, message: str, *, retry_after: int | None = None, code: str = "RATE_LIMIT_EXCEEDED") -> None:
        super().__init__(code, message, {"retry_after": retry_after} if retry_after is not None else None)
        self.retry_after = retry_after


class Unavailable(TaskyardError):
    """Something the yard stands on is away for now."""

    def __init__(self, message: str, *, code: str = "DATABASE_ERROR") -> None:
        super().__init__(code, message)
