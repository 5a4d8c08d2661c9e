"""What the routes may answer besides success, and the routers they share."""

from typing import Any

from fastapi import APIRouter, Depends

from taskyard.faces.assistant.guards import known_caller
from taskyard.faces.assistant.schemas.problems import LimitProblem, Problem, ValidationProblem
from taskyard.faces.kit.auth import bearer_scheme, cookie_scheme, guarded, key_query_scheme, key_scheme

Answers = dict[int | str, dict[str, Any]]

_MEANINGS: dict[int, tuple[type, str]] = {
    400: (Problem, "Invalid request parameters"),
    401: (Problem, "Missing or invalid authentication"),
    403: (Problem, "Insufficient permissions"),
    404: (Problem, "Resource not found"),
    409: (Problem, "The present state does not allow this"),
    413: (Problem, "The request body is too large"),
    422: (ValidationProblem, "Request validation failed"),
    429: (LimitProblem, "Rate limit exceeded"),
    500: (Problem, "Server error"),
    503: (Problem, "The database is away"),
}


def answers(*statuses: int) -> Answers:
    """The refusals of a route; 429, 500 and 503 are every route's."""
    chosen = sorted({429, 500, 503, *statuses})
    return {status: {"model": _MEANINGS[status][0], "description": _MEANINGS[status][1]} for status in chosen}


def router_of(noun: str) -> APIRouter:
    """A router for `/api/v1/<noun>` whose callers are known and within their limits."""
    return APIRouter(
        prefix=f"/api/v1/{noun}",
        tags=[noun],
        route_class=guarded(known_caller),
        dependencies=[Depends(each) for each in (bearer_scheme, key_scheme, key_query_scheme, cookie_scheme)],
        responses=answers(401),
    )
