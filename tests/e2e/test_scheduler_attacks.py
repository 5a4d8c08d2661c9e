"""What D3 refuses over real HTTP: forged tokens, other people's ids, calls into private networks, and bad manners."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.adapters.receiver import Receiver
from tests.e2e.yard import JOB, PREFIX, SHARED_YARD, SUPABASE_SECRET, Caller, Yard, calling, outside_token, refused

pytestmark = SHARED_YARD

MEGABYTE = 1024 * 1024


def claims(**change: Any) -> dict[str, Any]:
    """What a good token of Supabase says, but for `change`."""
    said = {"sub": str(uuid4()), "aud": "authenticated", "exp": int(time.time()) + 3600, **change}
    return {name: value for name, value in said.items() if value is not None}


def encoded(part: dict[str, Any] | bytes) -> str:
    """One part of a token."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(secret: bytes, algorithm: str = "HS256", **header: Any) -> str:
    """A good token's claims, signed in another way."""
    return jwt.encode({"alg": algorithm, **header}, claims(), OctKey.import_key(secret), algorithms=[algorithm])


def confused() -> str:
    """Signed as if a public key were the shared secret; its PEM is no secret to anybody."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = RSAKey.import_key(key).as_pem(private=False)
    body = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded(claims())}"
    return f"{body}.{encoded(hmac.new(pem, body.encode(), hashlib.sha256).digest())}"


def by_rsa() -> str:
    """Signed with a private key of the attacker's own."""
    return jwt.encode({"alg": "RS256"}, claims(), RSAKey.generate_key(2048), algorithms=["RS256"])


def tampered() -> str:
    """A good signature over other claims."""
    head, _, signature = outside_token().split(".")
    return f"{head}.{encoded(claims())}.{signature}"


SECRET = SUPABASE_SECRET.encode()
FORGED: dict[str, Callable[[], str]] = {
    "none": lambda: f"{encoded({'alg': 'none'})}.{encoded(claims())}.",
    "none in capitals": lambda: f"{encoded({'alg': 'NONE'})}.{encoded(claims())}.",
    "none with a signature": lambda: f"{encoded({'alg': 'none'})}.{encoded(claims())}.{outside_token().split('.')[2]}",
    "no signature": lambda: outside_token().rpartition(".")[0] + ".",
    "wrong key": lambda: signed(b"another secret of a decent length"),
    "empty key": lambda: signed(b"\0" * 32),
    "key in the header": lambda: signed(
        b"the attackers own key of some length",
        jwk={"kty": "oct", "k": encoded(b"the attackers own key of some length")},
    ),
    "key named by a path": lambda: signed(b"\n" * 32, kid="../../../../dev/null"),
    "HS512": lambda: signed(SECRET + SECRET, "HS512"),
    "HS384 with the right key": lambda: signed(SECRET * 2, "HS384"),
    "RS256": by_rsa,
    "RS256 taken for HS256": confused,
    "tampered": tampered,
    "wrong audience": lambda: outside_token(aud="anon"),
    "no audience": lambda: outside_token(aud=None),
    "expired": lambda: outside_token(exp=int(time.time()) - 1),
    "expired long ago": lambda: outside_token(exp=1),
    "never expires": lambda: outside_token(exp=None),
    "expires with words": lambda: outside_token(exp="tomorrow"),
    "not yet": lambda: outside_token(nbf=int(time.time()) + 3600),
    "no subject": lambda: outside_token(subject=None, sub=None),
    "subject no UUID": lambda: outside_token("admin"),
    "subject no text": lambda: outside_token(sub=7),
    "a house token's claims": lambda: outside_token(iss="taskyard", aud="taskyard", tid=str(uuid4()), jti="1", iat=1),
    "three dots": lambda: "ey...",
    "no token": lambda: "ey",
    "not base64": lambda: "eyJ\u00e9.e30.x",
    "long": lambda: "ey" + "J" * 30_000 + ".e30.x",
}


@pytest.fixture
async def nobody(served: Yard) -> AsyncGenerator[Caller]:
    """Somebody without any credential."""
    async with calling(served, "", str(uuid4())) as made:
        yield made


@pytest.mark.parametrize("kind", FORGED)
async def test_x04_forged_tokens(nobody: Caller, kind: str) -> None:
    """D3-H01, X04, X12."""
    headers = [(b"Authorization", b"Bearer " + FORGED[kind]().encode("latin-1"))]
    for path in (f"/api/jobs?account_id={nobody.account}", f"{PREFIX}/metrics"):
        answer = await nobody.http.get(path, headers=headers)
        refused(answer, 401, "UNAUTHORIZED")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_x04_a_tampered_house_token(nobody: Caller) -> None:
    """D3-H01: the house's own tokens are no easier to forge."""
    head, body, signature = nobody.yard.owner.token.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    longer = encoded({**said, "exp": said["exp"] + 1})
    for token in (f"{head}.{longer}.{signature}", f"{encoded({'alg': 'none'})}.{body}.", f"{head}.{body}."):
        refused(await nobody.http.get("/metrics", headers={"Authorization": f"Bearer {token}"}), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic b3duZXI6b3duZXI=", "Token x"])
async def test_x04_no_token(nobody: Caller, header: str | None) -> None:
    """D3-X04, on every route, before anything else is looked at."""
    headers = {} if header is None else {"Authorization": header}
    for method, path in every_route(str(uuid4()), str(uuid4())):
        answer = await nobody.http.request(method, path, headers=headers, content=b"{")
        refused(answer, 401, "UNAUTHORIZED")


async def test_h01_the_word_bearer_in_any_case(nobody: Caller) -> None:
    """RFC 9110 §11.1."""
    answer = await nobody.http.get("/metrics", headers={"Authorization": f"bearer {outside_token()}"})
    assert answer.status_code == 200


def every_route(job_id: str, webhook_id: str) -> Iterator[tuple[str, str]]:
    """Every route of D3 that names a thing, and those that name none."""
    yield from routes_of_job(job_id)
    yield from routes_of_webhook(webhook_id)
    yield from (("POST", "/api/jobs"), ("GET", "/api/jobs"), ("POST", "/webhooks"), ("GET", "/metrics"))


def routes_of_job(job_id: str) -> Iterator[tuple[str, str]]:
    for method in ("GET", "PUT", "DELETE"):
        yield method, f"/api/jobs/{job_id}"
    for method, rest in (
        ("PATCH", "enable"),
        ("PATCH", "disable"),
        ("GET", "executions"),
        ("POST", "run"),
        ("GET", "next"),
    ):
        yield method, f"/api/jobs/{job_id}/{rest}"


def routes_of_webhook(webhook_id: str) -> Iterator[tuple[str, str]]:
    for method in ("GET", "PUT", "DELETE"):
        yield method, f"/webhooks/{webhook_id}"


async def test_x05_other_peoples_ids(served: Yard, outsider: Caller) -> None:
    """D3-X05, X13: every route, for a house token and a Supabase-signed one; nothing is shown, nothing changes."""
    job = await outsider.job(name="Payroll of Ada")
    webhook = await outsider.webhook(job["id"], "https://api.example.com/payroll")
    job_path, webhook_path = f"/api/jobs/{job['id']}", f"/webhooks/{webhook['id']}"
    theirs = {"account_id": outsider.account}
    strangers = ((served.stranger.token, served.stranger.account), (outside_token(), str(uuid4())))
    for token, account in (*strangers, (served.owner.token, served.owner.account)):
        async with calling(served, token, account) as stranger:
            answers = [
                await stranger.http.request(method, path, json={"name": "mine now", "url": "https://mine.example"})
                for method, path in (*routes_of_job(job["id"]), *routes_of_webhook(webhook["id"]))
            ]
            answers += [
                await stranger.http.post("/api/jobs", json={**theirs, **JOB}),
                await stranger.http.get("/api/jobs", params=theirs),
                await stranger.http.get("/metrics", params=theirs),
                await stranger.http.post(
                    "/webhooks", json={"job_id": job["id"], "url": "https://mine.example", "method": "GET"}
                ),
            ]
            for answer in answers:
                refused(answer, 403, "FORBIDDEN")
                assert not any(word in answer.text for word in ("Payroll", "payroll", job["id"], outsider.account))
            for method, path in routes_of_job(str(uuid4())):
                refused(await stranger.http.request(method, path, json={}), 404, "JOB_NOT_FOUND")
            for method, path in routes_of_webhook(str(uuid4())):
                refused(await stranger.http.request(method, path, json={}), 404, "WEBHOOK_NOT_FOUND")
    assert (await outsider.http.get(job_path)).json() == job
    assert (await outsider.http.get(webhook_path)).json() == webhook
    assert (await outsider.executions(job["id"]))["total"] == 0


async def test_x05_whose_an_unseen_account_is(served: Yard, owner: Caller, outsider: Caller) -> None:
    """RULINGS §5 D3: it belongs to the Supabase user who names it first; a house token names only accounts it has."""
    refused(await owner.http.get("/api/jobs", params={"account_id": str(uuid4())}), 403, "FORBIDDEN")
    refused(await owner.http.post("/api/jobs", json={"account_id": str(uuid4()), **JOB}), 403, "FORBIDDEN")
    listed = await outsider.http.get("/api/jobs", params={"account_id": outsider.account})
    assert (listed.status_code, listed.json()["total"]) == (200, 0)
    async with calling(served, outside_token(), outsider.account) as second:
        refused(await second.http.post("/api/jobs", json={"account_id": second.account, **JOB}), 403, "FORBIDDEN")
    assert (await outsider.job())["account_id"] == outsider.account


async def test_v01_private_addresses_are_for_the_operator(served: Yard, owner: Caller, called: Receiver) -> None:
    """RULINGS §4: a tenant of open registration cannot reach loopback in any spelling; the operator can."""
    port = called.port
    hosts = ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "127.1")
    strangers = ((served.stranger.token, served.stranger.account), (outside_token(), str(uuid4())))
    for token, account in strangers:
        async with calling(served, token, account) as stranger:
            jobs = [await stranger.run(f"http://{host}:{port}/") for host in (*hosts, "10.0.0.1", "169.254.169.254")]
            for executions in await asyncio.gather(*(stranger.over(job) for job in jobs)):
                (execution,) = executions
                assert execution["status"] == "dead_letter"
                assert "may not be called: it is a" in execution["error"]
                assert "response_code" not in execution
    assert called.requests == []
    for execution in await owner.over(await owner.run(called.url("/"))):
        assert (execution["status"], execution["response_code"]) == ("success", 200)
    assert len(called.requests) == 1


async def test_v01_metadata_is_for_nobody(owner: Caller) -> None:
    """RULINGS §4: not for the operator either."""
    for url in ("http://169.254.169.254/latest/meta-data/", "http://metadata.google.internal/"):
        (execution,) = await owner.over(await owner.run(url))
        assert execution["status"] == "dead_letter"
        assert "metadata" in execution["error"]


async def test_bodies_that_are_too_large(owner: Caller, nobody: Caller) -> None:
    """413 in D3's form, announced or not; who is nobody is told that first."""

    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(17):
            yield b" " * (MEGABYTE // 16)

    for path in ("/api/jobs", f"{PREFIX}/webhooks"):
        for content in (b" " * (MEGABYTE + 1), pieces()):
            headers = {"Content-Type": "application/json"}
            refused(await owner.http.post(path, content=content, headers=headers), 413, "PAYLOAD_TOO_LARGE")
        refused(await nobody.http.post(path, content=b" " * (MEGABYTE + 1)), 401, "UNAUTHORIZED")
    fitting = json.dumps({"account_id": owner.account, **JOB}).encode()
    answer = await owner.http.post(
        "/api/jobs", content=fitting.ljust(MEGABYTE), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 201


CHUNKED = b"POST /api/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("opening", "more"),
    [
        (b"GET /health HTTP/1.1\r\nHost: x\r\n", b"X-Much: " + b"a" * 8_000 + b"\r\n"),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX-Much: ", b"a" * 8_000),
        (b"GET /health?", b"a=b&" * 2_000),
        (CHUNKED + b"0\r\n", b"X-Much: " + b"a" * 8_000 + b"\r\n"),
        (CHUNKED, b"1;" + b"a" * 8_000),
    ],
    ids=["many headers", "one header", "address", "trailers", "chunk extension"],
)
async def test_a_request_that_never_comes_to_its_point_is_ended(owner: Caller, opening: bytes, more: bytes) -> None:
    """Nobody has to sign in to send this much, so nobody may make the server keep it."""
    url = urlsplit(owner.yard.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        with suppress(ConnectionError):
            writer.write(opening)
            for _ in range(16 * MEGABYTE // len(more)):
                writer.write(more)
                await writer.drain()
        answer = b""
        with suppress(ConnectionError):
            answer = await reader.read()
        assert reader.at_eof() or reader.exception(), "the server has hung up"
        assert answer[:12] in (b"", b"HTTP/1.1 431", b"HTTP/1.1 400", b"HTTP/1.1 401")
    finally:
        writer.close()


async def test_paths_that_are_none_and_methods_that_are_not_answered(caller: Caller) -> None:
    """RULINGS §2: in the format of the face that owns the prefix."""
    for path in (f"/api/jobs/{uuid4()}/nothing", "/webhooks/a/b", "/metrics/all", "/health/nothing"):
        refused(await caller.http.get(path), 404, "NOT_FOUND")
    async with calling(caller.yard, caller.token, caller.account, PREFIX) as below:
        refused(await below.http.get("/nothing"), 404, "NOT_FOUND")
    for method, path, allowed in (
        ("PATCH", "/api/jobs", {"GET", "POST"}),
        ("POST", f"/api/jobs/{uuid4()}", {"GET", "PUT", "DELETE"}),
        ("GET", f"/api/jobs/{uuid4()}/enable", {"PATCH"}),
        ("GET", "/webhooks", {"POST"}),
        ("POST", "/metrics", {"GET"}),
    ):
        answer = await caller.http.request(method, path)
        refused(answer, 405, "METHOD_NOT_ALLOWED")
        assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "content", [b"{", b"", b"[]", b"null", b"\xff\xfe", b'"text"', b"[" * 50_000, b'{"name": NaN}']
)
async def test_x06_bodies_that_make_no_sense(owner: Caller, content: bytes) -> None:
    """D3-X06, H02: 400, never 422 and never 500."""
    headers = {"Content-Type": "application/json"}
    job = await owner.job()
    for method, path in (("POST", "/api/jobs"), ("PUT", f"/api/jobs/{job['id']}"), ("POST", "/webhooks")):
        refused(await owner.http.request(method, path, content=content, headers=headers), 400, "VALIDATION_ERROR")


async def test_x06_text_that_no_database_stores(owner: Caller) -> None:
    """D3-X06: NUL and half a surrogate pair, wherever text is taken."""
    job = await owner.job()
    url = "https://api.example.com/"
    headers = {"Content-Type": "application/json"}
    for bad in (r"a\u0000b", r"\ud800"):
        for path, body in (
            ("/api/jobs", {"account_id": owner.account, **JOB, "name": "BAD"}),
            ("/api/jobs", {"account_id": owner.account, **JOB, "schedule": "BAD"}),
            ("/api/jobs", {"account_id": owner.account, **JOB, "timezone": "BAD"}),
            ("/webhooks", {"job_id": job["id"], "method": "GET", "url": f"{url}BAD"}),
            ("/webhooks", {"job_id": job["id"], "method": "GET", "url": url, "headers": {"X-A": "BAD"}}),
            ("/webhooks", {"job_id": job["id"], "method": "GET", "url": url, "query_params": {"BAD": "b"}}),
            ("/webhooks", {"job_id": job["id"], "method": "GET", "url": url, "body_template": "BAD"}),
        ):
            content = json.dumps(body).replace("BAD", bad)
            answer = await owner.http.post(path, content=content, headers=headers)
            assert answer.status_code == 400, (body, answer.text)
            assert answer.json()["error_code"] in ("VALIDATION_ERROR", "INVALID_CRON_EXPRESSION")
    for path in ("/api/jobs/%00", "/webhooks/%ff", "/api/jobs/%2e%2e", "/api/jobs?account_id=%00"):
        refused(await owner.http.get(path), 400, "VALIDATION_ERROR")


async def test_h02_json_is_what_says_so(owner: Caller) -> None:
    """D3-H02: a body that is not declared as JSON is none, so that no web page's form can send one."""
    content = json.dumps({"account_id": owner.account, **JOB})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"):
        answer = await owner.http.post("/api/jobs", content=content, headers={"Content-Type": kind})
        refused(answer, 400, "VALIDATION_ERROR")
    for kind in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
        answer = await owner.http.post("/api/jobs", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 201, kind


async def test_a_path_with_and_without_its_slash_is_the_same(caller: Caller) -> None:
    """RULINGS §2: no redirects anywhere."""
    made = await caller.http.post("/api/jobs/", json={"account_id": caller.account, **JOB})
    assert made.status_code == 201
    path = f"/api/jobs/{made.json()['id']}"
    body = {"job_id": made.json()["id"], "url": "https://api.example.com/", "method": "GET"}
    webhook = await caller.http.post("/webhooks/", json=body)
    assert webhook.status_code == 201
    for each in (path, f"{path}/executions", f"/webhooks/{webhook.json()['id']}", "/health/detailed"):
        plain, slashed = await caller.http.get(each), await caller.http.get(f"{each}/")
        assert (plain.status_code, plain.json()) == (slashed.status_code, slashed.json()) == (200, plain.json())
    listed = await caller.http.get("/api/jobs/", params={"account_id": caller.account, "limit": 1})
    assert listed.json()["items"][0] == made.json()
    for method, rest, status in (
        ("GET", "/next/", 200),
        ("PATCH", "/disable/", 200),
        ("PATCH", "/enable/", 200),
        ("DELETE", "/", 204),
    ):
        assert (await caller.http.request(method, path + rest)).status_code == status
    assert (await caller.http.get("/metrics/")).status_code == 200


async def test_r01_never_too_many_requests(owner: Caller) -> None:
    """D3-R01, with the yard's limits on: more in a breath than any other face grants in a minute."""

    async def ask() -> list[int]:
        query = {"account_id": owner.account, "limit": 1}
        return [(await owner.http.get("/api/jobs", params=query)).status_code for _ in range(52)]

    statuses = await asyncio.gather(*(ask() for _ in range(4)))
    assert {status for each in statuses for status in each} == {200}


@pytest.mark.parametrize("path", [f"{PREFIX}/ws", f"{PREFIX}/api/jobs", "/api/jobs"])
async def test_b06_no_websocket(owner: Caller, path: str) -> None:
    """D3-B06."""
    url = owner.yard.url.replace("http", "ws", 1) + path
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, additional_headers={"Authorization": f"Bearer {owner.token}"}, proxy=None):
            pass
    assert caught.value.response.status_code in (403, 404)
