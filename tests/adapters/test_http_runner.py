"""HTTP runs against a real receiver: what is sent, what is kept, how each way of failing is told."""

import asyncio
import gzip
import json
import logging
import socket
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from taskyard.adapters.http.client import HttpClients, user_agent
from taskyard.adapters.http.pool import MAX_IDLE
from taskyard.adapters.http.retry_after import parse_retry_after
from taskyard.adapters.runners.http import HttpRunner
from taskyard.domain.runs import Cause, HttpCall, HttpRun, NetworkPolicy, Outcome, Stream, Verdict
from tests.adapters.conftest import Lines
from tests.adapters.receiver import Received, Receiver, answer, raw

pytestmark = pytest.mark.anyio

CONTEXT = {"job": {"name": "nightly"}, "execution": {"attempt": 2}, "scheduled_at": datetime(2024, 5, 17, tzinfo=UTC)}


def a_run(*calls: HttpCall, timeout: float = 10.0, private: bool = True) -> HttpRun:
    return HttpRun(calls, CONTEXT, timeout, NetworkPolicy(allow_private=private))


def only_call(outcome: Outcome) -> dict[str, Any]:
    (call,) = outcome.result["calls"]
    return call


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
        "url": url + "?a=1&b=2+3",
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
    assert only_call(outcome)["url"] == target.url("/hook?token=qsecret")
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


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (HttpCall("ftp://h/"), "url must start with http:// or https://"),
        (HttpCall("file:///etc/passwd"), "url must start with http:// or https://"),
        (HttpCall("/relative"), "url must start with http:// or https://"),
        (HttpCall("http:///path"), "url has no host"),
        (HttpCall("http://"), "url has no host"),
        (HttpCall("http://a b/"), "url has a host that is no host name"),
        (HttpCall("http://127.0.0.1%00.example.com/"), "url has a host that is no host name"),
        (HttpCall("http://h:0/"), "url has a port outside 1 to 65535"),
        (HttpCall("http://h:70000/"), "url has a port outside 1 to 65535"),
        (HttpCall("http://[::1"), "url is not a valid URL"),
        (HttpCall("http://h/\r\nX: y"), "url is not a valid URL"),
        (HttpCall("http://h/\ud800"), "url is not a valid URL"),
        (HttpCall("http://h/" + "x" * 9000), "url is longer than"),
        (HttpCall("http://h/", query={"a": "\ud800"}), "query is not valid text"),
        (HttpCall("http://h/", query={"a": "x" * 9000}), "query makes the url longer than"),
        (HttpCall("http://h/", "GET / HTTP/1.1\r\nX: y"), "method"),
        (HttpCall("http://h/", "CONNECT"), "method 'CONNECT' cannot be called"),
        (HttpCall("http://h/", "TRACE"), "method 'TRACE' cannot be called"),
        (HttpCall("http://h/", ""), "method '' cannot be called"),
        (HttpCall("http://h/", headers={"X-A": "hush\r\nX-Evil: 1"}), "headers: the value of X-A has a line break"),
        (HttpCall("http://h/", headers={"X-A": "hush\nX-Evil: 1"}), "headers: the value of X-A has a line break"),
        (HttpCall("http://h/", headers={"X-A": "hush\x00"}), "headers: the value of X-A has a line break"),
        (HttpCall("http://h/", headers={"X-A": "hush\ud800"}), "headers: the value of X-A is not valid text"),
        (HttpCall("http://h/", headers={"X-A\r\nX-Evil": "1"}), "headers has a name that is not allowed"),
        (HttpCall("http://h/", headers={"X A": "1"}), "headers has a name that is not allowed"),
        (HttpCall("http://h/", headers={"": "1"}), "headers has a name that is not allowed"),
        (HttpCall("http://h/", headers={f"X-{n}": "1" for n in range(101)}), "headers has more than 100 entries"),
        (HttpCall("http://h/", body="{{ nope }}"), "body template, line 1: unknown name 'nope'"),
        (HttpCall("http://h/", body="{{ job.nope }}"), "body template, 'dict object' has no attribute 'nope'"),
        (HttpCall("http://h/", body="\ud800"), "body template, it is not valid text"),
    ],
)
async def test_what_cannot_be_called_says_which_field(
    clients: HttpClients, lines: Lines, call: HttpCall, sentence: str
) -> None:
    outcome = await HttpRunner(clients).run(a_run(call), lines)
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, Cause.NOT_RUNNABLE)
    assert (outcome.error or "").startswith(sentence)
    assert "hush" not in f"{outcome}{lines.text}"
    assert outcome.result["calls_not_made"] == 1


async def test_headers_that_frame_the_message_are_ours(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    theirs = {"Host": "evil.test", "content-length": "1", "Transfer-Encoding": "chunked", "Connection": "close"}
    theirs |= {"Upgrade": "h2c", "TE": "trailers", "Expect": "100-continue", "Trailer": "X"}
    await HttpRunner(clients).run(a_run(HttpCall(target.url(), headers=theirs, body="abc")), lines)
    (received,) = target.requests
    assert received.headers["host"] == f"127.0.0.1:{target.port}"
    assert received.headers["content-length"] == "3"
    assert received.headers["connection"] == "keep-alive"
    assert not received.headers.keys() & {"transfer-encoding", "upgrade", "te", "expect", "trailer"}
    assert received.raw_head.lower().count(b"\nhost:") == 1


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ('{"a": 1}', {}, "application/json"),
        ("[1]", {}, "application/json"),
        ("plain ü", {}, "text/plain; charset=utf-8"),
        ("[" * 5000, {}, "text/plain; charset=utf-8"),
        ("<a/>", {"content-TYPE": "application/xml"}, "application/xml"),
        ("", {}, None),
        (None, {}, None),
    ],
)
async def test_the_content_type_of_a_body(  # noqa: PLR0917
    clients: HttpClients,
    target: Receiver,
    lines: Lines,
    body: str | None,
    headers: dict[str, str],
    expected: str | None,
) -> None:
    await HttpRunner(clients).run(a_run(HttpCall(target.url(), headers=headers, body=body)), lines)
    (received,) = target.requests
    assert received.headers.get("content-type") == expected
    assert received.body == (body or "").encode()


async def test_a_body_without_expressions_is_sent_byte_for_byte(
    clients: HttpClients, target: Receiver, lines: Lines
) -> None:
    body = '{"a":{"b":1}}\r\n{% if %} ü\t\n'
    await HttpRunner(clients).run(a_run(HttpCall(target.url(), body=body)), lines)
    assert target.requests[0].body == body.encode()


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


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\xff nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_an_answer_that_is_no_http_fails_the_run(
    clients: HttpClients, target: Receiver, lines: Lines, data: bytes
) -> None:
    outcome = await HttpRunner(clients).run(a_run(HttpCall(target.on("/", raw(data)))), lines)
    assert outcome.verdict is Verdict.FAILED
    assert outcome.cause in {Cause.CONNECT_ERROR, Cause.STATUS}
    assert outcome.error


async def test_a_reset_connection(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    async def reset(_received: Received, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    outcome = await HttpRunner(clients).run(a_run(HttpCall(target.on("/", reset))), lines)
    assert outcome.cause is Cause.CONNECT_ERROR


async def test_64_kb_of_the_body_are_kept(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    exact, more = target.on("/exact", answer(200, b"a" * 65536)), target.on("/more", answer(200, b"a" * 65537))
    outcome = await HttpRunner(clients).run(a_run(HttpCall(exact), HttpCall(more)), lines)
    assert [(len(call["body"]), call["body_truncated"]) for call in outcome.result["calls"]] == [
        (65536, False),
        (65536, True),
    ]


async def test_a_body_of_100_mb_is_not_read(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    sent = 0
    closed = asyncio.Event()

    async def flood(_received: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        try:
            while sent < 104_857_600:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536
        finally:
            closed.set()

    url = target.on("/flood", flood)
    await HttpRunner(clients).run(a_run(HttpCall(target.url("/warm"))), lines)
    tracemalloc.start()
    outcome = await HttpRunner(clients).run(a_run(HttpCall(url)), lines)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await asyncio.wait_for(closed.wait(), 5)
    assert outcome.verdict is Verdict.SUCCEEDED
    assert only_call(outcome)["body_truncated"] is True
    assert sent < 40_000_000
    assert peak < 8_000_000


async def test_a_compressed_bomb_is_not_unpacked(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    url = target.on("/bomb", answer(200, bomb, (("Content-Encoding", "gzip"),)))
    tracemalloc.start()
    outcome = await HttpRunner(clients).run(a_run(HttpCall(url)), lines)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000
    assert only_call(outcome)["body_truncated"] is True


@pytest.mark.parametrize(
    ("body", "headers", "text"),
    [
        ("grüße".encode(), {}, "grüße"),
        ("grüße".encode("latin-1"), {"Content-Type": "text/plain; charset=ISO-8859-1"}, "grüße"),
        ("日本".encode("shift_jis"), {"Content-Type": "text/plain; charset=Shift_JIS"}, "日本"),
        (b"\xff\xfe\x00", {}, "\ufffd\ufffd\ufffd"),
        (b"a\x00b", {}, "a\ufffdb"),
        (b"+2AA-", {"Content-Type": "text/plain; charset=utf-7"}, "+2AA-"),
        (b"abc", {"Content-Type": "text/plain; charset=punycode"}, "abc"),
        (b"abc", {"Content-Type": "text/plain; charset=zip"}, "abc"),
        (b"abc", {"Content-Type": "text/plain; charset=no-such"}, "abc"),
        (gzip.compress(b"packed"), {"Content-Encoding": "gzip"}, "packed"),
        (b"not packed", {"Content-Encoding": "gzip"}, ""),
    ],
)
async def test_bodies_become_text(  # noqa: PLR0917
    clients: HttpClients, target: Receiver, lines: Lines, body: bytes, headers: dict[str, str], text: str
) -> None:
    url = target.on("/", answer(200, body, tuple(headers.items())))
    outcome = await HttpRunner(clients).run(a_run(HttpCall(url)), lines)
    assert only_call(outcome)["body"] == text


async def test_a_character_cut_in_two_is_left_out(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    url = target.on("/", answer(200, b"a" + "ü".encode() * 40_000))
    kept = only_call(await HttpRunner(clients).run(a_run(HttpCall(url)), lines))
    assert kept["body"] == "a" + "ü" * 32_767


async def test_response_headers_are_kept_within_limits(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    headers = (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Long", "x" * 20_000))
    headers += tuple((f"X-{number}", "1") for number in range(150))
    outcome = await HttpRunner(clients).run(a_run(HttpCall(target.on("/", answer(200, b"", headers)))), lines)
    kept = only_call(outcome)["headers"]
    assert kept["set-cookie"] == "a=1, b=2"
    assert len(kept["x-long"]) == 8192
    assert len(kept) == 100


async def test_cookies_are_not_kept(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    url = target.on("/", answer(200, b"", (("Set-Cookie", "session=1; Path=/"),)))
    await HttpRunner(clients).run(a_run(HttpCall(url), HttpCall(url)), lines)
    assert ["cookie" in received.headers for received in target.requests] == [False, False]


async def test_connections_are_used_again(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    runner = HttpRunner(clients)
    for _ in range(20):
        assert (await runner.run(a_run(HttpCall(target.url())), lines)).verdict is Verdict.SUCCEEDED
    assert len(target.requests) == 20
    assert target.connections == 1


async def test_a_connection_the_other_side_closed_is_not_used_again(
    clients: HttpClients, target: Receiver, lines: Lines
) -> None:
    async def once(received: Received, writer: asyncio.StreamWriter) -> None:
        await answer(200, b"ok")(received, writer)
        writer.close()
        await writer.wait_closed()

    url = target.on("/", once)
    for _ in range(5):
        outcome = await HttpRunner(clients).run(a_run(HttpCall(url)), lines)
        assert outcome.verdict is Verdict.SUCCEEDED
        await target.open_connections(at_most=0)
    assert target.connections == 5


async def test_a_connection_with_an_unread_body_is_not_used_again(
    clients: HttpClients, target: Receiver, lines: Lines
) -> None:
    url = target.on("/", answer(200, b"x" * 200_000))
    for _ in range(3):
        await HttpRunner(clients).run(a_run(HttpCall(url)), lines)
    assert target.connections == 3


async def test_idle_connections_are_few(clients: HttpClients, target: Receiver) -> None:
    arrived = 0
    everybody = asyncio.Event()

    async def hold(received: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        if arrived == MAX_IDLE + 20:
            everybody.set()
        await everybody.wait()
        await answer(200, b"ok")(received, writer)

    run = a_run(HttpCall(target.on("/", hold)), timeout=60)
    await asyncio.gather(*(HttpRunner(clients).run(run, Lines()) for _ in range(MAX_IDLE + 20)))
    assert await target.open_connections(at_most=MAX_IDLE) == MAX_IDLE


async def test_500_calls_are_in_flight_at_once(clients: HttpClients, target: Receiver) -> None:
    arrived = 0
    everybody = asyncio.Event()

    async def hold(received: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        if arrived == 500:
            everybody.set()
        await everybody.wait()
        await answer(200, b"ok")(received, writer)

    runner, run = HttpRunner(clients), a_run(HttpCall(target.on("/", hold)), timeout=60)
    outcomes = await asyncio.gather(*(runner.run(run, Lines()) for _ in range(500)))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SUCCEEDED}
    assert arrived == 500


async def test_cancelling_closes_the_connection(clients: HttpClients, target: Receiver, lines: Lines) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def hold(received: Received, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await received.hung_up()
        writer.close()
        gone.set()

    run = asyncio.ensure_future(HttpRunner(clients).run(a_run(HttpCall(target.on("/", hold)), timeout=60), lines))
    await arrived.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await asyncio.wait_for(gone.wait(), 5)


async def test_closed_clients_say_so(lines: Lines) -> None:
    clients = HttpClients()
    with pytest.raises(RuntimeError, match="not open"):
        await HttpRunner(clients).run(a_run(HttpCall("http://127.0.0.1/")), lines)


NOW = datetime(2024, 5, 17, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("3600", 3600.0),
        ("86400", 3600.0),
        ("9" * 5000, 3600.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW + timedelta(days=2), usegmt=True), 3600.0),
        (format_datetime(NOW - timedelta(days=2), usegmt=True), 0.0),
        ("Friday, 17-May-24 12:00:30 GMT", 30.0),
        ("Fri May 17 12:00:30 2024", 30.0),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Fri, 99 May 2024 12:00:30 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds
