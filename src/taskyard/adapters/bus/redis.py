"""The bus between processes: Redis pub/sub beside a local bus.

Hints reach readers of this process at once and directly; Redis carries them to the others. Redis is never the truth:
while it is away hints are dropped, the caller notices nothing, and readers find by polling what they were not told.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from taskyard.adapters.bus.codec import decode, encode
from taskyard.adapters.bus.local import LocalBus, LocalMailbox
from taskyard.domain.hints import Hint
from taskyard.domain.ids import new_id

CHANNEL = "taskyard:hints"
OUTBOX_SIZE = 4096
BATCH = 256
CONNECT_TIMEOUT_SECONDS = 3.0
SEND_TIMEOUT_SECONDS = 5.0
LISTEN_SECONDS = 5.0
"""How long to listen before the connection is checked for life."""
MIN_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 5.0

_log = logging.getLogger(__name__)


class RedisBus:
    """A `Bus` for many processes. `start` returns at once whether Redis is there or not; `connected` tells."""

    def __init__(self, url: str, *, channel: str = CHANNEL) -> None:
        self._channel = channel
        self._sender = str(new_id())
        self._local = LocalBus()
        self._outbox: deque[Hint] = deque(maxlen=OUTBOX_SIZE)
        self._filled = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.connected = asyncio.Event()
        # redis-py's annotations are incomplete.
        self._client: Any = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url,
            socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
            socket_timeout=SEND_TIMEOUT_SECONDS,
            socket_keepalive=True,
            # Trying again is the business of `_forever`, which also knows when to stop.
            retry=Retry(NoBackoff(), 0),
        )

    async def start(self) -> None:
        """Begin to send and to listen."""
        self._tasks = [
            asyncio.create_task(self._forever(self._send), name="bus-send"),
            asyncio.create_task(self._forever(self._listen), name="bus-listen"),
        ]

    async def close(self) -> None:
        """Stop both, and close all connections. Hints not yet sent are dropped."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        with suppress(RedisError, OSError):
            await self._client.aclose()

    async def ping(self) -> None:
        """Ask Redis for a sign of life. Raises what its client raises when it is away."""
        await self._client.ping()

    def publish(self, hints: Sequence[Hint]) -> None:
        """Tell this process now and the others soon; never waits, never raises."""
        self._local.publish(hints)
        self._outbox.extend(hints)
        if self._outbox:
            self._filled.set()

    def subscribe(self, *kinds: type[Hint]) -> AbstractContextManager[LocalMailbox]:
        """A mailbox for hints of `kinds`, from wherever they come, open within the block."""
        return self._local.subscribe(*kinds)

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        wait = MIN_BACKOFF_SECONDS
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await work()
            except (RedisError, OSError) as error:
                _log.warning("redis is away, hints are late until it is back: %s", type(error).__name__)
            except Exception:
                _log.exception("the bus failed")
            if asyncio.get_running_loop().time() - began > MAX_BACKOFF_SECONDS:
                wait = MIN_BACKOFF_SECONDS
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
            wait = min(wait * 2, MAX_BACKOFF_SECONDS)

    async def _send(self) -> None:
        while True:
            while not self._outbox:
                self._filled.clear()
                await self._filled.wait()
            batch = [self._outbox.popleft() for _ in range(min(len(self._outbox), BATCH))]
            await self._client.publish(self._channel, encode(self._sender, batch))

    async def _listen(self) -> None:
        async with self._client.pubsub() as pubsub:
            try:
                await pubsub.subscribe(self._channel)
                while True:
                    self._take(await _next_message(pubsub))
            finally:
                self.connected.clear()

    def _take(self, message: Mapping[str, object]) -> None:
        if message.get("type") == "subscribe":
            self.connected.set()
        data = message.get("data")
        if message.get("type") != "message" or not isinstance(data, bytes):
            return
        sender, hints = decode(data)
        if sender != self._sender:
            self._local.publish(hints)


async def _next_message(pubsub: Any) -> Mapping[str, object]:
    """The next message of any type. A peer that says nothing is asked for a sign of life; none means it is lost."""
    for _ in range(2):
        message = await pubsub.get_message(timeout=LISTEN_SECONDS)
        if message is not None:
            return message
        await pubsub.ping()
    raise RedisConnectionError("no sign of life")
