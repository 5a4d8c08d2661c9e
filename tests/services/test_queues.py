"""Queues: pausing, clearing, and what is seen of them."""

from contextlib import suppress

import pytest

from taskyard.domain.actors import Role
from taskyard.domain.errors import Forbidden, Invalid
from taskyard.domain.executions import Status
from taskyard.domain.jobs import Overlap
from taskyard.domain.queues import Queue, QueueState
from taskyard.services import attempts, jobs, queues
from tests.services.world import EVERY_MINUTE, REFUSED, Yard, in_role

pytestmark = pytest.mark.anyio


async def state(yard: Yard, queue: Queue = Queue.NORMAL) -> QueueState:
    """One queue as it stands."""
    async with yard.database.read() as tx:
        found = await queues.states(tx, yard.bob)
    assert [each.name for each in found] == list(Queue)
    return next(each for each in found if each.name is queue)


async def test_a_queue_is_counted(yard: Yard) -> None:
    empty = await state(yard)
    assert (empty.waiting, empty.delayed, empty.running, empty.oldest_seconds) == (0, 0, 0, 0.0)
    retried = await yard.run_now(await yard.http_job())
    await yard.end(retried.id, REFUSED)
    running = await yard.run_now(await yard.http_job())
    await yard.begin(await yard.worker(), [running.id])
    await yard.run_now(await yard.http_job())
    await yard.run_now(await yard.http_job(queue=Queue.HIGH))
    yard.now.advance(seconds=20)
    busy = await state(yard)
    assert (busy.waiting, busy.delayed, busy.running, busy.oldest_seconds) == (2, 1, 1, 20.0)
    assert (await state(yard, Queue.HIGH)).waiting == 1
    assert (await state(yard, Queue.LOW)).waiting == 0


async def test_what_is_held_does_not_make_a_queue_look_slow(yard: Yard) -> None:
    await yard.http_job(schedule=EVERY_MINUTE, overlap=Overlap.QUEUE)
    for _ in range(2):
        yard.now.advance(minutes=1)
        await yard.fire()
    [ready] = await yard.tickets()
    await yard.begin(await yard.worker(), [ready])
    yard.now.advance(minutes=10)
    held = await state(yard)
    assert (held.waiting, held.running, held.oldest_seconds) == (1, 1, 0.0)


async def test_a_paused_queue_hands_out_nothing_until_resumed(yard: Yard) -> None:
    queued = await yard.run_now(await yard.http_job())
    other = await yard.run_now(await yard.http_job(queue=Queue.LOW))
    seen = len(await yard.told())
    async with yard.database.write() as tx:
        await queues.pause(tx, yard.alice, Queue.NORMAL, "maintenance")
        assert await queues.paused(tx) == {Queue.NORMAL}
    paused = await state(yard)
    assert (paused.paused_at, paused.paused_reason) == (yard.now.at, "maintenance")
    worker = await yard.worker()
    async with yard.database.write() as tx:
        beginning = await attempts.begin(tx, yard.rules, worker, [queued.id, other.id])
    assert [each.execution.id for each in beginning.begun] == [other.id]
    assert beginning.put_back == {queued.id}
    async with yard.database.write() as tx:
        await queues.resume(tx, yard.alice, Queue.NORMAL)
        assert await queues.paused(tx) == set()
    assert len(await yard.begin(worker, [queued.id])) == 1
    told = [each for each in await yard.told(after=seen) if each.startswith("queue.")]
    assert told == ["queue.paused", "queue.resumed"]
    assert (await state(yard)).paused_reason is None


async def test_queues_are_the_operators(yard: Yard) -> None:
    for actor in (yard.bob, in_role(yard.alice, Role.DEVELOPER)):
        async with yard.database.write() as tx:
            for verb in (queues.pause, queues.resume):
                with pytest.raises(Forbidden):
                    await verb(tx, actor, Queue.NORMAL)
            assert await queues.paused(tx) == set()


async def test_a_reason_that_cannot_be_stored_is_refused(yard: Yard) -> None:
    async with yard.database.write() as tx:
        with pytest.raises(Invalid):
            await queues.pause(tx, yard.alice, Queue.NORMAL, "nul \0")


async def test_clearing_cancels_what_waits_of_the_tenant_and_nothing_else(yard: Yard) -> None:
    mine = [await yard.run_now(await yard.http_job()) for _ in range(3)]
    high = await yard.run_now(await yard.http_job(queue=Queue.HIGH))
    running = await yard.run_now(await yard.http_job())
    await yard.begin(await yard.worker(), [running.id])
    bobs = await yard.run_now(await yard.http_job(yard.bob), yard.bob)
    seen = len(await yard.told())
    async with yard.database.write() as tx:
        assert await queues.clear(tx, yard.alice, Queue.NORMAL) == 3
    assert await yard.tickets() == {high.id, bobs.id, running.id}
    for each in mine:
        gone = await yard.execution(each.id)
        assert (gone.status, gone.reason) == (
            Status.CANCELLED,
            f"queue normal was cleared by {yard.alice.name}",
        )
    assert (await yard.execution(running.id)).status is Status.RUNNING
    assert await yard.told(after=seen) == ["execution.cancelled"] * 3 + ["queue.cleared"]
    with pytest.raises(Forbidden):
        async with yard.database.write() as tx:
            await queues.clear(tx, in_role(yard.alice, Role.DEVELOPER), Queue.NORMAL)


async def test_clearing_one_queue_frees_what_is_held_in_another(yard: Yard) -> None:
    job = await yard.http_job(schedule=EVERY_MINUTE, overlap=Overlap.QUEUE)
    yard.now.advance(minutes=1)
    await yard.fire()
    async with yard.database.write() as tx:
        await jobs.update(tx, yard.alice, job.id, {"queue": Queue.HIGH})
    yard.now.advance(minutes=1)
    await yard.fire()
    first, second = await yard.history(job)
    assert (first.queue, second.queue, second.held) == (Queue.NORMAL, Queue.HIGH, True)
    async with yard.database.write() as tx:
        assert await queues.clear(tx, yard.alice, Queue.NORMAL) == 1
    assert await yard.tickets() == {second.id}


async def test_a_clearing_that_is_rolled_back_clears_nothing(yard: Yard) -> None:
    queued = await yard.run_now(await yard.http_job())
    with suppress(RuntimeError):
        async with yard.database.write() as tx:
            assert await queues.clear(tx, yard.alice, Queue.NORMAL) == 1
            raise RuntimeError
    assert await yard.tickets() == {queued.id}
    assert (await yard.execution(queued.id)).status is Status.QUEUED
