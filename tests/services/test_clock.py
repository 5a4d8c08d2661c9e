"""The clock: every due time becomes exactly one row, and overlaps are settled."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from taskyard.domain.executions import Status, Trigger
from taskyard.domain.jobs import CatchUp, Overlap
from taskyard.services import cancelling, clock, executions, jobs
from tests.services.world import EVERY_MINUTE, REFUSED, Yard

pytestmark = pytest.mark.anyio

QUEUED, RUNNING, SUCCESS = Status.QUEUED, Status.RUNNING, Status.SUCCESS
SKIPPED, MISSED, CANCELLED = Status.SKIPPED, Status.MISSED, Status.CANCELLED


async def test_a_due_time_becomes_one_queued_execution(yard: Yard) -> None:
    job = await yard.http_job(schedule=EVERY_MINUTE, priority=7)
    assert (await yard.fire()).count == 0
    due_at = job.next_run_at
    yard.now.advance(seconds=30.25)
    fired = await yard.fire()
    assert (fired.count, fired.lateness) == (1, timedelta(seconds=0.25))
    assert due_at is not None
    assert fired.next_due_at == due_at + timedelta(minutes=1)
    [execution] = await yard.history(job)
    assert (execution.due_at, execution.trigger, execution.status) == (due_at, Trigger.SCHEDULE, QUEUED)
    assert (execution.kind, execution.priority, execution.attempt) == (job.kind, 7, 1)
    assert execution.run_id == execution.id
    assert await yard.tickets() == {execution.id}
    queued = (await yard.events())[-1]
    assert (queued.type, queued.execution_id, queued.job_id) == ("execution.queued", execution.id, job.id)
    async with yard.database.read() as tx:
        found = await jobs.get(tx, yard.alice, job.id)
    assert (found.last_run_at, found.next_run_at) == (due_at, fired.next_due_at)
    assert (await yard.fire()).count == 0


async def test_four_clocks_at_once_fire_each_due_time_once(yard: Yard) -> None:
    made = [await yard.job(schedule=EVERY_MINUTE, overlap=Overlap.ALLOW, catch_up=CatchUp.ALL) for _ in range(12)]
    due: list[datetime] = []
    for _ in range(5):
        yard.now.advance(minutes=1)
        due.append(yard.now.at.replace(second=0))
        passes = await asyncio.gather(*(yard.fire() for _ in range(4)))
        assert sum(each.count for each in passes) == len(made)
    yard.now.advance(minutes=30)
    passes = await asyncio.gather(*(yard.fire() for _ in range(4)))
    assert sum(each.count for each in passes) == 30 * len(made)
    for job in made:
        history = await yard.history(job)
        assert [each.due_at for each in history] == due + [due[-1] + timedelta(minutes=n) for n in range(1, 31)]
    assert len(await yard.tickets()) == 35 * len(made)


async def test_a_clock_that_was_set_back_brings_no_due_time_again(yard: Yard) -> None:
    job, other = [await yard.job(schedule=EVERY_MINUTE, overlap=Overlap.ALLOW) for _ in range(2)]
    yard.now.advance(seconds=30)
    assert (await yard.fire()).count == 2
    first = yard.now.at
    yard.now.advance(seconds=-20)
    for enabled in (False, True):
        async with yard.database.write() as tx:
            changed = await jobs.set_enabled(tx, yard.alice, job.id, enabled=enabled)
    assert changed.next_run_at == first + timedelta(minutes=1)
    yard.now.advance(seconds=80)
    assert (await yard.fire()).count == 2
    for each in (job, other):
        assert [row.due_at for row in await yard.history(each)] == [first, first + timedelta(minutes=1)]


async def test_a_change_that_waited_for_the_clock_does_not_bring_its_due_time_again(yard: Yard) -> None:
    job = await yard.job(schedule=EVERY_MINUTE)
    asked_at = yard.now.advance(seconds=29.999)
    due_at = yard.now.advance(seconds=0.001)
    assert (await yard.fire()).count == 1
    async with yard.database.write() as tx:
        change = {"schedule": "*/2 * * * *"}
        changed = await jobs.update(replace(tx, now=asked_at), yard.alice, job.id, change)
    assert changed.next_run_at is not None
    assert changed.next_run_at > due_at


async def test_a_pass_that_is_rolled_back_leaves_nothing_and_is_repeated(yard: Yard) -> None:
    job = await yard.job(schedule=EVERY_MINUTE)
    before = await yard.told()
    yard.now.advance(minutes=1)
    with suppress(RuntimeError):
        async with yard.database.write() as tx:
            assert (await clock.fire_due(tx)).count == 1
            raise RuntimeError
    assert await yard.history(job) == []
    assert await yard.tickets() == set()
    assert await yard.told() == before
    assert (await yard.fire()).count == 1


async def test_switched_off_and_unscheduled_jobs_are_never_due(yard: Yard) -> None:
    await yard.job(schedule=EVERY_MINUTE, enabled=False)
    await yard.job(schedule=None)
    yard.now.advance(days=1)
    assert (await yard.fire()).count == 0


async def test_skip_leaves_a_row_with_its_reason(yard: Yard) -> None:
    job = await yard.http_job(schedule=EVERY_MINUTE)
    yard.now.advance(minutes=1)
    await yard.fire()
    yard.now.advance(minutes=1)
    await yard.fire()
    first, second = await yard.history(job)
    assert (first.status, second.status) == (QUEUED, SKIPPED)
    assert second.reason is not None
    assert str(first.id) in second.reason
    assert second.finished_at == yard.now.at
    assert (await yard.told())[-1] == "execution.skipped"
    await yard.end(first.id)
    yard.now.advance(minutes=1)
    await yard.fire()
    assert await yard.statuses(job) == [SUCCESS, SKIPPED, QUEUED]


async def test_a_retry_that_waits_is_not_over(yard: Yard) -> None:
    job = await yard.http_job(schedule=EVERY_MINUTE)
    yard.now.advance(minutes=1)
    await yard.fire()
    [first] = await yard.history(job)
    await yard.end(first.id, REFUSED)
    yard.now.advance(seconds=50)
    await yard.fire()
    assert await yard.statuses(job) == [Status.FAILURE, QUEUED, SKIPPED]


async def test_allow_runs_them_side_by_side(yard: Yard) -> None:
    job = await yard.http_job(schedule=EVERY_MINUTE, overlap=Overlap.ALLOW)
    for _ in range(3):
        yard.now.advance(minutes=1)
        await yard.fire()
    assert await yard.statuses(job) == [QUEUED] * 3
    assert len(await yard.tickets()) == 3


async def held_line(yard: Yard, overlap: Overlap = Overlap.QUEUE) -> list[executions.Execution]:
    """Three runs of a job of which the first runs and the others wait for it."""
    job = await yard.http_job(schedule=EVERY_MINUTE, overlap=overlap)
    for _ in range(3):
        yard.now.advance(minutes=1)
        await yard.fire()
    line = await yard.history(job)
    assert [each.held for each in line] == [False, True, True]
    assert await yard.tickets() == {line[0].id}
    return line


async def test_queue_lets_one_go_after_the_other(yard: Yard) -> None:
    first, second, third = await held_line(yard)
    yard.now.advance(seconds=5)
    await yard.end(first.id)
    freed = await yard.execution(second.id)
    assert (freed.held, freed.available_at) == (False, yard.now.at)
    assert second.id in await yard.tickets()
    assert third.id not in await yard.tickets()
    assert await yard.begin(await yard.worker(), [third.id]) == []
    await yard.end(second.id)
    assert third.id in await yard.tickets()
    assert (await yard.end(third.id)).status is SUCCESS


async def test_a_held_run_waits_for_the_retries_of_the_one_before(yard: Yard) -> None:
    first, second, _ = await held_line(yard)
    for attempt in (1, 2):
        current = next(each for each in await yard.history_of(first.run_id) if each.status is QUEUED)
        assert current.attempt == attempt
        await yard.end(current.id, REFUSED)
        assert second.id not in await yard.tickets()
    last = next(each for each in await yard.history_of(first.run_id) if each.status is QUEUED)
    assert (await yard.end(last.id, REFUSED)).status is Status.DEAD_LETTER
    assert second.id in await yard.tickets()


async def test_cancelling_what_is_in_the_way_frees_the_next(yard: Yard) -> None:
    first, second, third = await held_line(yard)
    async with yard.database.write() as tx:
        await executions.cancel(tx, yard.alice, first.id)
    assert second.id in await yard.tickets()
    async with yard.database.write() as tx:
        await executions.cancel(tx, yard.alice, third.id)
    await yard.end(second.id)
    assert (await yard.execution(third.id)).status is CANCELLED


async def test_losing_the_worker_of_what_is_in_the_way_frees_the_next(yard: Yard) -> None:
    job = await yard.command_job(schedule=EVERY_MINUTE, overlap=Overlap.QUEUE)
    for _ in range(2):
        yard.now.advance(minutes=1)
        await yard.fire()
    first, second = await yard.history(job)
    await yard.begin(await yard.worker(), [first.id])
    yard.now.advance(seconds=16)
    assert await yard.reap() == 1
    assert (await yard.execution(first.id)).status is Status.DEAD_LETTER
    assert second.id in await yard.tickets()


async def test_cancel_previous_replaces_what_waits_at_once(yard: Yard) -> None:
    job = await yard.http_job(schedule=EVERY_MINUTE, overlap=Overlap.CANCEL_PREVIOUS)
    for _ in range(3):
        yard.now.advance(minutes=1)
        await yard.fire()
    first, second, third = await yard.history(job)
    assert [first.status, second.status, third.status] == [CANCELLED, CANCELLED, QUEUED]
    assert (first.reason, third.held) == (clock.REPLACED, False)
    assert await yard.tickets() == {third.id}
    assert (await yard.told()).count("execution.cancelled") == 2


async def test_cancel_previous_waits_for_the_end_of_what_runs(yard: Yard) -> None:
    job = await yard.http_job(schedule=EVERY_MINUTE, overlap=Overlap.CANCEL_PREVIOUS)
    yard.now.advance(minutes=1)
    await yard.fire()
    [first] = await yard.history(job)
    worker = await yard.worker()
    [begun] = await yard.begin(worker, [first.id])
    for _ in range(2):
        yard.now.advance(minutes=1)
        await yard.fire()
    _, second, third = await yard.history(job)
    assert [second.status, third.status, third.held] == [CANCELLED, QUEUED, True]
    assert (await yard.execution(first.id)).cancel_requested_at is not None
    assert third.id not in await yard.tickets()
    assert await yard.finish(worker, begun.execution, REFUSED)
    assert (await yard.execution(first.id)).status is CANCELLED
    assert third.id in await yard.tickets()
    assert second.id not in await yard.tickets()


@pytest.mark.parametrize("overlap", Overlap)
async def test_catching_up_on_all_obeys_the_overlap_policy(yard: Yard, overlap: Overlap) -> None:
    job = await yard.http_job(schedule=EVERY_MINUTE, overlap=overlap, catch_up=CatchUp.ALL)
    yard.now.advance(minutes=4)
    fired = await yard.fire()
    assert fired.count == 4
    history = await yard.history(job)
    assert len({each.due_at for each in history}) == 4
    expected = {
        Overlap.SKIP: [QUEUED, SKIPPED, SKIPPED, SKIPPED],
        Overlap.QUEUE: [QUEUED] * 4,
        Overlap.CANCEL_PREVIOUS: [CANCELLED, CANCELLED, CANCELLED, QUEUED],
        Overlap.ALLOW: [QUEUED] * 4,
    }
    assert await yard.statuses(job) == expected[overlap]
    ready = {each.id for each in history if each.status is QUEUED and not each.held}
    assert await yard.tickets() == ready
    assert len(ready) == (4 if overlap is Overlap.ALLOW else 1)


@pytest.mark.parametrize("catch_up", CatchUp)
async def test_downtime_leaves_one_row_per_due_time(yard: Yard, catch_up: CatchUp) -> None:
    job = await yard.http_job(
        schedule=EVERY_MINUTE, overlap=Overlap.ALLOW, catch_up=catch_up, catch_up_window_seconds=300
    )
    yard.now.advance(minutes=10, seconds=10)
    await yard.fire()
    ran = {CatchUp.LATEST: 1, CatchUp.ALL: 5, CatchUp.NONE: 1}[catch_up]
    assert await yard.statuses(job) == [MISSED] * (10 - ran) + [QUEUED] * ran
    missed = (await yard.history(job))[0]
    assert missed.reason
    assert missed.finished_at == yard.now.at
    assert (await yard.told()).count("execution.missed") == 10 - ran


async def test_a_long_downtime_is_worked_off_in_several_passes(yard: Yard) -> None:
    job = await yard.http_job(schedule=EVERY_MINUTE)
    yard.now.advance(days=1)
    passes = 0
    while True:
        fired = await yard.fire()
        passes += 1
        if fired.next_due_at is None or fired.next_due_at > yard.now.at:
            break
    assert passes > 2
    assert await yard.statuses(job) == [MISSED] * 1439 + [QUEUED]


async def test_many_jobs_after_a_long_downtime_do_not_make_one_huge_pass(yard: Yard) -> None:
    for _ in range(40):
        await yard.job(schedule=EVERY_MINUTE)
    yard.now.advance(days=1)
    assert 40 <= (await yard.fire()).count <= clock.MAX_ROWS


async def test_a_run_by_hand_ignores_schedule_switch_and_overlap(yard: Yard) -> None:
    job = await yard.http_job(schedule=EVERY_MINUTE, enabled=False)
    first, second = await yard.run_now(job), await yard.run_now(job)
    assert await yard.tickets() == {first.id, second.id}
    assert (first.trigger, first.due_at, first.requested_by) == (Trigger.MANUAL, None, yard.alice.user_id)


async def test_stopping_what_is_over_changes_nothing(yard: Yard) -> None:
    done = await yard.end((await yard.run_now(await yard.http_job())).id)
    async with yard.database.write() as tx:
        assert await cancelling.stop(tx, yard.alice.tenant_id, [done.id], "too late") == []
    assert await yard.execution(done.id) == done
