"""Events: numbered per tenant without gaps, told once, read on from any number."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from taskyard.domain.actors import Actor
from taskyard.domain.events import Event, Fact
from taskyard.domain.hints import EventsAppended, Hint
from taskyard.services import events
from tests.services.world import Yard

pytestmark = pytest.mark.anyio


async def append(yard: Yard, actor: Actor, count: int = 1, *, fail: bool = False) -> list[Event]:
    """Some facts in one transaction, which may fail after they were numbered."""
    facts = [Fact(actor.tenant_id, "system.alert", {"n": number}) for number in range(count)]
    with suppress(RuntimeError):
        async with yard.database.write() as tx:
            appended = await events.append(tx, facts)
            await asyncio.sleep(0)
            if fail:
                raise RuntimeError
        return appended
    return []


async def test_twenty_writers_leave_no_gap(yard: Yard) -> None:
    writers = [
        append(yard, actor, 1 + number % 3, fail=number % 4 == 3)
        for number in range(20)
        for actor in (yard.alice, yard.bob)
    ]
    kept = await asyncio.gather(*writers)
    for actor in (yard.alice, yard.bob):
        mine = sorted(event.seq for some in kept for event in some if event.tenant_id == actor.tenant_id)
        assert len(mine) == sum(1 + number % 3 for number in range(20) if number % 4 != 3)
        history = await yard.events(actor)
        assert [event.seq for event in history] == list(range(1, len(mine) + 1))
        assert mine == [event.seq for event in history]
        async with yard.database.read() as tx:
            assert await events.head(tx, actor.tenant_id) == len(mine)


async def test_a_reader_that_follows_misses_nothing(yard: Yard) -> None:
    """What a poll has shown is never followed by a lower number that was committed later."""
    done = asyncio.Event()
    seen: list[int] = []

    async def follow() -> None:
        while True:
            over = done.is_set()
            async with yard.database.read() as tx:
                more = await events.after(tx, yard.alice.tenant_id, seen[-1] if seen else 0)
            seen.extend(event.seq for event in more)
            if over and not more:
                return

    async def write() -> None:
        await asyncio.gather(*(append(yard, yard.alice, 2, fail=number % 5 == 0) for number in range(25)))
        done.set()

    await asyncio.gather(follow(), write())
    assert seen == list(range(1, 41))


async def test_facts_of_several_tenants_in_one_transaction(yard: Yard) -> None:
    facts = [Fact(actor.tenant_id, "system.alert") for actor in (yard.alice, yard.bob, yard.alice)]
    async with yard.database.write() as tx:
        appended = await events.append(tx, facts)
    assert sorted((event.tenant_id, event.seq) for event in appended) == sorted(
        [(yard.alice.tenant_id, 1), (yard.alice.tenant_id, 2), (yard.bob.tenant_id, 1)]
    )


async def test_hints_are_told_after_the_commit_and_only_then(yard: Yard) -> None:
    heard: list[Hint] = []

    def hear(hints: Sequence[Hint]) -> None:
        heard.extend(hints)

    with yard.database.listening(hear):
        await append(yard, yard.alice, fail=True)
        assert heard == []
        await append(yard, yard.alice, 3)
    await append(yard, yard.alice)
    assert heard == [EventsAppended(yard.alice.tenant_id, 3)]


async def test_history_is_chosen_by_type_and_job(yard: Yard) -> None:
    one, other = await yard.job(), await yard.job()
    await yard.end((await yard.run_now(one)).id)
    async with yard.database.read() as tx:

        async def types(*wanted: str, **more: object) -> list[str]:
            found = await events.history(tx, yard.alice, types=wanted, **more)  # pyright: ignore[reportArgumentType]
            assert [event.seq for event in found] == sorted(event.seq for event in found)
            return [event.type for event in found]

        assert await types("job.created") == ["job.created"] * 2
        assert await types("execution.*", "job.deleted") == [
            "execution.queued",
            "execution.started",
            "execution.succeeded",
        ]
        assert len(await types("*")) == len(await types()) == 5
        assert await types("e_ecution.*") == []
        assert await types(job_id=other.id) == ["job.created"]
        assert await types(after=1, limit=1) == ["job.created"]
        assert await types(after=99) == []


async def test_an_event_comes_back_as_it_was(yard: Yard) -> None:
    fact = Fact(yard.alice.tenant_id, "system.alert", {"ä": [1, None, {"x": 1.5}]}, yard.alice.user_id, None, "me")
    async with yard.database.write() as tx:
        [appended] = await events.append(tx, [fact])
        assert await events.append(tx, []) == []
    assert await yard.events() == [appended]
    assert (appended.time, appended.data, appended.actor) == (yard.now.at, fact.data, "me")
