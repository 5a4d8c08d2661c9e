"""How the scheduler face says no (D3-X00 to X16)."""

from dataclasses import replace

from taskyard.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    LimitExceeded,
    NotFound,
    TaskyardError,
    Unauthenticated,
    Unavailable,
)
from taskyard.faces.kit.errors import Manners
from taskyard.faces.kit.faults import Fault, as_scheduler

NOUNS = {"call": "webhook"}
"""Where D3 has another word than the house."""

_CODES: dict[type[TaskyardError], str] = {
    Unauthenticated: "UNAUTHORIZED",
    Forbidden: "FORBIDDEN",
    Unavailable: "DATABASE_ERROR",
}
_KEPT = frozenset({"INVALID_CRON_EXPRESSION"})


def _refine(error: TaskyardError, fault: Fault) -> Fault:
    """D3's own words and codes."""
    if isinstance(error, NotFound) and error.noun in NOUNS:
        noun = NOUNS[error.noun]
        return replace(fault, code=f"{noun.upper()}_NOT_FOUND", message=f"{noun.capitalize()} not found")
    if isinstance(error, Invalid):
        return fault if error.code in _KEPT else replace(fault, code="VALIDATION_ERROR")
    return replace(fault, code=_CODES.get(type(error), fault.code))


MANNERS = Manners(
    statuses={
        Invalid: 400,
        Unauthenticated: 401,
        Forbidden: 403,
        NotFound: 404,
        Conflict: 409,
        # D3-R01: this face never answers 429. What is limited here is how much somebody may have.
        LimitExceeded: 403,
        Unavailable: 500,
    },
    render=as_scheduler,
    validation_status=400,
    malformed_status=400,
    refine=_refine,
)
