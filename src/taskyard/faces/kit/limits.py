"""Rate limits (RULINGS §6): moving windows per address, user or tenant, in memory or shared through Redis."""

import asyncio
import ipaddress
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskyard.domain.errors import LimitExceeded
from taskyard.faces.kit.body_limit import DEFAULT_BYTES
from taskyard.faces.kit.names import FaceName

REDIS_TIMEOUT_SECONDS = 0.5
REDIS_REST_SECONDS = 5.0
"""How long Redis is left alone after it failed, so that its absence does not slow every request."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bucket:
    """At most `amount` requests within any `seconds`, for each key."""

    name: str
    amount: int
    seconds: int

    def item(self, face: FaceName) -> RateLimitItem:
        """The bucket of one face: faces do not share theirs."""
        return RateLimitItemPerSecond(self.amount, self.seconds, namespace=f"{face.value}:{self.name}")


@dataclass(frozen=True, slots=True)
class LimitNumbers:
    """All numbers of RULINGS §6; sockets are counts, the body is in bytes."""

    sign_in: Bucket = field(default=Bucket("sign-in", 10, 900))
    assistant_tenant_minute: Bucket = field(default=Bucket("tenant-minute", 100, 60))
    assistant_tenant_hour: Bucket = field(default=Bucket("tenant-hour", 1000, 3600))
    assistant_user_minute: Bucket = field(default=Bucket("user-minute", 50, 60))
    workbench_anonymous: Bucket = field(default=Bucket("anonymous", 100, 60))
    workbench_user: Bucket = field(default=Bucket("user", 200, 60))
    workbench_premium: Bucket = field(default=Bucket("premium", 500, 60))
    tracker_webhook: Bucket = field(default=Bucket("webhook", 100, 60))
    tracker_rest: Bucket = field(default=Bucket("rest", 1000, 60))
    workbench_sockets: int = 50
    tracker_sockets: int = 10
    body_bytes: int = DEFAULT_BYTES


@dataclass(frozen=True, slots=True)
class Claim:
    """One request that counts against `key` in `bucket`."""

    bucket: Bucket
    key: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How a bucket stands: `reset` is the epoch second at which its oldest request no longer counts."""

    limit: int
    remaining: int
    reset: int


class Limiter:
    """Counts requests. With `enabled=False` it refuses nobody and reports full buckets."""

    def __init__(self, *, enabled: bool = True, redis_url: str | None = None) -> None:
        self.enabled = enabled
        self._memory = MemoryStorage()
        self._alone = MovingWindowRateLimiter(self._memory)
        self._pool: Any = None
        self._shared = None if redis_url is None else self._connect(redis_url)
        self._shared_again_at = 0.0

    def _connect(self, redis_url: str) -> MovingWindowRateLimiter:
        # redis-py's annotations are incomplete. A failing Redis is not asked again at once, see `spend`.
        self._pool = ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            redis_url,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        options: dict[str, Any] = {"connection_pool": self._pool}
        storage = RedisStorage(f"async+{redis_url}", implementation="redispy", key_prefix="taskyard", **options)
        return MovingWindowRateLimiter(storage)

    async def close(self) -> None:
        """Close connections and end the housekeeping of the memory storage."""
        if self._pool is not None:
            await self._pool.disconnect()
        if self._memory.timer is not None:
            self._memory.timer.cancel()
            await asyncio.gather(self._memory.timer, return_exceptions=True)

    async def spend(self, face: FaceName, claims: Sequence[Claim]) -> tuple[bool, Tally]:
        """Whether all of `claims` are granted, and how the tightest bucket stands. A refused request costs nothing
        in the bucket that refuses it.
        """
        if not self.enabled:
            return True, min((_full(claim.bucket) for claim in claims), key=lambda tally: tally.limit)
        if self._shared is not None and time.monotonic() >= self._shared_again_at:
            try:
                return await _spend(self._shared, face, claims)
            except (RedisError, OSError) as error:
                self._shared_again_at = time.monotonic() + REDIS_REST_SECONDS
                _log.warning("rate limits are per process while redis is away", error=type(error).__name__)
        return await _spend(self._alone, face, claims)


async def _spend(limiter: MovingWindowRateLimiter, face: FaceName, claims: Sequence[Claim]) -> tuple[bool, Tally]:
    tallies: list[Tally] = []
    for claim in claims:
        item = claim.bucket.item(face)
        granted = await limiter.hit(item, claim.key)
        stats = await limiter.get_window_stats(item, claim.key)
        tally = Tally(claim.bucket.amount, max(stats.remaining, 0), math.ceil(stats.reset_time))
        if not granted:
            return False, Tally(tally.limit, 0, tally.reset)
        tallies.append(tally)
    return True, min(tallies, key=lambda tally: (tally.remaining, tally.limit))


def _full(bucket: Bucket) -> Tally:
    return Tally(bucket.amount, bucket.amount, math.ceil(time.time()) + bucket.seconds)


async def charge(connection: HTTPConnection, limiter: Limiter, face: FaceName, claims: Sequence[Claim]) -> None:
    """Count a request; its response will tell how the tightest bucket stands. Raises `LimitExceeded`."""
    granted, tally = await limiter.spend(face, claims)
    connection.state.tally = tally
    if not granted:
        seconds = max(1, tally.reset - int(time.time()))
        raise LimitExceeded(f"Rate limit exceeded. Try again in {seconds} seconds.", retry_after=seconds)


def address_key(connection: HTTPConnection) -> str:
    """The caller's address as a key. IPv6 callers own at least a /64, so that is what counts as one address."""
    host = connection.client.host if connection.client else "unknown"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class RateLimitHeaders:
    """Middleware: tells on every response how the request's tightest bucket stands; `otherwise` is the bucket told
    of when nothing was counted.
    """

    def __init__(self, app: ASGIApp, otherwise: Bucket) -> None:
        self._app = app
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                tally = state.get("tally") or _full(self._otherwise)
                headers = MutableHeaders(scope=message)
                headers["X-RateLimit-Limit"] = str(tally.limit)
                headers["X-RateLimit-Remaining"] = str(tally.remaining)
                headers["X-RateLimit-Reset"] = str(tally.reset)
            await send(message)

        await self._app(scope, receive, sending)
