"""Metrics: one tenant's numbers."""

import pytest

from taskyard.domain.actors import Actor
from taskyard.services import metrics
from taskyard.services.metrics import Metrics
from tests.services.world import GOOD, REFUSED, Yard

pytestmark = pytest.mark.anyio


async def read(yard: Yard, actor: Actor | None = None) -> Metrics:
    """The numbers of a tenant."""
    async with yard.database.read() as tx:
        return await metrics.read(tx, actor or yard.alice)


async def test_an_empty_tenant_has_zeros(yard: Yard) -> None:
    empty = await read(yard)
    assert (empty.jobs_total, empty.jobs_enabled, empty.executions.total) == (0, 0, 0)
    assert (empty.success_rate, empty.executions.average_ms, empty.at) == (0.0, 0.0, yard.now.at)


async def test_jobs_and_executions_are_counted_without_deliveries_and_other_tenants(yard: Yard) -> None:
    await yard.subscribe(None, "job.*")
    job = await yard.http_job()
    await yard.job(enabled=False)
    for outcome, seconds in ((GOOD, 1), (GOOD, 3), (REFUSED, 2)):
        queued = await yard.run_now(job)
        worker = await yard.worker()
        [begun] = await yard.begin(worker, [queued.id])
        yard.now.advance(seconds=seconds)
        await yard.finish(worker, begun.execution, outcome)
    await yard.run_now(await yard.http_job(yard.bob), yard.bob)
    mine = await read(yard)
    assert (mine.jobs_total, mine.jobs_enabled) == (2, 1)
    assert mine.executions.by_status == {"success": 2, "failure": 1, "queued": 1}
    assert mine.executions.total == 4
    assert (mine.success_rate, mine.executions.average_ms) == (50.0, 2000.0)
    bobs = await read(yard, yard.bob)
    assert (bobs.jobs_total, bobs.executions.by_status) == (1, {"queued": 1})


async def test_the_numbers_of_several_accounts_are_added_up(yard: Yard) -> None:
    await yard.http_job()
    await yard.run_now(await yard.http_job(yard.bob), yard.bob)
    async with yard.database.read() as tx:
        both = await metrics.read(tx, yard.alice, yard.bob)
    assert both.jobs_total == 2
    assert both.executions.by_status == {"queued": 1}
