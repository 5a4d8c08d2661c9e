"""HTTP runs against a real receiver: what is sent, how each way of failing is told."""

import asyncio
import json
import logging
import socket
import time

import pytest

from taskyard.adapters.http.client import HttpClients, user_agent
from taskyard.adapters.runners.http import HttpRunner
from taskyard.domain.runs import Cause, HttpCall, Outcome, Stream, Verdict
from tests.adapters.conftest import Lines
from tests.adapters.http_runs import a_run, only_call
from tests.adapters.receiver import Received, Receiver, answer

pytestmark = pytest.mark.anyio


async def test_a_call_is_made_as_written(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    url = target.on("/hook", answer(201, b'{"ok":true}', (("Content-Type", "application/json"), ("X-Two", "b"))))
    call = HttpCall(
        url + "?a=1",
        "put",
        {"X-Job": "nightly ü", "Authorization": "Bearer s3cret"},
        {"b": "2 3"},
        '{"job": {{ job.name | tojson }}, "at": "{{ scheduled_at }}"}',
    )
    outcome = await HttpRunner(clients).run(a_run(call), lines)
    (received,) = target.requests
    assert (received.method, received.target) == ("PUT", "/hook?a=1&b=2+3")
    assert json.loads(received.body) == {"job": "nightly", "at": "2024-05-17T00:00:00+00:00"}
    assert received.headers["x-job"].encode("latin-1").decode() == "nightly ü"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"] == user_agent()
    assert received.headers["host"] == f"127.0.0.1:{target.port}"
    assert (outcome.verdict, outcome.cause, outcome.error) == (Verdict.SUCCEEDED, None, None)
    assert outcome.response_code == 201
    kept = only_call(outcome)
    assert kept["duration_ms"] > 0
    assert {name: kept[name] for name in ("url", "method", "status", "body", "body_truncated", "error")} == {
        "url": url,
        "method": "PUT",
        "status": 201,
        "body": '{"ok":true}',
        "body_truncated": False,
        "error": None,
    }
    assert kept["headers"]["x-two"] == "b"
    json.dumps(outcome.result, allow_nan=False)


async def test_the_line_shows_no_secret(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    url = target.on("/hook", answer(200)).replace("http://", "http://me:p%40ss@") + "?token=qsecret#frag"
    outcome = await HttpRunner(clients).run(a_run(HttpCall(url, headers={"X-Key": "hsecret"})), lines)
    ((stream, line),) = lines.written
    assert stream is Stream.STDOUT
    assert line.startswith(f"POST {target.url('/hook')} -> 200 in ")
    assert line.endswith(" ms\n")
    assert target.requests[0].headers["authorization"] == "Basic bWU6cEBzcw=="
    assert only_call(outcome)["url"] == target.url("/hook")
    assert "hsecret" not in json.dumps(outcome.result)


async def test_libraries_log_no_secret(
    clients: HttpClients, target: Receiver, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("taskyard.test").debug("is heard")
    call = HttpCall(target.url("/?token=qsecret"), headers={"X-Key": "hsecret"})
    await HttpRunner(clients).run(a_run(call), lines)
    assert "is heard" in caplog.text
    assert "secret" not in caplog.text


async def test_the_first_failure_ends_the_run(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    good, bad, never = (
        target.url("/1"),
        target.on("/2", answer(503, b"later", (("Retry-After", "7"),))),
        target.url("/3"),
    )
    outcome = await HttpRunner(clients).run(a_run(HttpCall(good), HttpCall(bad), HttpCall(never)), lines)
    assert [received.target for received in target.requests] == ["/1", "/2"]
    assert (outcome.verdict, outcome.cause, outcome.response_code) == (Verdict.FAILED, Cause.STATUS, 503)
    assert outcome.error == f"HTTP 503 from 127.0.0.1:{target.port}"
    assert outcome.retry_after == 7.0
    assert [call["status"] for call in outcome.result["calls"]] == [200, 503]
    assert outcome.result["calls_not_made"] == 1
    assert [stream for stream, _ in lines.written] == [Stream.STDOUT, Stream.STDERR]


async def test_no_calls(clients: HttpClients, lines: Lines) -> None:
    assert await HttpRunner(clients).run(a_run(), lines) == Outcome.failed(Cause.NOT_RUNNABLE, "job has no webhook")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304, 300])
async def test_redirects_are_not_followed(clients: HttpClients, target: Receiver, lines: Lines, status: int) -> None:
    url = target.on("/from", answer(status, b"", (("Location", target.url("/to")),)))
    outcome = await HttpRunner(clients).run(a_run(HttpCall(url, "GET")), lines)
    assert [received.target for received in target.requests] == ["/from"]
    assert (outcome.cause, outcome.response_code) == (Cause.STATUS, status)


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1",
        "//",
        "\x80\xff",
        "http://169.254.169.254/",
        "http://h:99999999/",
        "a" * 9000,
        "http://\xfc\xdf\xad",
    ],
)
async def test_a_strange_redirect_is_only_a_status(
    clients: HttpClients, target: Receiver, lines: Lines, location: str
) -> None:
    url = target.on("/from", answer(302, b"", (("Location", location),)))
    outcome = await HttpRunner(clients).run(a_run(HttpCall(url)), lines)
    assert (outcome.cause, outcome.response_code) == (Cause.STATUS, 302)


async def test_private_targets_are_blocked_by_policy(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    outcome = await HttpRunner(clients).run(a_run(HttpCall(target.url()), private=False), lines)
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, Cause.BLOCKED)
    assert outcome.error == "127.0.0.1 may not be called: it is a private or loopback address"
    assert only_call(outcome)["status"] is None
    assert target.connections == 0
    assert lines.written[0][0] is Stream.STDERR


async def test_metadata_is_blocked_always(clients: HttpClients, lines: Lines) -> None:
    outcome = await HttpRunner(clients).run(a_run(HttpCall("http://169.254.169.254/latest/")), lines)
    assert outcome.cause is Cause.BLOCKED


async def test_a_refused_connection(clients: HttpClients, lines: Lines) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        outcome = await HttpRunner(clients).run(a_run(HttpCall(f"http://127.0.0.1:{port}/")), lines)
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, Cause.CONNECT_ERROR)
    assert outcome.error == f"Connection refused by 127.0.0.1:{port}"


async def test_an_unknown_name(lines: Lines) -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with HttpClients(resolve=unknown) as clients:
        outcome = await HttpRunner(clients).run(a_run(HttpCall("http://nowhere.test/")), lines)
    assert (outcome.cause, outcome.error) == (Cause.CONNECT_ERROR, "Host not found: nowhere.test")


async def test_a_slow_name_is_a_connection_timeout(lines: Lines) -> None:
    async def slow(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with HttpClients(resolve=slow) as clients:
        outcome = await HttpRunner(clients).run(a_run(HttpCall("http://slow.test/"), timeout=0.1), lines)
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, Cause.CONNECT_ERROR)
    assert (outcome.error or "").startswith("Connection timeout")


async def test_a_connection_that_is_never_accepted(clients: HttpClients, lines: Lines) -> None:
    listening = socket.socket()
    waiting: list[socket.socket] = []
    with listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        # Linux lets a few connections beyond the backlog complete; after those, a handshake gets no answer.
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
            waiting.append(filler)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        outcome = await HttpRunner(clients).run(a_run(HttpCall(url), timeout=0.3), lines)
    for filler in waiting:
        filler.close()
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, Cause.CONNECT_ERROR)
    assert outcome.error == "Connection timeout"


async def test_no_answer_in_time(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    async def silent(received: Received, writer: asyncio.StreamWriter) -> None:
        await received.hung_up()
        writer.close()

    outcome = await HttpRunner(clients).run(a_run(HttpCall(target.on("/", silent)), timeout=0.2), lines)
    assert (outcome.verdict, outcome.cause) == (Verdict.TIMED_OUT, Cause.TIMEOUT)
    assert outcome.error == "No answer within 0.2 s"
    assert outcome.response_code is None


async def test_a_dripping_body_cannot_outlast_the_limit(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    async def drip(_received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    started = time.monotonic()
    outcome = await HttpRunner(clients).run(a_run(HttpCall(target.on("/", drip)), timeout=0.3), lines)
    assert time.monotonic() - started < 3
    assert (outcome.verdict, outcome.cause) == (Verdict.TIMED_OUT, Cause.TIMEOUT)
    assert outcome.response_code == 200
    kept = only_call(outcome)
    assert kept["body"].startswith("...")
    assert kept["body_truncated"] is True


async def test_dripping_headers_cannot_outlast_the_limit(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    async def drip(_received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not writer.is_closing():
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    outcome = await HttpRunner(clients).run(a_run(HttpCall(target.on("/", drip)), timeout=0.3), lines)
    assert outcome.verdict is Verdict.TIMED_OUT
