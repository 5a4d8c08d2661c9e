"""Every request has a number, by which the caller and the log can speak of it."""

import re

from starlette.types import Scope

from taskyard.domain.ids import new_id

HEADER = "X-Request-ID"
_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._-]{1,64}")


def request_id(scope: Scope) -> str:
    """The request's number: the caller's own if it is harmless, else a fresh one, kept for the whole request."""
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        state["request_id"] = _asked_for(scope) or str(new_id())
    return str(state["request_id"])


def _asked_for(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ACCEPTABLE.fullmatch(value):
            return bytes(value).decode()
    return None
