"""The clock: many at once fire each due time once; a change of schedules wakes it; it outlives its own failures."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import select, update

from taskyard.domain.executions import Status
from taskyard.domain.hints import ScheduleChanged
from taskyard.domain.jobs import Overlap
from taskyard.runtime import upkeep
from taskyard.runtime.clock import LONGEST_SLEEP, Clock
from taskyard.services.telemetry import Telemetry
from taskyard.store.database import Database
from taskyard.store.queue import tickets
from taskyard.store.tables import executions, jobs
from tests.processes import eventually
from tests.runtime.fixtures import ON_SQLITE
from tests.runtime.yards import VAULT, DeafBus, MovableClock, Yard, background, hand

pytestmark = pytest.mark.anyio

YEARLY = "0 0 1 1 *"


async def fired(yard: Yard) -> Counter[tuple[UUID, datetime]]:
    async with yard.database.read() as tx:
        due = select(executions.c.job_id, executions.c.due_at).where(executions.c.due_at.is_not(None))
        return Counter((row.job_id, row.due_at) for row in await tx.connection.execute(due))


async def test_many_clocks_fire_each_due_time_once(yard: Yard) -> None:
    async with yard.database.write() as tx:
        made = [await yard.make_job(tx, f"job {n}", schedule=YEARLY, overlap=Overlap.ALLOW) for n in range(60)]
    telemetry = Telemetry()
    async with AsyncExitStack() as stack:
        databases = [Database(yard.url, VAULT) for _ in range(4)]
        for database in databases:
            stack.push_async_callback(database.close)
        clocks = [Clock(database, DeafBus(), telemetry).run() for database in databases]
        async with background(*clocks):
            for turn in range(1, 4):
                await yard.make_due(*made)

                async def all_fired(wanted: int = turn * len(made)) -> bool:
                    return (await fired(yard)).total() == wanted

                await eventually(all_fired, 20)
    assert set((await fired(yard)).values()) == {1}
    assert telemetry.registry.get_sample_value("taskyard_clock_fired_total") == 180
    # Lateness is a matter of the machine as well, so it is measured and not judged here.
    assert telemetry.registry.get_sample_value("taskyard_clock_lateness_seconds_count")


async def test_a_change_of_schedules_wakes_the_clock(yard: Yard) -> None:
    asleep = MovableClock()
    database = Database(yard.url, VAULT, clock=asleep)
    looked: list[float] = []

    class Loop(Clock):
        async def _fire_all(self) -> object:  # pyright: ignore[reportIncompatibleMethodOverride]
            looked.append(asyncio.get_running_loop().time())
            return await super()._fire_all()

    try:
        async with background(Loop(database, yard.bus, Telemetry()).run()):
            await eventually(lambda: looked)
            for _ in range(5):
                before = len(looked)
                yard.bus.publish([ScheduleChanged()])
                await eventually(lambda earlier=before: len(looked) > earlier)
            assert looked[-1] - looked[0] < LONGEST_SLEEP * 5
    finally:
        await database.close()


async def test_a_job_made_due_is_run_by_clock_and_worker(yard: Yard) -> None:
    job = await yard.job("a", schedule=YEARLY)
    async with hand(yard) as one:
        async with background(Clock(yard.database, yard.bus, Telemetry()).run()):
            await yard.make_due(job)

            async def ran() -> bool:
                return [each.status for each in await yard.of_job(job)] == [Status.SUCCESS]

            await eventually(ran)
        assert one.stage.begun == ["a"]


@ON_SQLITE
async def test_the_clock_goes_on_after_a_failure(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    job = await yard.job("a", schedule=YEARLY)
    broken = [True]

    class Loop(Clock):
        async def _fire_all(self) -> object:  # pyright: ignore[reportIncompatibleMethodOverride]
            if broken.pop() if broken else False:
                raise RuntimeError("a bug")
            return await super()._fire_all()

    await yard.make_due(job)
    async with background(Loop(yard.database, yard.bus, Telemetry()).run()):

        async def done() -> bool:
            return bool(await yard.of_job(job))

        await eventually(done)
    assert "the clock stumbled" in caplog.text


async def test_a_job_that_cannot_be_fired_stops_no_other(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    bad, good = [await yard.job(name, schedule=YEARLY) for name in ("bad", "good")]
    async with yard.database.write() as tx:
        await tx.connection.execute(update(jobs).where(jobs.c.id == bad.id).values(timezone="Mars/Olympus"))
    await yard.make_due(bad, good)
    async with background(Clock(yard.database, yard.bus, Telemetry()).run()):

        async def done() -> bool:
            return bool(await yard.of_job(good))

        await eventually(done)
    assert await yard.of_job(bad) == []
    assert f"job {bad.id} cannot be fired" in caplog.text


async def test_the_sweep_enqueues_what_the_engine_has_lost(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lost, paused = await yard.run(await yard.job("a"), 2)
    async with yard.database.write() as tx:
        await tickets.withdraw(tx, [lost])
    monkeypatch.setattr(upkeep, "_SWEEP_SECONDS", 0.05)
    yard.clock.advance(61)
    async with hand(yard) as one:
        await yard.becomes(paused, Status.SUCCESS)
        assert (await yard.get(lost)).status is Status.QUEUED
        one.clock.ahead = yard.clock.ahead
        async with background(upkeep.sweep(yard.database)):
            await yard.becomes(lost, Status.SUCCESS)
        assert one.stage.begun == ["a", "a"]
    assert "unknown to the engine" in caplog.text
