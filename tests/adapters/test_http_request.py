"""What goes on the wire, and what never does."""

import pytest

from taskyard.adapters.http.client import HttpClients
from taskyard.adapters.http.request import DROPPED_HEADERS
from taskyard.adapters.runners.http import HttpRunner
from taskyard.domain.runs import Cause, HttpCall, Verdict
from taskyard.faces.kit.wire import HEADERS_SENT
from tests.adapters.conftest import Lines
from tests.adapters.http_runs import a_run
from tests.adapters.receiver import Receiver

pytestmark = pytest.mark.anyio


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
        (HttpCall("http://h/", query={"a": "\ud800"}), "query_params may hold neither NUL nor half a character"),
        (HttpCall("http://h/", query={"a": "x" * 9000}), "query_params makes the url longer than"),
        (HttpCall("http://h/", "GET / HTTP/1.1\r\nX: y"), "method"),
        (HttpCall("http://h/", "CONNECT"), "method 'CONNECT' cannot be called"),
        (HttpCall("http://h/", "TRACE"), "method 'TRACE' cannot be called"),
        (HttpCall("http://h/", ""), "method '' cannot be called"),
        (HttpCall("http://h/", headers={"X-A": "hush\r\nX-Evil: 1"}), "headers: a value must be one line"),
        (HttpCall("http://h/", headers={"X-A": "hush\nX-Evil: 1"}), "headers: a value must be one line"),
        (HttpCall("http://h/", headers={"X-A": "hush\x00"}), "headers may hold neither NUL"),
        (HttpCall("http://h/", headers={"X-A": "hush\ud800"}), "headers may hold neither NUL nor half a character"),
        (HttpCall("http://h/", headers={"X-A\r\nX-Evil": "1"}), "headers: 'X-A\\r\\nX-Evil' is no header name"),
        (HttpCall("http://h/", headers={"X A": "1"}), "headers: 'X A' is no header name"),
        (HttpCall("http://h/", headers={"": "1"}), "headers: '' is no header name"),
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


def test_callers_are_told_which_headers_are_never_sent() -> None:
    assert all(name in HEADERS_SENT.lower() for name in DROPPED_HEADERS)


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
async def test_the_content_type_of_a_body(
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
