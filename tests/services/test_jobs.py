"""Jobs: making, changing, switching, removing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskyard.domain.errors import Invalid, NotFound
from taskyard.domain.executions import Status
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import CatchUp, Command, Job, Kind, Overlap
from taskyard.domain.queues import Queue
from taskyard.domain.retries import RetryPolicy
from taskyard.services import calls, jobs
from tests.services.world import EVERY_MINUTE, Yard

pytestmark = pytest.mark.anyio


async def update(yard: Yard, job: Job, **changes: Any) -> Job:
    """Alice changes her job."""
    async with yard.database.write() as tx:
        return await jobs.update(tx, yard.alice, job.id, changes)


async def test_a_job_is_stored_whole(yard: Yard) -> None:
    made = await yard.job(
        name="Überall \N{SNOWMAN}",
        kind=Kind.COMMAND,
        type=2**62,
        schedule="0 9 * * MON-FRI",
        timezone="America/New_York",
        command=Command("echo $KEY", "/tmp", {"KEY": "v"}),
        queue=Queue.HIGH,
        priority=-50,
        retry=RetryPolicy(attempts=4, retry_on=frozenset({"exit_code", "any"}), waits_seconds=(1.0, 2.5)),
        timeout_seconds=1.5,
        overlap=Overlap.CANCEL_PREVIOUS,
        catch_up=CatchUp.ALL,
        catch_up_window_seconds=7,
        rerun_on_crash=True,
    )
    async with yard.database.read() as tx:
        assert await jobs.get(tx, yard.alice, made.id) == made
    assert made.next_run_at == datetime(2026, 3, 2, 14, tzinfo=UTC)
    assert (made.created_by, made.created_at, made.updated_at) == (yard.alice.user_id, yard.now.at, yard.now.at)
    [told] = [event for event in await yard.events() if event.type == "job.created"]
    assert (told.job_id, told.actor, told.data["name"]) == (made.id, yard.alice.name, made.name)


async def test_a_job_belongs_to_who_makes_it_whatever_it_says(yard: Yard) -> None:
    forged = Job(new_id(), yard.alice.tenant_id, "mine?", created_by=yard.alice.user_id, next_run_at=yard.now.at)
    async with yard.database.write() as tx:
        made = await jobs.create(tx, yard.bob, forged)
    assert (made.tenant_id, made.created_by, made.next_run_at) == (yard.bob.tenant_id, yard.bob.user_id, None)
    assert made.id != forged.id


async def test_a_wrong_job_is_refused_and_nothing_is_kept(yard: Yard) -> None:
    before = await yard.told()
    for wrong in ({"schedule": "nonsense"}, {"name": "nul \0"}, {"name": "half \ud800"}, {"type": 2**63}):
        with pytest.raises(Invalid):
            await yard.job(**wrong)
    async with yard.database.read() as tx:
        assert await jobs.page(tx, yard.alice) == ([], 0)
    assert await yard.told() == before


async def test_changing_the_schedule_moves_the_next_run(yard: Yard) -> None:
    job = await yard.job(schedule=EVERY_MINUTE)
    yard.now.advance(seconds=5)
    changed = await update(yard, job, schedule="30 12 * * *", timezone="UTC")
    assert changed.next_run_at == datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert changed.updated_at == yard.now.at
    changed = await update(yard, job, timezone="Asia/Tokyo")
    assert changed.next_run_at == datetime(2026, 3, 2, 3, 30, tzinfo=UTC)
    last = (await yard.events())[-1]
    assert (last.type, last.data["changed"]) == ("job.updated", ["timezone"])


async def test_saving_a_job_unchanged_loses_no_due_time(yard: Yard) -> None:
    job = await yard.job(schedule=EVERY_MINUTE)
    yard.now.advance(minutes=1)
    same = await update(yard, job, schedule=EVERY_MINUTE, timezone="UTC", enabled=True, name="renamed")
    assert same.next_run_at == job.next_run_at
    assert (await yard.fire()).count == 1


async def test_switching_off_and_on(yard: Yard) -> None:
    job = await yard.job(schedule=EVERY_MINUTE)
    seen = len(await yard.told())
    async with yard.database.write() as tx:
        assert (await jobs.set_enabled(tx, yard.alice, job.id, enabled=False)).next_run_at is None
    yard.now.advance(hours=1)
    async with yard.database.write() as tx:
        on = await jobs.set_enabled(tx, yard.alice, job.id, enabled=True)
        await jobs.set_enabled(tx, yard.alice, job.id, enabled=True)
    assert on.next_run_at == yard.now.at.replace(second=0) + timedelta(minutes=1)
    assert await yard.told(after=seen) == ["job.disabled", "job.enabled"]
    yard.now.advance(minutes=1)
    await yard.fire()
    assert await yard.statuses(job) == [Status.QUEUED], "what passed while it was off is not caught up on"


@pytest.mark.parametrize("field", ["id", "tenant_id", "created_by", "next_run_at", "last_run_at"])
async def test_what_the_house_decides_cannot_be_changed(yard: Yard, field: str) -> None:
    job = await yard.job()
    with pytest.raises(Invalid) as caught:
        await update(yard, job, **{field: None})
    assert caught.value.field == field


async def test_a_wrong_change_is_refused(yard: Yard) -> None:
    job = await yard.job(schedule=EVERY_MINUTE)
    for wrong in ({"schedule": "* * *"}, {"timezone": "Nowhere"}, {"kind": Kind.COMMAND}, {"priority": 51}):
        with pytest.raises(Invalid):
            await update(yard, job, **wrong)
    async with yard.database.read() as tx:
        assert await jobs.get(tx, yard.alice, job.id) == job


async def test_deleting_a_job_cancels_what_is_under_way_and_keeps_its_history(yard: Yard) -> None:
    job = await yard.http_job(schedule=EVERY_MINUTE, overlap=Overlap.QUEUE)
    done = await yard.end((await yard.run_now(job)).id)
    running = await yard.run_now(job)
    worker = await yard.worker()
    [begun] = await yard.begin(worker, [running.id])
    waiting = await yard.run_now(job)
    yard.now.advance(minutes=1)
    await yard.fire()
    held = (await yard.history(job))[-1]
    assert held.held
    seen = len(await yard.told())
    async with yard.database.write() as tx:
        await jobs.delete(tx, yard.alice, job.id)
    assert await yard.told(after=seen) == ["execution.cancelled", "execution.cancelled", "job.deleted"]
    for each in (waiting, held):
        assert (await yard.execution(each.id)).status is Status.CANCELLED
        assert each.id not in await yard.tickets()
    assert (await yard.execution(running.id)).cancel_requested_at is not None
    assert await yard.finish(worker, begun.execution)
    assert (await yard.execution(done.id)).status is Status.SUCCESS
    async with yard.database.read() as tx:
        with pytest.raises(NotFound):
            await jobs.get(tx, yard.alice, job.id)
        with pytest.raises(NotFound):
            await calls.of_job(tx, yard.alice, job.id)
    yard.now.advance(days=1)
    assert (await yard.fire()).count == 0


async def test_pages_are_newest_first_and_count_all(yard: Yard) -> None:
    made = [await yard.job(name=name, enabled=name != "b") for name in ("a", "b", "c")]
    await yard.job(yard.bob, name="bob's")
    async with yard.database.read() as tx:
        page, total = await jobs.page(tx, yard.alice, skip=1, limit=1)
        assert ([each.name for each in page], total) == (["b"], 3)
        assert await jobs.page(tx, yard.alice, enabled=False) == ([made[1]], 1)
        assert (await jobs.page(tx, yard.alice, skip=9))[0] == []


@pytest.mark.parametrize(
    ("search", "found"),
    [("NIGHT", 1), ("rger", 1), ("Ärger", 1), ("100%", 1), ("%", 1), ("_", 0), ("\\", 0), ("x" * 300, 0)],
)
async def test_search_looks_for_text_as_it_is(yard: Yard, search: str, found: int) -> None:
    for name in ("Nightly backup", "Ärger", "100% done"):
        await yard.job(name=name)
    async with yard.database.read() as tx:
        page, total = await jobs.page(tx, yard.alice, search=search)
    assert (len(page), total) == (found, found)


async def test_a_search_no_database_could_hold_is_refused(yard: Yard) -> None:
    async with yard.database.read() as tx:
        for wrong in ("a\0b", "\udc00"):
            with pytest.raises(Invalid):
                await jobs.page(tx, yard.alice, search=wrong)


async def test_upcoming_runs_are_told_while_switched_off_too(yard: Yard) -> None:
    job = await yard.job(schedule="0 * * * *", enabled=False)
    async with yard.database.read() as tx:
        runs = await jobs.upcoming(tx, yard.alice, job.id, 3)
        assert [run.at.hour for run in runs] == [13, 14, 15]
        for wrong in (0, 101):
            with pytest.raises(Invalid):
                await jobs.upcoming(tx, yard.alice, job.id, wrong)
    manual = await yard.job()
    async with yard.database.read() as tx:
        assert await jobs.upcoming(tx, yard.alice, manual.id) == []
