"""One HTTP call from connect to the last byte kept, and what it means for the run."""

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx2

from taskyard.adapters.http.bodies import kept_headers, read_start, to_text
from taskyard.adapters.http.guard import BlockedAddress
from taskyard.adapters.http.request import Request
from taskyard.adapters.http.retry_after import parse_retry_after
from taskyard.domain.runs import Cause, Outcome, Output, Stream, Verdict
from taskyard.domain.urls import without_secrets

CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call is not a success, in the words of `Outcome`."""

    verdict: Verdict
    cause: Cause
    error: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """The facts of one call. `status` is None when no answer came; `duration_ms` includes reading the body."""

    url: str
    method: str
    status: int | None = None
    headers: Mapping[str, str] | None = None
    body: str | None = None
    body_truncated: bool = False
    duration_ms: float = 0.0
    retry_after: float | None = None
    failure: Failure | None = None

    def as_json(self) -> dict[str, Any]:
        """The call as it stands in an outcome's result."""
        return {
            "url": self.url,
            "method": self.method,
            "status": self.status,
            "headers": dict(self.headers or {}),
            "body": self.body,
            "body_truncated": self.body_truncated,
            "duration_ms": self.duration_ms,
            "error": self.failure.error if self.failure else None,
        }


class _Progress:
    """What is known of a call while it runs, so that a time-out can tell what it interrupted."""

    def __init__(self) -> None:
        self.connected = False
        self.response: httpx2.Response | None = None
        self.body = bytearray()
        self.truncated = False

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        if event.startswith("http11."):
            self.connected = True


def _failed(cause: Cause, error: str) -> Failure:
    return Failure(Verdict.FAILED, cause, error)


def _tls_problem(error: BaseException) -> str | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or 'unknown reason'}"
        cause = cause.__cause__
    return None


def _transport_failure(error: httpx2.TransportError, host: str) -> Failure:
    if isinstance(error, httpx2.UnsupportedProtocol):
        return _failed(Cause.NOT_RUNNABLE, str(error))
    if isinstance(error, httpx2.TimeoutException):
        return _failed(Cause.CONNECT_ERROR, str(error) or "Connection timeout")
    if problem := _tls_problem(error):
        return _failed(Cause.CONNECT_ERROR, f"Connection to {host} failed: {problem}")
    if isinstance(error, httpx2.ConnectError):
        return _failed(Cause.CONNECT_ERROR, str(error) or f"Connection to {host} failed")
    if isinstance(error, httpx2.ProtocolError):
        return _failed(Cause.CONNECT_ERROR, f"{host} sent no valid HTTP answer: {error}")
    return _failed(Cause.CONNECT_ERROR, f"Connection to {host} was lost")


def _timed_out(progress: _Progress, timeout_seconds: float) -> Failure:
    if not progress.connected:
        return _failed(Cause.CONNECT_ERROR, "Connection timeout")
    what = "No answer" if progress.response is None else "The answer did not end"
    return Failure(Verdict.TIMED_OUT, Cause.TIMEOUT, f"{what} within {timeout_seconds:g} s")


def _status_failure(status: int, host: str) -> Failure | None:
    if 200 <= status < 300:
        return None
    note = " (redirects are not followed)" if 300 <= status < 400 else ""
    return _failed(Cause.STATUS, f"HTTP {status} from {host}{note}")


async def _converse(
    client: httpx2.AsyncClient, request: Request, progress: _Progress, timeout_seconds: float, keep_bytes: int
) -> None:
    prepared = client.build_request(
        request.method,
        request.url,
        headers=[(name.encode(), value) for name, value in request.headers],
        content=request.body,
        timeout=httpx2.Timeout(None, connect=min(CONNECT_SECONDS, timeout_seconds)),
        extensions={"trace": progress.trace},
    )
    response = await client.send(prepared, stream=True)
    progress.response = response
    try:
        progress.truncated = await read_start(response, progress.body, keep_bytes)
    finally:
        await response.aclose()


async def _attempt(
    client: httpx2.AsyncClient, request: Request, progress: _Progress, timeout_seconds: float, keep_bytes: int
) -> Failure | None:
    host = request.url.netloc.decode("ascii", "replace")
    try:
        async with asyncio.timeout(timeout_seconds):
            await _converse(client, request, progress, timeout_seconds, keep_bytes)
    except TimeoutError:
        return _timed_out(progress, timeout_seconds)
    except BlockedAddress as error:
        return _failed(Cause.BLOCKED, str(error))
    except httpx2.TransportError as error:
        return _transport_failure(error, host)
    return _status_failure(progress.response.status_code, host) if progress.response else None


async def exchange(
    client: httpx2.AsyncClient, request: Request, *, timeout_seconds: float, keep_bytes: int
) -> Exchange:
    """Make one call, within `timeout_seconds` from first packet to last, and keep `keep_bytes` of the answer's body.

    Never raises for a failing call; `failure` says what went wrong.
    """
    progress = _Progress()
    started = time.perf_counter()
    failure = await _attempt(client, request, progress, timeout_seconds, keep_bytes)
    elapsed = round((time.perf_counter() - started) * 1000, 3)
    done = Exchange(without_secrets(str(request.url)), request.method, duration_ms=elapsed, failure=failure)
    response = progress.response
    if response is None:
        return done
    truncated = progress.truncated or (failure is not None and failure.cause is not Cause.STATUS)
    return replace(
        done,
        status=response.status_code,
        headers=kept_headers(response.headers),
        body=to_text(bytes(progress.body), response.charset_encoding, truncated=truncated),
        body_truncated=truncated,
        retry_after=parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC)),
    )


async def report(output: Output, request: Request, done: Exchange) -> None:
    """One line for a person: what was called and how it ended; no query, header or body is shown."""
    line = f"{request.method} {done.url} -> "
    line += str(done.status) if done.status is not None else ""
    if done.failure and done.failure.cause is not Cause.STATUS:
        line += f"{' ' if done.status is not None else ''}{done.failure.error}"
    line += f" in {done.duration_ms:.0f} ms\n"
    await output.write(Stream.STDERR if done.failure else Stream.STDOUT, line.encode())


def outcome_of(exchanges: Sequence[Exchange], **more: Any) -> Outcome:
    """The outcome of calls made in order, the last of which decides; `more` is added to the result."""
    last = exchanges[-1]
    result = {"calls": [each.as_json() for each in exchanges], **more}
    if last.failure is None:
        return Outcome(Verdict.SUCCEEDED, response_code=last.status, result=result)
    failure = last.failure
    return Outcome(
        failure.verdict,
        failure.cause,
        failure.error,
        response_code=last.status,
        retry_after=last.retry_after,
        result=result,
    )
