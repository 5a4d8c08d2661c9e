"""Leases and the fence: who was given up for lost writes nothing, and what ran there goes on elsewhere or ends."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from taskyard.domain.executions import Status
from taskyard.domain.jobs import Kind
from taskyard.domain.retries import CRASH_ATTEMPTS
from taskyard.domain.runs import Outcome, Output, Run
from taskyard.runtime.lease import Lease
from taskyard.runtime.worker import Capacity
from taskyard.services import attempts, workers
from taskyard.services.attempts import Finished
from tests.processes import eventually
from tests.runtime.yards import SUCCEEDED, Hand, Stage, Yard, hand, name_of, statuses

pytestmark = pytest.mark.anyio


async def give_up(yard: Yard, lost: Hand) -> int:
    """What a reaper does once the lease of `lost` has lapsed, leaving everybody else's in peace."""
    async with yard.database.write() as tx:
        await workers.renew(tx, lost.lease.id, -1)
        return await attempts.reap(tx, yard.rules)


async def test_the_result_of_a_worker_given_up_for_lost_is_refused(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("hold"))
    async with hand(yard, keep_lease=False) as one:
        await eventually(lambda: one.stage.running)
        begun = await yard.get(ident)
        assert await give_up(yard, one) == 1
        async with yard.database.write() as tx:
            late = [Finished(begun, SUCCEEDED)]
            assert await attempts.finish(tx, yard.rules, one.lease.id, late) == set()
        one.worker.stop()
        ended = await yard.get(ident)
        assert (ended.status, ended.reason) == (Status.FAILURE, "worker lost")


async def test_another_attempt_of_the_same_worker_is_fenced_too(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("hold"))
    async with hand(yard) as one:
        await eventually(lambda: one.stage.running)
        begun = await yard.get(ident)
        async with yard.database.write() as tx:
            other = [Finished(replace(begun, attempt=begun.attempt + 1), SUCCEEDED)]
            assert await attempts.finish(tx, yard.rules, one.lease.id, other) == set()
        assert (await yard.get(ident)).status is Status.RUNNING


async def test_a_worker_given_up_for_lost_stops_its_runs_and_goes_on_under_a_new_name(yard: Yard) -> None:
    job = await yard.job("hold")
    (ident,) = await yard.run(job)
    async with hand(yard) as one:
        await eventually(lambda: one.stage.running)
        old = one.lease.id
        assert await give_up(yard, one) == 1
        await eventually(lambda: one.lease.id != old)
        await eventually(lambda: one.stage.cancelled == ["hold"])
        await eventually(lambda: one.stage.running)
        one.stage.finish("hold")
        first, second = await yard.run_to_end(ident)
        assert statuses([first, second]) == [Status.FAILURE, Status.SUCCESS]
        assert (first.worker_id, second.worker_id) == (old, one.lease.id)
        (another,) = await yard.run(job)
        assert (await yard.becomes(another, Status.SUCCESS)).worker_id == one.lease.id


async def test_a_worker_given_up_for_lost_begins_nothing_under_its_old_name(yard: Yard) -> None:
    async with hand(yard, keep_lease=False) as one:
        await give_up(yard, one)
        (ident,) = await yard.run(await yard.job("a"))
        async with yard.database.write() as tx:
            beginning = await attempts.begin(tx, yard.rules, one.lease.id, [ident])
        assert beginning.begun == []
        assert beginning.put_back == {ident}
        assert (await yard.get(ident)).status is Status.QUEUED
        async with hand(yard) as other:
            done = await yard.becomes(ident, Status.SUCCESS)
            assert done.worker_id == other.lease.id


async def test_a_lease_that_is_kept_is_not_reaped(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("hold"))
    async with hand(yard) as one:
        await eventually(lambda: one.stage.running)
        first = (await alive(yard))[0].lease_until

        async def renewed() -> bool:
            return (await alive(yard))[0].lease_until > first

        await eventually(renewed)
        async with yard.database.write() as tx:
            assert await attempts.reap(tx, yard.rules) == 0
        assert (await yard.get(ident)).status is Status.RUNNING


async def alive(yard: Yard) -> list[workers.WorkerRow]:
    async with yard.database.read() as tx:
        return await workers.alive(tx)


async def test_a_lapsed_lease_is_reaped_by_the_clock_alone(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("hold"))
    async with hand(yard, keep_lease=False) as one:
        await eventually(lambda: one.stage.running)
        yard.clock.advance(yard.rules.lease_seconds)
        async with yard.database.write() as tx:
            assert await attempts.reap(tx, yard.rules) == 1
        assert (await yard.attempts(ident))[0].status is Status.FAILURE
        assert await alive(yard) == []


async def test_a_lost_call_is_made_again_at_once(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("hold"))
    async with hand(yard, keep_lease=False) as lost:
        await eventually(lambda: lost.stage.running)
        await give_up(yard, lost)
        first, second = await yard.attempts(ident)
        assert first.status is Status.FAILURE
        assert not first.dead
        assert (second.attempt, second.available_at) == (2, first.finished_at)
        stage = Stage()
        stage.finish("hold")
        async with hand(yard, stage):
            assert statuses(await yard.run_to_end(ident)) == [Status.FAILURE, Status.SUCCESS]


async def test_a_lost_command_ends_as_a_dead_letter(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("hold", Kind.COMMAND))
    async with hand(yard, keep_lease=False) as lost:
        await eventually(lambda: lost.stage.running)
        await give_up(yard, lost)
        (only,) = await yard.attempts(ident)
        assert (only.status, only.reason, only.dead) == (Status.DEAD_LETTER, "worker lost", True)
        assert only.error == "worker lost: its lease lapsed"


@pytest.mark.parametrize(("kind", "rerun", "times"), [(Kind.COMMAND, True, 2), (Kind.HTTP, False, 1)])
async def test_the_job_says_whether_a_lost_run_is_repeated(yard: Yard, kind: Kind, rerun: bool, times: int) -> None:
    (ident,) = await yard.run(await yard.job("hold", kind, rerun_on_crash=rerun))
    async with hand(yard, keep_lease=False) as lost:
        await eventually(lambda: lost.stage.running)
        await give_up(yard, lost)
        assert len(await yard.attempts(ident)) == times


async def test_a_run_that_kills_its_workers_ends_after_its_attempts(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("hold", Kind.COMMAND, rerun_on_crash=True))
    for attempt in range(1, CRASH_ATTEMPTS + 1):
        async with hand(yard, keep_lease=False) as lost:
            await eventually(lambda: lost.stage.running)
            await give_up(yard, lost)
        assert len(await yard.attempts(ident)) == min(attempt + 1, CRASH_ATTEMPTS)
    found = await yard.run_to_end(ident)
    assert statuses(found) == [Status.FAILURE, Status.FAILURE, Status.DEAD_LETTER]
    assert [each.dead for each in found] == [False, False, True]


async def test_what_runs_unattended_under_a_living_worker_is_given_back(yard: Yard) -> None:
    job = await yard.job("a")
    async with hand(yard) as one:
        async with yard.database.write() as tx:
            # Begun, and the worker never heard that it was: the answer to its commit was lost.
            ident = await yard.make_execution(tx, job, available_at=tx.now + timedelta(hours=1))
            assert len((await attempts.begin(tx, yard.rules, one.lease.id, [ident])).begun) == 1
        found = await yard.run_to_end(ident)
        assert statuses(found) == [Status.FAILURE, Status.SUCCESS]
        assert found[0].reason == "worker lost"


async def test_what_is_attended_to_is_never_given_back(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("hold"))
    async with hand(yard) as one:
        await eventually(lambda: one.stage.running)
        until = yard.clock() + timedelta(seconds=yard.rules.lease_seconds)
        await eventually(lambda: yard.clock() > until)
        assert (await yard.get(ident)).status is Status.RUNNING
        one.stage.finish("hold")
        assert statuses(await yard.run_to_end(ident)) == [Status.SUCCESS]


async def test_a_process_that_said_it_stops_takes_no_new_name(yard: Yard) -> None:
    lost: list[bool] = []
    lease = Lease(yard.database, yard.rules, "worker", lambda: lost.append(True))
    await lease.take()
    keeping = asyncio.create_task(lease.keep())
    lease.let_go()
    async with yard.database.write() as tx:
        await workers.end(tx, lease.id, "stopped")
    await asyncio.wait_for(keeping, 30)
    assert not lost
    assert await alive(yard) == []


async def test_a_worker_that_stops_lets_runs_end_within_the_grace(yard: Yard) -> None:
    idents = await yard.run(await yard.job("hold"), 3)
    waiting = await yard.job("a")
    async with hand(yard) as one:
        await eventually(lambda: len(one.stage.running) == 3)
        one.worker.stop()
        (later,) = await yard.run(waiting)
        one.stage.finish("hold")
        await one.retire()
        for ident in idents:
            assert statuses(await yard.attempts(ident)) == [Status.SUCCESS]
        assert (await yard.get(later)).status is Status.QUEUED
        assert await alive(yard) == []


async def test_a_worker_that_stops_gives_back_what_does_not_end_within_the_grace(yard: Yard) -> None:
    (call,) = await yard.run(await yard.job("hold"))
    (command,) = await yard.run(await yard.job("hold on", Kind.COMMAND))
    async with hand(yard, capacity=Capacity(grace_seconds=0.2)) as one:
        await eventually(lambda: len(one.stage.running) == 2)
        await one.retire()
        assert one.stage.running == []
        assert sorted(one.stage.cancelled) == ["hold", "hold on"]
        assert statuses(await yard.attempts(call)) == [Status.FAILURE, Status.QUEUED]
        (ended,) = await yard.attempts(command)
        assert (ended.status, ended.reason) == (Status.DEAD_LETTER, "worker lost")
    stage = Stage()
    stage.finish("hold")
    async with hand(yard, stage):
        assert statuses(await yard.run_to_end(call)) == [Status.FAILURE, Status.SUCCESS]


async def test_a_full_worker_that_stops_puts_back_what_it_has_claimed(yard: Yard) -> None:
    (running,) = await yard.run(await yard.job("hold"))
    async with hand(yard, capacity=Capacity(runs=1, grace_seconds=0.2)) as one:
        await eventually(lambda: one.stage.running)
        waiting = await yard.run(await yard.job("a"), 20)

        async def claimed() -> bool:
            async with yard.database.read() as tx:
                asked = "SELECT count(*) FROM pgqueuer WHERE status = 'picked'"
                return (await tx.connection.exec_driver_sql(asked)).scalar_one() == 20

        await eventually(claimed)
        await one.retire()
        assert statuses([await yard.get(ident) for ident in waiting]) == [Status.QUEUED] * 20
    stage = Stage()
    stage.finish("hold")
    async with hand(yard, stage):
        for ident in [*waiting, running]:
            assert (await yard.run_to_end(ident))[-1].status is Status.SUCCESS


async def test_a_result_that_cannot_be_stored_ends_its_run_and_nobody_elses(yard: Yard) -> None:
    meet = asyncio.Barrier(2)

    async def script(run: Run, output: Output) -> Outcome:
        await meet.wait()
        if name_of(run) == "bad":
            return Outcome(SUCCEEDED.verdict, result={"not": object()})
        return SUCCEEDED

    bad, good = await yard.job("bad"), await yard.job("good")
    async with hand(yard, Stage(script)):
        (spoilt,), (fine,) = await yard.run(bad), await yard.run(good)
        await yard.becomes(fine, Status.SUCCESS)
        ended = await yard.becomes(spoilt, Status.DEAD_LETTER)
        assert ended.error is not None
        assert ended.error.startswith("Internal error")


async def test_text_with_nul_is_stored_as_what_it_says(yard: Yard) -> None:
    async def script(run: Run, output: Output) -> Outcome:
        del run, output
        return Outcome.failed(attempts.Cause.STATUS, "nul \0 here", response_code=400, result={"body": "a\0b \ud800"})

    job = await yard.job("a")
    async with hand(yard, Stage(script)):
        (ident,) = await yard.run(job)
        ended = await yard.becomes(ident, Status.DEAD_LETTER)
        assert ended.response_code == 400


async def test_a_reaper_never_gives_up_its_own_process(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("hold"))
    async with hand(yard) as one, hand(yard, keep_lease=False) as lost:
        await eventually(lambda: one.stage.running or lost.stage.running)
        yard.clock.advance(60)
        async with yard.database.write() as tx:
            await attempts.reap(tx, yard.rules, one.lease.id)
        left = [worker.id for worker in await unended(yard)]
        assert left == [one.lease.id]
        one.stage.finish("hold")
        assert (await yard.run_to_end(ident))[-1].status is Status.SUCCESS


async def unended(yard: Yard) -> list[workers.WorkerRow]:
    yard.clock.advance(-60)
    return await alive(yard)
