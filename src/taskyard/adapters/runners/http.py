"""Runs the HTTP calls of an execution."""

from collections.abc import Mapping
from typing import Any

from taskyard.adapters.http.client import HttpClients
from taskyard.adapters.http.exchange import Exchange, exchange, outcome_of, report
from taskyard.adapters.http.request import Request, build_request
from taskyard.domain.errors import Invalid
from taskyard.domain.runs import MAX_KEPT_RESPONSE_BYTES, Cause, HttpCall, HttpRun, Outcome, Output, Stream
from taskyard.domain.templates import render


def _prepare(call: HttpCall, context: Mapping[str, Any]) -> Request:
    body = None if call.body is None else render(call.body, context).encode()
    return build_request(call.url, call.method, call.headers, call.query, body)


class HttpRunner:
    """Makes the calls in order; the first answer that is not 2xx ends the run (RULINGS §4).

    The result holds `calls`, each with its answer, and `calls_not_made`, how many were left out.
    """

    def __init__(self, clients: HttpClients) -> None:
        self._clients = clients

    async def run(self, run: HttpRun, output: Output) -> Outcome:
        """Make the calls. `timeout_seconds` is the limit of each one."""
        if not run.calls:
            return Outcome.failed(Cause.NOT_RUNNABLE, "job has no webhook")
        client = self._clients.client(run.network)
        made: list[Exchange] = []
        for call in run.calls:
            try:
                request = _prepare(call, run.context)
            except Invalid as error:
                return await self._not_runnable(error, made, run, output)
            done = await exchange(
                client, request, timeout_seconds=run.timeout_seconds, keep_bytes=MAX_KEPT_RESPONSE_BYTES
            )
            made.append(done)
            await report(output, request, done)
            if done.failure:
                break
        return outcome_of(made, calls_not_made=len(run.calls) - len(made))

    async def _not_runnable(self, error: Invalid, made: list[Exchange], run: HttpRun, output: Output) -> Outcome:
        await output.write(Stream.STDERR, f"call {len(made) + 1}: {error.message}\n".encode(errors="replace"))
        return Outcome.failed(
            Cause.NOT_RUNNABLE,
            error.message,
            response_code=made[-1].status if made else None,
            result={"calls": [each.as_json() for each in made], "calls_not_made": len(run.calls) - len(made)},
        )
