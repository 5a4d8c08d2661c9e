"""Answers of strangers: what is kept of them, whatever they send."""

import asyncio
import gzip
import tracemalloc
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from taskyard.adapters.http.client import HttpClients
from taskyard.adapters.http.retry_after import parse_retry_after
from taskyard.adapters.runners.http import HttpRunner
from taskyard.domain.runs import Cause, HttpCall, Verdict
from tests.adapters.conftest import Lines
from tests.adapters.http_runs import a_run, only_call
from tests.adapters.receiver import Received, Receiver, answer, raw

pytestmark = pytest.mark.anyio


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
    bomb = gzip.compress(b"\0" * 50_000_000, mtime=0)
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
        (b"\xff\xfe\x00", {}, "\ufffd\ufffd\x00"),
        (b"+2AA-", {"Content-Type": "text/plain; charset=utf-7"}, "+2AA-"),
        (b"abc", {"Content-Type": "text/plain; charset=punycode"}, "abc"),
        (b"abc", {"Content-Type": "text/plain; charset=zip"}, "abc"),
        (b"abc", {"Content-Type": "text/plain; charset=no-such"}, "abc"),
        (gzip.compress(b"packed", mtime=0), {"Content-Encoding": "gzip"}, "packed"),
        (b"not packed", {"Content-Encoding": "gzip"}, ""),
    ],
)
async def test_bodies_become_text(
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
