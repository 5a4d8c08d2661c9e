"""From what went wrong to what the caller reads: each face gives its `Manners`, one installer does the rest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskyard.domain.errors import Invalid, LimitExceeded, TaskyardError
from taskyard.faces.kit.allowed_methods import allowed_methods
from taskyard.faces.kit.faults import Fault, Issue, Render
from taskyard.faces.kit.request_ids import request_id
from taskyard.faces.kit.wire import NO_NUL

BROKEN_JSON = "json_invalid"
MAX_ISSUES = 50
"""An answer tells so many; a request of a megabyte can have a hundred thousand."""
_HTTP_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "PAYLOAD_TOO_LARGE"}
_HTTP_WORDS = {
    404: "No such path",
    405: "This path does not answer that method",
    413: "The request body is too large",
}

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Manners:
    """How one face says no.

    `statuses` maps every leaf of `TaskyardError` to a status. `validation_status` answers requests that are not
    valid, `malformed_status` those that are no JSON at all. `codes` renames the domain's codes where the face's
    document has its own; `http_codes` names what the framework refuses, by status. `refine` has the last word.
    """

    statuses: Mapping[type[TaskyardError], int]
    render: Render
    validation_status: int = 422
    malformed_status: int = 422
    codes: Mapping[str, str] = field(default_factory=dict[str, str])
    http_codes: Mapping[int, str] = field(default_factory=dict[int, str])
    refine: Callable[[TaskyardError, Fault], Fault] = lambda _error, fault: fault

    def fault(self, error: TaskyardError) -> Fault:
        """`error` as this face sees it."""
        kind = next(kind for kind in type(error).__mro__ if kind in self.statuses)
        issues = (Issue(("body", *_path(error)), error.message, "value_error"),) if isinstance(error, Invalid) else ()
        fault = Fault(
            status=self.statuses[kind],
            code=self.codes.get(error.code, error.code),
            message=error.message,
            details=error.details,
            issues=issues,
            retry_after=error.retry_after if isinstance(error, LimitExceeded) else None,
        )
        return self.refine(error, fault)

    def invalid_request(self, issues: Sequence[Issue]) -> Fault:
        """A request whose shape or values are wrong."""
        first = issues[0]
        return Fault(
            status=self.malformed_status if first.type == BROKEN_JSON else self.validation_status,
            code="VALIDATION_ERROR",
            message="; ".join(f"{issue.where}: {issue.msg}" for issue in issues),
            details={"field": first.where, "issue": first.msg},
            issues=tuple(issues),
        )

    def refused(self, status: int, message: str | None = None) -> Fault:
        """What the framework refuses by itself: unknown path, wrong method, body too large or not readable."""
        code = self.http_codes.get(status) or _HTTP_CODES.get(status, "ERROR")
        return Fault(status, code, _HTTP_WORDS.get(status) or message or "The request was refused")

    def broken(self, ident: str) -> Fault:
        """A bug of ours; nothing of it is told but the number under which it is in the log."""
        code = self.http_codes.get(500, "INTERNAL_ERROR")
        return Fault(500, code, f"Internal server error (request {ident})")

    def response(self, fault: Fault, scope: Scope, headers: Mapping[str, str] | None = None) -> JSONResponse:
        """`fault` on the wire."""
        sent = dict(headers or {})
        if fault.status == 401:
            sent["WWW-Authenticate"] = "Bearer"
        if fault.retry_after is not None:
            sent["Retry-After"] = str(fault.retry_after)
        body = self.render(replace(fault, request_id=request_id(scope)))
        return JSONResponse(body, fault.status, sent)


class Unexpected:
    """Middleware: turns what nobody expected into a 500 of the face, and a log entry with all there is to know."""

    def __init__(self, app: ASGIApp, manners: Manners) -> None:
        self._app = app
        self._manners = manners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            ident = request_id(scope)
            _log.exception("unexpected", request_id=ident, method=scope["method"], path=scope["path"])
            if started:
                # The status line is out; a connection that breaks off is the only honest end.
                raise
            response = self._manners.response(self._manners.broken(ident), scope)
            await response(scope, receive, send)


def install(app: FastAPI, manners: Manners) -> None:
    """Let `app` answer every failure as `manners` ask."""

    async def on_taskyard_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, TaskyardError)  # noqa: S101
        return manners.response(manners.fault(error), request.scope)

    async def on_invalid_request(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return manners.response(manners.invalid_request(issues_of(error.errors())), request.scope)

    async def on_http_exception(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101
        if error.status_code == 400:
            # FastAPI's word for a body that is no text at all.
            unreadable = Issue(("body",), "malformed JSON: the body cannot be read", BROKEN_JSON)
            return manners.response(manners.invalid_request([unreadable]), request.scope)
        headers = {"Allow": ", ".join(allowed_methods(app, request.scope))} if error.status_code == 405 else None
        return manners.response(manners.refused(error.status_code, error.detail), request.scope, headers)

    app.add_exception_handler(TaskyardError, on_taskyard_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_middleware(Unexpected, manners=manners)


def issues_of(errors: Sequence[Any]) -> list[Issue]:
    """Pydantic's first findings as issues, without the caller's input, which may be a secret."""
    return [_issue(error) for error in errors[:MAX_ISSUES]]


def _issue(error: Any) -> Issue:
    if error["type"] == BROKEN_JSON:
        return Issue(("body",), f"malformed JSON: {error['ctx']['error']}", BROKEN_JSON)
    if error.get("ctx", {}).get("pattern") == NO_NUL:
        return Issue(tuple(error["loc"]), "null bytes are not allowed", "null_byte")
    return Issue(tuple(error["loc"]), error["msg"], error["type"])


def _path(error: Invalid) -> tuple[str, ...]:
    return tuple(error.field.split(".")) if error.field else ()
