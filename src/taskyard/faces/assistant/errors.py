"""How the assistant face says no (D4-X00 to X13)."""

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
from taskyard.faces.kit.faults import Fault, as_assistant

VALIDATION_CODES = frozenset({"VALIDATION_ERROR", "INVALID_CRON_EXPRESSION"})
"""What is wrong with a field has the list form; other refusals of a request are plain 400s (RULINGS §5 D4)."""


def _refine(error: TaskyardError, fault: Fault) -> Fault:
    if isinstance(error, Invalid) and error.code not in VALIDATION_CODES:
        return replace(fault, status=400, issues=())
    return fault


MANNERS = Manners(
    statuses={
        Invalid: 422,
        Unauthenticated: 401,
        Forbidden: 403,
        NotFound: 404,
        Conflict: 409,
        LimitExceeded: 429,
        Unavailable: 503,
    },
    render=as_assistant,
    refine=_refine,
)
