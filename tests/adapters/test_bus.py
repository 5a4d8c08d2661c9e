"""Both buses: who is told what, that publishing waits for nobody, and that a lost Redis breaks nothing."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import RedisError

from taskyard.adapters.bus.codec import decode, encode
from taskyard.adapters.bus.local import LocalBus
from taskyard.adapters.bus.redis import RedisBus
from taskyard.domain.hints import (
    CancelRequested,
    EventsAppended,
    Hint,
    Mailbox,
    OutputAppended,
    QueuesChanged,
    ScheduleChanged,
    WorkQueued,
)
from taskyard.domain.ids import new_id
from tests.servers import RedisServer

pytestmark = pytest.mark.anyio

ALL: list[Hint] = [
    EventsAppended(new_id(), 7),
    OutputAppended(new_id()),
    CancelRequested(new_id()),
    WorkQueued(),
    QueuesChanged(),
    ScheduleChanged(),
]


async def next_of(mailbox: Mailbox, seconds: float = 10) -> Hint:
    async with asyncio.timeout(seconds):
        return await mailbox.get()


async def is_empty(mailbox: Mailbox) -> bool:
    getting = asyncio.ensure_future(mailbox.get())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return getting.cancel()


@asynccontextmanager
async def running(bus: RedisBus) -> AsyncGenerator[RedisBus]:
    await bus.start()
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[RedisBus]:
    async with running(RedisBus(url)) as bus, asyncio.timeout(60):
        await bus.connected.wait()
        yield bus


def test_every_hint_survives_the_wire() -> None:
    assert decode(encode("me", ALL)) == ("me", ALL)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b'{"from":"x"}',
        b'{"from":"x","hints":3}',
        b'{"from":"x","hints":[null,3,{}]}',
        b'{"from":"x","hints":[{"type":"Unknown"}]}',
        b'{"from":"x","hints":[{"type":"EventsAppended","tenant_id":"no","seq":1}]}',
        b'{"from":"x","hints":[{"type":"EventsAppended","tenant_id":"019a0000-0000-7000-8000-000000000000","seq":true}]}',
    ],
)
def test_garbled_messages_hold_no_hints(message: bytes) -> None:
    assert decode(message)[1] == []


async def test_a_reader_gets_what_it_asked_for_in_order() -> None:
    bus = LocalBus()
    with bus.subscribe(WorkQueued, QueuesChanged) as mailbox, bus.subscribe(CancelRequested) as other:
        bus.publish(ALL)
        assert [await next_of(mailbox), await next_of(mailbox)] == [WorkQueued(), QueuesChanged()]
        assert await is_empty(mailbox)
        assert await next_of(other) == ALL[2]


async def test_a_waiting_reader_is_woken() -> None:
    bus = LocalBus()
    with bus.subscribe(WorkQueued) as mailbox:
        waiting = asyncio.create_task(next_of(mailbox))
        await asyncio.sleep(0)
        bus.publish([WorkQueued()])
        assert await waiting == WorkQueued()


async def test_a_full_mailbox_drops_the_oldest() -> None:
    bus = LocalBus(mailbox_size=2)
    tenant = new_id()
    with bus.subscribe(EventsAppended) as mailbox:
        bus.publish([EventsAppended(tenant, seq) for seq in range(5)])
        assert [await next_of(mailbox), await next_of(mailbox)] == [
            EventsAppended(tenant, 3),
            EventsAppended(tenant, 4),
        ]
        assert await is_empty(mailbox)


async def test_after_the_block_nothing_is_delivered() -> None:
    bus = LocalBus()
    with bus.subscribe(WorkQueued) as mailbox:
        pass
    bus.publish([WorkQueued()])
    assert await is_empty(mailbox)


async def test_redis_carries_hints_to_the_others(redis_url: str) -> None:
    async with connected(redis_url) as here, connected(redis_url) as there:
        await here.ping()
        with there.subscribe(*{type(hint) for hint in ALL}) as mailbox:
            here.publish(ALL)
            assert [await next_of(mailbox) for _ in ALL] == ALL


async def test_hints_are_told_once_at_home(redis_url: str) -> None:
    async with connected(redis_url) as here, connected(redis_url) as there:
        with here.subscribe(WorkQueued, QueuesChanged) as mailbox, there.subscribe(WorkQueued) as far:
            here.publish([WorkQueued()])
            assert await next_of(mailbox, 0.5) == WorkQueued()
            await next_of(far)
            # What comes back from the other bus follows our own echo on the same channel.
            there.publish([QueuesChanged()])
            assert await next_of(mailbox) == QueuesChanged()


async def test_publishing_without_redis_neither_fails_nor_waits() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with running(RedisBus(f"redis://127.0.0.1:{nobody.getsockname()[1]}")) as bus:
            with bus.subscribe(EventsAppended) as mailbox:
                tenant = new_id()
                for seq in range(10_000):
                    bus.publish([EventsAppended(tenant, seq)])
                first = await next_of(mailbox)
                assert isinstance(first, EventsAppended)
                assert first.seq == 10_000 - 1024
            assert not bus.connected.is_set()
            with pytest.raises(RedisError):
                await bus.ping()


async def test_a_restarted_redis_is_found_again() -> None:
    server = RedisServer()
    await asyncio.to_thread(server.start)
    try:
        async with connected(server.url) as here, connected(server.url) as there:
            await asyncio.to_thread(server.stop)
            while here.connected.is_set() or there.connected.is_set():
                here.publish([QueuesChanged()])
                await asyncio.sleep(0.01)
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(60):
                await here.connected.wait()
                await there.connected.wait()
            with there.subscribe(WorkQueued) as mailbox:
                getting = asyncio.create_task(next_of(mailbox, 60))
                while not getting.done():
                    here.publish([WorkQueued()])
                    await asyncio.wait([getting], timeout=0.1)
                assert await getting == WorkQueued()
    finally:
        await asyncio.to_thread(server.close)
