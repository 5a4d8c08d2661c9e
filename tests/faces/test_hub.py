"""The hub: nothing missed, nothing told twice, nobody waited for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from taskyard.adapters.bus.local import LocalBus
from taskyard.domain.actors import Actor, Role
from taskyard.domain.errors import Forbidden
from taskyard.domain.events import Event, Fact
from taskyard.faces.kit.hub import PAGE, Hub
from taskyard.services import events
from tests.faces.conftest import MakeWorld, World

pytestmark = pytest.mark.anyio

NEVER = timedelta(days=1).total_seconds()


async def tell(world: World, actor: Actor, *types: str) -> None:
    async with world.yard.database.write() as tx:
        await events.append(tx, [Fact(actor.tenant_id, each, {"n": n}) for n, each in enumerate(types)])


async def take(listening: AsyncIterator[Event], count: int) -> list[int]:
    async with asyncio.timeout(20):
        return [(await anext(listening)).seq for _ in range(count)]


async def ended(listening: AsyncIterator[Event]) -> list[int]:
    async with asyncio.timeout(20):
        return [event.seq async for event in listening]


async def until(true: Callable[[], bool]) -> None:
    """For what the hub tells nobody of: passes the turn to others until it is so."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_history_then_live(world: World) -> None:
    actor = (await world.user()).actor
    await tell(world, actor, "job.created", "job.updated", "job.deleted")
    async with world.yard.hub.listen(actor, 1) as listening:
        assert await take(listening, 2) == [2, 3]
        await tell(world, actor, "job.created", "job.updated")
        assert await take(listening, 2) == [4, 5]


async def test_from_now_on(world: World) -> None:
    actor = (await world.user()).actor
    await tell(world, actor, "job.created")
    async with world.yard.hub.listen(actor) as listening:
        await tell(world, actor, "job.updated")
        assert await take(listening, 1) == [2]


async def test_a_number_from_the_future_means_now(world: World) -> None:
    actor = (await world.user()).actor
    await tell(world, actor, "job.created")
    async with world.yard.hub.listen(actor, 10_000) as listening:
        await tell(world, actor, "job.updated")
        assert await take(listening, 1) == [2]


async def test_only_what_is_accepted(world: World) -> None:
    actor = (await world.user()).actor
    await tell(world, actor, "job.created", "job.updated")
    async with world.yard.hub.listen(actor, 0, lambda event: event.type == "job.updated") as listening:
        await tell(world, actor, "job.created", "job.updated")
        assert await take(listening, 2) == [2, 4]


async def test_tenants_do_not_hear_each_other(world: World) -> None:
    alice, bob = (await world.user()).actor, (await world.user()).actor
    async with world.yard.hub.listen(alice) as to_alice, world.yard.hub.listen(bob) as to_bob:
        await tell(world, alice, "job.created", "job.created")
        await tell(world, bob, "job.deleted")
        async with asyncio.timeout(20):
            assert (await anext(to_bob)).type == "job.deleted"
            assert (await anext(to_alice)).tenant_id == alice.tenant_id


async def test_who_may_not_read_may_not_listen(world: World) -> None:
    tenant_id = (await world.user()).actor.tenant_id
    blind = Actor(tenant_id, Role.VIEWER, frozenset())
    with pytest.raises(Forbidden):
        async with world.yard.hub.listen(blind):
            pass


async def test_no_event_is_lost_or_doubled_between_history_and_live(each_world: World) -> None:
    """Listeners that come at any time, while events are written all the time, all hear every number once."""
    world = each_world
    actor = (await world.user()).actor
    total = 300
    await tell(world, actor, *["job.updated"] * 100)

    async def write() -> None:
        for _ in range((total - 100) // 4):
            await tell(world, actor, *["job.updated"] * 4)

    async def listen(after: int) -> list[int]:
        async with world.yard.hub.listen(actor, after) as listening:
            return await take(listening, total - after)

    writing = asyncio.create_task(write())
    tasks: list[asyncio.Task[list[int]]] = []
    for after in range(0, 100, 7):
        tasks.append(asyncio.create_task(listen(after)))
        async with world.yard.database.read() as tx:
            await events.head(tx, actor.tenant_id)
    await writing
    heard = await asyncio.gather(*tasks)
    for after, numbers in zip(range(0, 100, 7), heard, strict=True):
        assert numbers == list(range(after + 1, total + 1))


async def test_a_long_history_comes_in_pages(world: World) -> None:
    actor = (await world.user()).actor
    await tell(world, actor, *["job.updated"] * (PAGE * 2))
    async with world.yard.hub.listen(actor, 0) as listening:
        assert await take(listening, PAGE * 2) == list(range(1, PAGE * 2 + 1))
        await tell(world, actor, "job.updated")
        assert await take(listening, 1) == [PAGE * 2 + 1]


async def test_a_lost_hint_only_delays(make_world: MakeWorld) -> None:
    world = await make_world()
    actor = (await world.user()).actor
    deaf = Hub(world.yard.database, LocalBus(), poll_seconds=0.02)
    await deaf.start()
    try:
        async with deaf.listen(actor, 0) as listening:
            await tell(world, actor, "job.created")
            assert await take(listening, 1) == [1]
            await tell(world, actor, "job.updated")
            assert await take(listening, 1) == [2]
    finally:
        await deaf.close()


async def test_a_hint_wakes_at_once(world: World) -> None:
    actor = (await world.user()).actor
    hub = Hub(world.yard.database, world.yard.bus, poll_seconds=NEVER)
    await hub.start()
    try:
        async with hub.listen(actor, 0) as listening:
            for number in range(1, 6):
                await tell(world, actor, "job.created")
                assert await take(listening, 1) == [number]
    finally:
        await hub.close()


async def test_a_slow_listener_is_let_go_and_others_are_not(world: World) -> None:
    actor = (await world.user()).actor
    hub = Hub(world.yard.database, world.yard.bus, queue_size=5)
    await hub.start()
    try:
        async with hub.listen(actor, 0) as slow, hub.listen(actor, 0) as quick:
            taking = [asyncio.create_task(take(each, 1)) for each in (slow, quick)]
            await until(lambda: sum(len(reader.listeners) for reader in hub._readers.values()) == 2)
            await tell(world, actor, "job.created")
            assert await asyncio.gather(*taking) == [[1], [1]]
            # Both have joined the live queue; only one goes on reading.
            for number in range(2, 12):
                await tell(world, actor, "job.updated")
                assert await take(quick, 1) == [number]
            assert hub.listening == 2
            heard = await ended(slow)
            # What it heard has no gap, so it can go on from there.
            assert heard == list(range(2, 2 + len(heard)))
            assert len(heard) <= 6
        async with hub.listen(actor, heard[-1]) as again:
            assert await take(again, 11 - heard[-1]) == list(range(heard[-1] + 1, 12))
    finally:
        await hub.close()


async def test_closing_ends_all_listening(world: World) -> None:
    actor = (await world.user()).actor
    hub = Hub(world.yard.database, world.yard.bus)
    await hub.start()
    await tell(world, actor, "job.created")
    async with hub.listen(actor, 0) as listening:
        assert await take(listening, 1) == [1]
        waiting = asyncio.create_task(ended(listening))
        await asyncio.sleep(0)
        await hub.close()
        assert await waiting == []


async def test_nothing_is_left_when_the_last_has_gone(world: World) -> None:
    actor = (await world.user()).actor
    hub = world.yard.hub
    async with hub.listen(actor, 0) as first, hub.listen(actor, 0) as second:
        await tell(world, actor, "job.created")
        assert await take(first, 1) == await take(second, 1) == [1]
        assert hub.listening == 2
    assert hub.listening == 0
    await until(lambda: not hub._reading)
    assert not hub._readers


async def test_a_caller_that_breaks_off_leaves_cleanly(world: World) -> None:
    actor = (await world.user()).actor

    async def listen_forever() -> None:
        async with world.yard.hub.listen(actor, 0) as listening:
            async for _ in listening:
                heard.set()

    heard = asyncio.Event()
    task = asyncio.create_task(listen_forever())
    await tell(world, actor, "job.created")
    async with asyncio.timeout(20):
        await heard.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert world.yard.hub.listening == 0
