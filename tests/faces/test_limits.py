"""Rate limits: the windows, on memory and on a real Redis, and what callers see of them."""

import socket
import time

import httpx2
import pytest
import time_machine

from taskyard.faces.kit.limits import Bucket, Claim, Limiter, LimitNumbers
from taskyard.faces.kit.names import FaceName
from tests.faces.conftest import MakeWorld

pytestmark = pytest.mark.anyio

SMALL = Bucket("small", 2, 60)
LARGE = Bucket("large", 3, 60)
FACE = FaceName.ASSISTANT


async def _granted(limiter: Limiter, *claims: Claim, face: FaceName = FACE) -> bool:
    return (await limiter.spend(face, claims))[0]


@pytest.fixture(params=["memory", "redis"])
def storage_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("redis_url")


async def test_a_bucket_is_per_key_and_face(storage_url: str | None) -> None:
    limiter = Limiter(redis_url=storage_url)
    mine, yours = Claim(SMALL, "me"), Claim(SMALL, "you")
    assert [await _granted(limiter, mine) for _ in range(3)] == [True, True, False]
    assert await _granted(limiter, yours)
    assert await _granted(limiter, mine, face=FaceName.TRACKER)
    await limiter.close()


async def test_the_tightest_bucket_is_told(storage_url: str | None) -> None:
    limiter = Limiter(redis_url=storage_url)
    claims = (Claim(SMALL, "me"), Claim(LARGE, "us"))
    before = int(time.time())
    granted, tally = await limiter.spend(FACE, claims)
    assert (granted, tally.limit, tally.remaining) == (True, 2, 1)
    assert before + 60 <= tally.reset <= time.time() + 61
    await limiter.spend(FACE, (Claim(LARGE, "us"),))
    granted, tally = await limiter.spend(FACE, (Claim(SMALL, "other"), Claim(LARGE, "us")))
    assert (granted, tally.limit, tally.remaining) == (True, 3, 0)
    granted, tally = await limiter.spend(FACE, claims)
    assert (granted, tally.limit, tally.remaining) == (False, 3, 0)
    await limiter.close()


async def test_processes_share_through_redis(redis_url: str) -> None:
    one, other = Limiter(redis_url=redis_url), Limiter(redis_url=redis_url)
    claim = Claim(SMALL, "me")
    assert [await _granted(one, claim), await _granted(other, claim), await _granted(one, claim)] == [True, True, False]
    await one.close()
    await other.close()


async def test_the_window_moves() -> None:
    limiter = Limiter()
    claim = Claim(SMALL, "me")
    with time_machine.travel(1_700_000_000, tick=False) as clock:
        assert await _granted(limiter, claim)
        clock.shift(40)
        assert await _granted(limiter, claim)
        assert not await _granted(limiter, claim)
        clock.shift(21)
        assert await _granted(limiter, claim)
        assert not await _granted(limiter, claim)
    await limiter.close()


async def test_without_redis_limits_hold_in_this_process() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        limiter = Limiter(redis_url=f"redis://127.0.0.1:{nobody.getsockname()[1]}")
        assert [await _granted(limiter, Claim(SMALL, "me")) for _ in range(3)] == [True, True, False]
        await limiter.close()


async def test_switched_off_nobody_is_refused() -> None:
    limiter = Limiter(enabled=False)
    for _ in range(5):
        granted, tally = await limiter.spend(FACE, (Claim(LARGE, "me"), Claim(SMALL, "me")))
        assert (granted, tally.limit, tally.remaining) == (True, 2, 2)


def assert_tally(response: httpx2.Response, limit: int, remaining: int) -> None:
    assert response.headers["X-RateLimit-Limit"] == str(limit)
    assert response.headers["X-RateLimit-Remaining"] == str(remaining)
    assert int(response.headers["X-RateLimit-Reset"]) >= int(time.time())


async def test_users_and_tenants_of_the_assistant_face(make_world: MakeWorld) -> None:
    numbers = LimitNumbers(assistant_user_minute=Bucket("user", 3, 60), assistant_tenant_minute=Bucket("tenant", 9, 60))
    world = await make_world(limiter=Limiter(), numbers=numbers)
    alice, bob = await world.user(), await world.user()
    for remaining in (2, 1, 0):
        answer = await alice.http.get("/api/v1/users/me")
        assert answer.status_code == 200
        assert_tally(answer, 3, remaining)
    refused = await alice.http.get("/api/v1/users/me")
    assert refused.status_code == 429
    assert_tally(refused, 3, 0)
    body = refused.json()
    assert body["detail"] == f"Rate limit exceeded. Try again in {body['retry_after']} seconds."
    assert 1 <= body["retry_after"] <= 61
    assert refused.headers["Retry-After"] == str(body["retry_after"])
    assert (await bob.http.get("/api/v1/users/me")).status_code == 200


async def test_every_response_of_the_assistant_face_tells(make_world: MakeWorld) -> None:
    world = await make_world(limiter=Limiter())
    alice, stranger = await world.user(), world.client()
    for answer in (
        await stranger.get("/api/v1/users/me"),
        await stranger.get("/api/v1/nothing"),
        await stranger.delete("/api/v1/users/me"),
        await alice.http.post("/api/v1/keys", content=b"{", headers={"Content-Type": "application/json"}),
    ):
        assert answer.status_code in (401, 404, 405, 422)
        assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(answer.headers)


async def test_guessing_passwords_is_limited_per_address(make_world: MakeWorld) -> None:
    world = await make_world(limiter=Limiter())
    guess = {"email": "nobody@example.com", "password": "guess"}
    here, there = world.client(address="192.0.2.7"), world.client(address="192.0.2.8")
    for _ in range(9):
        assert (await here.post("/api/v1/auth/login", json={})).status_code == 422
    # What a caller says of itself does not matter.
    lie = {"X-Forwarded-For": "198.51.100.1"}
    assert (await here.post("/api/v1/auth/login", json=guess, headers=lie)).status_code == 401
    refused = await here.post("/api/v1/auth/login", json=guess, headers=lie)
    assert refused.status_code == 429
    assert_tally(refused, 10, 0)
    assert (await here.post("/api/v1/auth/register", json={})).status_code == 429
    assert (await there.post("/api/v1/auth/login", json={})).status_code == 422


async def test_an_ipv6_caller_is_its_network(make_world: MakeWorld) -> None:
    world = await make_world(limiter=Limiter(), numbers=LimitNumbers(sign_in=Bucket("sign-in", 2, 900)))
    statuses = [
        (await world.client(address=f"2001:db8::{host}").post("/api/v1/auth/login", json={})).status_code
        for host in range(1, 4)
    ]
    assert statuses == [422, 422, 429]
    other = world.client(address="2001:db8:0:1::1")
    assert (await other.post("/api/v1/auth/login", json={})).status_code == 422


async def test_scheduler_paths_health_and_docs_are_never_limited(make_world: MakeWorld) -> None:
    tight = Bucket("tight", 1, 60)
    world = await make_world(
        limiter=Limiter(),
        numbers=LimitNumbers(
            sign_in=tight, assistant_tenant_minute=tight, assistant_tenant_hour=tight, assistant_user_minute=tight
        ),
    )
    alice = await world.user()
    paths = (
        f"/api/jobs?account_id={alice.account}",
        "/metrics",
        "/health",
        "/health/detailed",
        "/docs",
        "/openapi.json",
    )
    for path in paths:
        statuses = {(await alice.http.get(path)).status_code for _ in range(5)}
        assert 429 not in statuses
