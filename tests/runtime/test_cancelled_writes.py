"""Whoever is cancelled in the middle of a transaction leaves the database as if it had never begun."""

import asyncio
from random import Random

import pytest

from taskyard.services import events
from tests.runtime.fixtures import ON_SQLITE
from tests.runtime.yards import Yard

pytestmark = pytest.mark.anyio


@ON_SQLITE  # PostgreSQL rolls back by itself when a connection is dropped; on SQLite all share one connection
async def test_cancelled_transactions_leave_nothing_behind_and_hold_nothing(yard: Yard) -> None:
    random = Random(11)
    job = await yard.job("a")
    kept = 0
    for _ in range(80):
        task = asyncio.create_task(yard.run(job))
        for _ in range(random.randrange(60)):
            await asyncio.sleep(0)
        if random.random() < 0.5:
            await asyncio.wait({task}, timeout=random.uniform(0, 0.004))
        task.cancel()
        await asyncio.wait({task}, timeout=20)
        assert task.done()
        kept += not task.cancelled()
    await asyncio.wait_for(yard.run(job), 20)
    found = await yard.of_job(job)
    assert len(found) >= kept + 1
    async with yard.database.read() as tx:
        told = await events.after(tx, yard.actor.tenant_id, 0, 1000)
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert sum(event.type == "execution.queued" for event in told) == len(found)
