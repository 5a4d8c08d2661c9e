"""What the engine's port promises, asked of PgQueuer's own repository and of ours alike."""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from pgqueuer.domain.types import QueueEntrypoint
from sqlalchemy import text

from taskyard.domain.executions import ticket
from taskyard.domain.jobs import Kind
from taskyard.domain.queues import Queue
from taskyard.store import executions
from taskyard.store.database import Database
from taskyard.store.queue import tickets
from tests.conformance.claims import claimer, ids
from tests.processes import eventually
from tests.runtime.yards import VAULT, Yard

pytestmark = pytest.mark.anyio


class Undo(Exception):
    """Rolls a transaction back."""


ENTRYPOINTS = [QueueEntrypoint(queue.value) for queue in Queue]
SHORT = timedelta(milliseconds=300)


async def test_queues_leave_by_rank_then_priority_then_age(yard: Yard) -> None:
    job = await yard.job("a")
    wanted: dict[str, object] = {}
    for name, queue, priority in (
        ("low", Queue.LOW, 0),
        ("normal, first", Queue.NORMAL, 0),
        ("normal, second", Queue.NORMAL, 0),
        ("normal, urgent", Queue.NORMAL, 9),
        ("low, most urgent", Queue.LOW, 50),
        ("high, least urgent", Queue.HIGH, -50),
        ("high", Queue.HIGH, 0),
    ):
        wanted[name] = await yard.enter(job, queue=queue, priority=priority)
    async with claimer(yard.database) as one:
        claimed = ids(await one.claim(4)) + ids(await one.claim(4))
    named = {ident: name for name, ident in wanted.items()}
    assert [named[ident] for ident in claimed] == [
        "high", "high, least urgent", "normal, urgent", "normal, first", "normal, second", "low, most urgent", "low",
    ]  # fmt: skip


async def test_a_claim_is_one_managers_alone(yard: Yard) -> None:
    await yard.run(await yard.job("a"), 90)
    async with AsyncExitStack() as stack:
        claimers = [await stack.enter_async_context(claimer(yard.database)) for _ in range(8)]
        claimed = [ids(batch) for batch in await asyncio.gather(*(each.claim(20) for each in claimers))]
        claimed += [ids(await claimers[0].claim(90))]
        every = [ident for batch in claimed for ident in batch]
        assert len(every) == 90
        assert len(set(every)) == 90


async def test_no_manager_holds_more_than_its_limit(yard: Yard) -> None:
    await yard.run(await yard.job("a"), 10)
    async with claimer(yard.database) as one, claimer(yard.database) as other:
        first = await one.claim(4, most=6)
        assert len(first) == 4
        assert len(await one.claim(4, most=6)) == 2
        assert await one.claim(4, most=6) == []
        assert len(await other.claim(3, most=6)) == 3
        await one.done(*first)
        assert len(await one.claim(4, most=6)) == 1


async def test_only_the_named_queues_are_asked(yard: Yard) -> None:
    job = await yard.job("a")
    high = await yard.enter(job, queue=Queue.HIGH)
    low = await yard.enter(job, queue=Queue.LOW)
    async with claimer(yard.database) as one:
        assert ids(await one.claim(queues=(Queue.NORMAL,))) == []
        assert ids(await one.claim(queues=(Queue.LOW, Queue.NORMAL))) == [low]
        assert ids(await one.claim(queues=())) == []
        assert ids(await one.claim()) == [high]


async def test_a_delayed_row_waits_and_says_how_long(yard: Yard) -> None:
    job = await yard.job("a")
    async with yard.database.write() as tx:
        later = await yard.make_execution(tx, job, available_at=tx.now + timedelta(seconds=0.5))
    async with claimer(yard.database) as one:
        assert await one.claim() == []
        assert await one.repository.queued_work(ENTRYPOINTS) == 1
        assert await one.repository.eligible_queued_work(ENTRYPOINTS) == 0
        eta = await one.repository.next_deferred_eta(ENTRYPOINTS)
        assert eta is not None
        assert timedelta(0) < eta <= timedelta(seconds=0.5)

        async def handed_out() -> bool:
            return ids(await one.claim()) == [later]

        await eventually(handed_out)
        assert yard.clock() >= (await yard.get(later)).available_at
        assert await one.repository.queued_work(ENTRYPOINTS) == 0
        assert await one.repository.next_deferred_eta(ENTRYPOINTS) is None


async def test_a_claim_without_heartbeat_is_handed_out_again(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("a"))
    async with claimer(yard.database) as dead, claimer(yard.database) as living:
        assert ids(await dead.claim(stale=SHORT)) == [ident]
        assert await living.claim(stale=SHORT) == []

        async def taken_over() -> bool:
            return ids(await living.claim(stale=SHORT)) == [ident]

        await eventually(taken_over)


async def test_a_claim_that_beats_stays(yard: Yard) -> None:
    await yard.run(await yard.job("a"), 2)
    async with claimer(yard.database) as beating, claimer(yard.database) as other:
        kept, given_up = await beating.claim(stale=SHORT)
        taken: list[object] = []

        async def other_is_taken() -> bool:
            await beating.repository.update_heartbeat([kept.id])
            taken.extend(ids(await other.claim(stale=SHORT)))
            return bool(taken)

        await eventually(other_is_taken)
        assert taken == ids([given_up])


async def test_a_row_put_back_comes_again_after_its_delay(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("a"))
    async with claimer(yard.database) as one:
        (job,) = await one.claim()
        await one.repository.retry_job(job, timedelta(seconds=0.3), None)
        assert await one.claim() == []

        async def again() -> bool:
            return ids(await one.claim()) == [ident]

        await eventually(again)


async def test_what_is_done_never_comes_again(yard: Yard) -> None:
    await yard.run(await yard.job("a"), 3)
    async with claimer(yard.database) as one:
        claimed = await one.claim()
        await one.done(*claimed)
        assert await one.claim(stale=timedelta(0)) == []
        assert await one.repository.queued_work(ENTRYPOINTS) == 0


async def test_what_is_rolled_back_never_comes(yard: Yard) -> None:
    job = await yard.job("a")

    with suppress(Undo):
        async with yard.database.write() as tx:
            await yard.make_execution(tx, job)
            raise Undo
    kept = await yard.enter(job)
    async with claimer(yard.database) as one:
        assert ids(await one.claim()) == [kept]


async def test_a_row_is_invisible_before_its_transaction_commits(yard: Yard) -> None:
    job = await yard.job("a")
    async with claimer(yard.database) as one:
        async with yard.database.write() as tx:
            ident = await yard.make_execution(tx, job)
            if not yard.database.is_sqlite:  # on SQLite a claim would wait for this writer
                assert await one.claim() == []
            assert await one.repository.queued_work(ENTRYPOINTS) == 0
        assert ids(await one.claim()) == [ident]


async def test_a_withdrawn_row_never_comes(yard: Yard) -> None:
    first, second = await yard.run(await yard.job("a"), 2)
    async with yard.database.write() as tx:
        await tickets.withdraw(tx, [first])
    async with claimer(yard.database) as one:
        assert ids(await one.claim()) == [second]


async def test_a_moved_row_is_handed_out_in_its_new_place(yard: Yard) -> None:
    first, second, third = await yard.run(await yard.job("a"), 3)
    async with yard.database.write() as tx:
        await executions.set_priority(tx, [third], Queue.HIGH, 0)
        await tickets.move(tx, [third], Queue.HIGH, 0)
        await tickets.move(tx, [first], Queue.LOW, 0)
    async with claimer(yard.database) as one:
        assert ids(await one.claim(queues=(Queue.HIGH,))) == [third]
        assert ids(await one.claim()) == [second, first]


async def test_a_moved_command_stays_among_the_commands(yard: Yard) -> None:
    (command,) = await yard.run(await yard.job("a", Kind.COMMAND))
    (call,) = await yard.run(await yard.job("b"))
    async with yard.database.write() as tx:
        await tickets.move(tx, [command, call], Queue.HIGH, 3)
        rows = await tx.connection.execute(text("SELECT dedupe_key, entrypoint, priority FROM pgqueuer"))
        places = {row.dedupe_key: (row.entrypoint, row.priority) for row in rows}
    assert places == {str(command): ("high.commands", 603), str(call): ("high", 603)}


async def test_a_row_moved_while_it_is_claimed_goes_back_to_its_new_queue(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("a"))
    async with claimer(yard.database) as one:
        (job,) = await one.claim()
        async with yard.database.write() as tx:
            await tickets.move(tx, [ident], Queue.HIGH, 7)
        await one.repository.retry_job(job, timedelta(0), None)
        assert ids(await one.claim(queues=(Queue.HIGH,))) == [ident]


async def test_a_row_is_enqueued_again_only_when_the_engine_has_lost_it(yard: Yard) -> None:
    known, claimed, lost = await yard.run(await yard.job("a"), 3)
    async with claimer(yard.database) as one:
        (first,) = await one.claim(1)
        assert ids([first]) == [known]
        async with yard.database.write() as tx:
            await tickets.withdraw(tx, [lost])
            found = [await yard.get(ident) for ident in (known, claimed, lost)]
        async with yard.database.write() as tx:
            assert await tickets.reissue(tx, [ticket(each) for each in found]) == 1
        assert ids(await one.claim()) == [claimed, lost]


async def test_a_new_row_wakes_a_waiting_manager(yard: Yard) -> None:
    job = await yard.job("a")
    async with claimer(yard.database) as one:
        driver = one.repository.driver
        heard = asyncio.Event()
        async with driver:
            await driver.add_listener(one.repository.qbe.settings.channel, lambda _payload: heard.set())
            await yard.run(job)
            async with asyncio.timeout(5):
                await heard.wait()


async def test_a_row_of_another_process_wakes_a_waiting_manager(yard: Yard) -> None:
    elsewhere = Database(yard.url, VAULT)
    there = replace(yard, database=elsewhere)
    job = await yard.job("a")
    try:
        async with claimer(yard.database) as one, one.repository.driver as driver:
            heard = asyncio.Event()
            await driver.add_listener(one.repository.qbe.settings.channel, lambda _payload: heard.set())
            async with asyncio.timeout(5):
                while not heard.is_set():
                    # What was committed before the first look is found by the manager's own start.
                    await there.run(job)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(heard.wait(), 0.3)
    finally:
        await elsewhere.close()
