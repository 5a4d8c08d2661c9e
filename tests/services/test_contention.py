"""Everybody at once: clocks, workers, reapers and users meet in the same jobs; nobody deadlocks, nothing is stuck."""

import asyncio
import random
from collections.abc import Awaitable
from contextlib import suppress
from uuid import UUID

import pytest

from taskyard.domain.errors import Conflict, NotFound
from taskyard.domain.executions import ACTIVE, Execution
from taskyard.domain.jobs import CatchUp, Job, Overlap
from taskyard.domain.queues import Queue
from taskyard.domain.retries import RetryPolicy
from taskyard.services import attempts, executions, queues
from taskyard.services.attempts import Finished
from tests.services.world import EVERY_MINUTE, GOOD, REFUSED, Yard

pytestmark = pytest.mark.anyio


async def active(yard: Yard) -> list[Execution]:
    """All that is not over."""
    async with yard.database.read() as tx:
        return [each for each in (await executions.page(tx, yard.alice, limit=10_000))[0] if each.status in ACTIVE]


async def work(yard: Yard, ids: list[UUID], chance: random.Random, *, die: bool = False) -> None:
    """A worker that begins what it can and ends all of it in one word, or dies before."""
    worker = await yard.worker()
    begun = await yard.begin(worker, ids)
    if die or not begun:
        return
    words = [Finished(each.execution, chance.choice([GOOD, REFUSED])) for each in begun]
    async with yard.database.write() as tx:
        await attempts.finish(tx, yard.rules, worker, words)


async def cancel(yard: Yard, execution_id: UUID) -> None:
    """Alice cancels what may have ended meanwhile."""
    with suppress(Conflict, NotFound):
        async with yard.database.write() as tx:
            await executions.cancel(tx, yard.alice, execution_id)


async def clear(yard: Yard, queue: Queue) -> None:
    """Alice clears a queue."""
    async with yard.database.write() as tx:
        await queues.clear(tx, yard.alice, queue)


async def prioritise(yard: Yard, ids: list[UUID], queue: Queue) -> None:
    """Alice moves what waits."""
    async with yard.database.write() as tx:
        await executions.prioritise(tx, yard.alice, ids, queue)


async def replay(yard: Yard) -> None:
    """Alice runs all dead letters again."""
    async with yard.database.write() as tx:
        await executions.replay(tx, yard.alice)


async def round_of(yard: Yard, chance: random.Random) -> None:
    """One minute in which everything happens at once."""
    ids = [each.id for each in await active(yard)]
    chance.shuffle(ids)
    doing: list[Awaitable[object]] = [yard.fire(), yard.fire(), yard.reap(), yard.reap(), replay(yard)]
    doing += [work(yard, chance.sample(ids, len(ids)), chance, die=number == 0) for number in range(5)]
    doing += [cancel(yard, ident) for ident in ids[:3]]
    doing += [clear(yard, chance.choice([Queue.NORMAL, Queue.HIGH]))]
    doing += [prioritise(yard, ids[3:], Queue.HIGH)]
    chance.shuffle(doing)
    await asyncio.gather(*doing)


async def jobs_of_every_kind(yard: Yard) -> list[Job]:
    """Two of each overlap policy, in two queues."""
    return [
        await yard.http_job(
            schedule=EVERY_MINUTE,
            overlap=overlap,
            catch_up=CatchUp.ALL,
            queue=queue,
            retry=RetryPolicy(attempts=2, base_seconds=0),
        )
        for overlap in Overlap
        for queue in (Queue.NORMAL, Queue.HIGH)
    ]


async def test_everything_at_once_leaves_nothing_stuck(yard: Yard) -> None:
    chance = random.Random(7)
    made = await jobs_of_every_kind(yard)
    for _ in range(8):
        yard.now.advance(minutes=1)
        await round_of(yard, chance)
    # Whoever held a job's lock may have kept both clocks from it in the last minute.
    await yard.fire()
    for _ in range(200):
        yard.now.advance(seconds=16)
        await yard.reap()
        left = await active(yard)
        if not left:
            break
        assert any(not each.held for each in left), "held with nothing to wait for"
        await work(yard, [each.id for each in left], chance)
    assert await active(yard) == []
    events = await yard.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    for job in made:
        due = [(each.due_at, each.attempt) for each in await yard.history(job) if each.due_at]
        assert len(due) == len(set(due))
        assert len({at for at, _ in due}) == 8
