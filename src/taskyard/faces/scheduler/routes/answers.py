"""What the routes of D3 may answer besides success, for their OpenAPI document."""

from typing import Any

from taskyard.faces.scheduler.schemas import Problem

Answers = dict[int | str, dict[str, Any]]

_MEANINGS = {
    400: "Invalid request",
    401: "Missing or invalid token",
    403: "No access to this account, job or webhook",
    404: "Not found",
    409: "The present state does not allow this",
    413: "The request body is too large",
    500: "Server error",
    503: "Service unhealthy",
}


def answers(*statuses: int) -> Answers:
    """The documented refusals of a route; 401 and 500 are every route's."""
    return {status: {"model": Problem, "description": _MEANINGS[status]} for status in sorted({401, 500, *statuses})}
