"""The queue as users know it, whole workers over either database: order, delay, one claim, cancelling, pausing."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from taskyard.domain.executions import Status
from taskyard.domain.jobs import Kind, Overlap
from taskyard.domain.queues import Queue
from taskyard.domain.runs import HttpRun, Outcome, Output, Run
from taskyard.runtime.worker import Capacity
from taskyard.services import attempts, clock, executions, jobs, queues
from tests.conformance.claims import claimer, ids
from tests.processes import eventually
from tests.runtime.yards import SUCCEEDED, Stage, Yard, hand, statuses

pytestmark = pytest.mark.anyio


class Undo(Exception):
    """Rolls a transaction back."""


ONE_BY_ONE = Capacity(runs=1, commands=1, grace_seconds=5)


async def test_high_runs_before_normal_before_low_and_older_before_younger(yard: Yard) -> None:
    async with yard.database.write() as tx:
        for name, queue in (("l1", Queue.LOW), ("n1", Queue.NORMAL), ("h1", Queue.HIGH)):
            await jobs.run_now(tx, yard.actor, (await yard.make_job(tx, name, queue=queue)).id)
        for name, queue in (("l2", Queue.LOW), ("n2", Queue.NORMAL), ("h2", Queue.HIGH)):
            await jobs.run_now(tx, yard.actor, (await yard.make_job(tx, name, queue=queue)).id)
    async with hand(yard, capacity=ONE_BY_ONE) as one:
        await eventually(lambda: len(one.stage.begun) == 6)
        assert one.stage.begun == ["h1", "h2", "n1", "n2", "l1", "l2"]


async def test_nothing_runs_before_its_time_and_soon_after_it(yard: Yard) -> None:
    job = await yard.job("a")
    async with hand(yard):
        async with yard.database.write() as tx:
            ident = await yard.make_execution(tx, job, available_at=tx.now + timedelta(seconds=0.4))
        done = await yard.becomes(ident, Status.SUCCESS, timeout=5)
    assert done.started_at is not None
    assert done.started_at >= done.available_at


async def test_eight_workers_begin_each_of_500_executions_once(yard: Yard) -> None:
    job = await yard.job("a")
    async with yard.database.write() as tx:
        waiting = [await yard.make_execution(tx, job) for _ in range(500)]
    ran: Counter[str] = Counter()

    async def script(run: Run, output: Output) -> Outcome:
        del output
        assert isinstance(run, HttpRun)
        ran[run.context["execution"]["id"]] += 1
        return SUCCEEDED

    async with AsyncExitStack() as stack:
        hands = [await stack.enter_async_context(hand(yard, Stage(script))) for _ in range(8)]

        async def all_over() -> bool:
            async with yard.database.read() as tx:
                _, done = await executions.page(tx, yard.actor, status=Status.SUCCESS, limit=1)
            return done == 500

        await eventually(all_over, 30)
        assert sum(len(each.stage.begun) for each in hands) == 500
    assert set(ran.values()) == {1}
    assert set(ran) == {str(ident) for ident in waiting}


async def test_a_claim_whose_manager_died_before_beginning_is_taken_over(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("a"))
    async with claimer(yard.database) as dead:
        assert ids(await dead.claim()) == [ident]
        async with hand(yard) as living:
            done = await yard.becomes(ident, Status.SUCCESS)
            assert done.worker_id == living.lease.id
            assert done.attempt == 1


async def test_what_is_cancelled_while_it_waits_never_runs(yard: Yard) -> None:
    job, other = await yard.job("a"), await yard.job("b")
    (cancelled,), (kept,) = await yard.run(job), await yard.run(other)
    async with yard.database.write() as tx:
        answer = await executions.cancel(tx, yard.actor, cancelled)
    assert answer.status is Status.CANCELLED
    async with hand(yard) as one:
        await yard.becomes(kept, Status.SUCCESS)
        assert one.stage.begun == ["b"]


async def test_what_is_cancelled_between_claim_and_beginning_never_runs(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("a"))
    async with claimer(yard.database) as one:
        await one.claim()
        async with yard.database.write() as tx:
            await executions.cancel(tx, yard.actor, ident)
        async with hand(yard) as working:
            async with yard.database.write() as tx:
                beginning = await attempts.begin(tx, yard.rules, working.lease.id, [ident])
            assert beginning.begun == []
            assert beginning.put_back == set()


async def test_what_is_cancelled_while_it_runs_is_stopped(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("hold"))
    async with hand(yard) as one:
        await eventually(lambda: one.stage.running)
        async with yard.database.write() as tx:
            answer = await executions.cancel(tx, yard.actor, ident, "enough")
        assert answer.status is Status.RUNNING
        done = await yard.becomes(ident, Status.CANCELLED)
        assert done.reason == "enough"
        assert one.stage.cancelled == ["hold"]
    assert len(await yard.attempts(ident)) == 1


async def test_nothing_begins_once_a_pause_is_acknowledged(yard: Yard) -> None:
    job = await yard.job("a")
    other = await yard.job("b", queue=Queue.HIGH)
    stop = asyncio.Event()
    asked: list[object] = []

    async def keep_asking() -> None:
        while not stop.is_set():
            asked.extend(await yard.run(job))
            await asyncio.sleep(0)

    async with hand(yard) as one, hand(yard):
        asking = asyncio.create_task(keep_asking())
        await eventually(lambda: len(one.stage.begun) >= 10)
        async with yard.database.write() as tx:
            await queues.pause(tx, yard.actor, Queue.NORMAL, "a test")
        acknowledged = yard.clock()
        more = len(asked) + 10
        await eventually(lambda: len(asked) >= more)
        stop.set()
        await asking
        (unhindered,) = await yard.run(other)
        await yard.becomes(unhindered, Status.SUCCESS)
        waiting = [each for each in await yard.of_job(job) if each.status is Status.QUEUED]
        assert len(waiting) >= 10
        assert latest_start(await yard.of_job(job)) <= acknowledged
        async with yard.database.write() as tx:
            await queues.resume(tx, yard.actor, Queue.NORMAL)

        async def all_over() -> bool:
            return set(statuses(await yard.of_job(job))) == {Status.SUCCESS}

        await eventually(all_over, 15)
        assert len(await yard.of_job(job)) == len(asked)


def latest_start(of: list[executions.Execution]) -> datetime:
    return max(each.started_at for each in of if each.started_at is not None)


async def test_a_row_claimed_while_its_queue_is_being_paused_is_put_back(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("a"))
    async with yard.database.write() as tx:
        await queues.pause(tx, yard.actor, Queue.NORMAL)
    async with hand(yard) as one:
        async with yard.database.write() as tx:
            beginning = await attempts.begin(tx, yard.rules, one.lease.id, [ident])
        assert beginning.begun == []
        assert beginning.put_back == {ident}
        async with yard.database.write() as tx:
            await queues.resume(tx, yard.actor, Queue.NORMAL)
        await yard.becomes(ident, Status.SUCCESS)


async def test_clearing_a_queue_cancels_what_waits_in_it_and_nothing_else(yard: Yard) -> None:
    job, other = await yard.job("a"), await yard.job("b", queue=Queue.LOW)
    cleared = await yard.run(job, 5)
    (kept,) = await yard.run(other)
    async with yard.database.write() as tx:
        assert await queues.clear(tx, yard.actor, Queue.NORMAL) == 5
    async with hand(yard) as one:
        await yard.becomes(kept, Status.SUCCESS)
        assert one.stage.begun == ["b"]
    for ident in cleared:
        assert (await yard.get(ident)).status is Status.CANCELLED


async def test_a_waiting_execution_moved_to_the_front_runs_first(yard: Yard) -> None:
    async with yard.database.write() as tx:
        made = [await yard.make_job(tx, name, queue=Queue.LOW) for name in ("a", "b", "c")]
        first, second, third = [(await jobs.run_now(tx, yard.actor, job.id)).id for job in made]
        moved = await executions.prioritise(tx, yard.actor, [third], Queue.HIGH)
        await executions.prioritise(tx, yard.actor, [first], Queue.LOW, -1)
    assert [each.queue for each in moved] == [Queue.HIGH]
    async with hand(yard, capacity=ONE_BY_ONE) as one:
        await yard.becomes(first, Status.SUCCESS)
        assert one.stage.begun == ["c", "b", "a"]
    assert (await yard.get(second)).queue is Queue.LOW


async def test_moving_out_of_a_paused_queue_lets_it_run(yard: Yard) -> None:
    (ident,) = await yard.run(await yard.job("a"))
    async with yard.database.write() as tx:
        await queues.pause(tx, yard.actor, Queue.NORMAL)
    async with hand(yard):
        async with yard.database.write() as tx:
            await executions.prioritise(tx, yard.actor, [ident], Queue.HIGH)
        await yard.becomes(ident, Status.SUCCESS)


async def test_what_is_rolled_back_never_runs(yard: Yard) -> None:
    job, other = await yard.job("a"), await yard.job("b")
    async with hand(yard) as one:
        with suppress(Undo):
            async with yard.database.write() as tx:
                await jobs.run_now(tx, yard.actor, job.id)
                raise Undo
        (kept,) = await yard.run(other)
        await yard.becomes(kept, Status.SUCCESS)
        assert one.stage.begun == ["b"]
    assert await yard.of_job(job) == []


async def test_commands_wait_for_a_slot_and_calls_do_not(yard: Yard) -> None:
    command = await yard.job("hold", Kind.COMMAND, rerun_on_crash=True)
    call = await yard.job("a")
    commands = await yard.run(command, 7)
    (behind,) = await yard.run(call)
    held = 0

    async with hand(yard, capacity=Capacity(runs=50, commands=2, grace_seconds=5)) as one:
        await yard.becomes(behind, Status.SUCCESS)
        await eventually(lambda: len(one.stage.running) == 2)
        held = len(one.stage.running)
        one.stage.finish("hold")
        for ident in commands:
            await yard.becomes(ident, Status.SUCCESS)
        assert one.stage.begun.count("hold") == 7
        assert one.stage.most_at_once <= 3
    assert held == 2


async def test_commands_without_a_slot_are_left_to_other_workers(yard: Yard) -> None:
    queued = await yard.run(await yard.job("hold", Kind.COMMAND), 5)
    capacity = Capacity(runs=50, commands=2, grace_seconds=5)
    async with hand(yard, capacity=capacity) as one, hand(yard, capacity=capacity) as other:
        await eventually(lambda: len(one.stage.running) == len(other.stage.running) == 2)
        async with yard.database.read() as tx:
            rows = await tx.connection.execute(
                text("SELECT dedupe_key, attempts FROM pgqueuer WHERE status = 'queued'")
            )
            # The last one waits, and was never claimed in vain.
            assert [tuple(row) for row in rows] == [(str(queued[-1]), 0)]
        one.stage.finish("hold")
        await yard.becomes(queued[-1], Status.SUCCESS)
        other.stage.finish("hold")


async def test_a_command_does_not_wait_for_a_backlog_of_calls(yard: Yard) -> None:
    await yard.run(await yard.job("call"), 400)
    (command,) = await yard.run(await yard.job("command", Kind.COMMAND))
    async with hand(yard) as one:
        await yard.becomes(command, Status.SUCCESS)
        await eventually(lambda: len(one.stage.begun) == 401)
        assert one.stage.begun.index("command") <= 300


async def test_a_held_execution_waits_for_the_one_before_it(yard: Yard) -> None:
    job = await yard.job("hold", schedule="0 0 1 1 *", overlap=Overlap.QUEUE)
    async with hand(yard) as one:
        for ago in (3, 2, 1):
            await yard.make_due(job, ago=ago)
            async with yard.database.write() as tx:
                assert (await clock.fire_due(tx)).count == 1
        await eventually(lambda: one.stage.running)
        first, second, third = await yard.of_job(job)
        assert statuses([second, third]) == [Status.QUEUED, Status.QUEUED]
        assert second.held
        assert third.held
        one.stage.finish("hold")
        for each in (first, second, third):
            await yard.becomes(each.id, Status.SUCCESS)
        assert one.stage.most_at_once == 1
        assert one.stage.begun == ["hold"] * 3


async def test_a_newer_due_time_replaces_the_running_one_when_asked_to(yard: Yard) -> None:
    job = await yard.job("hold", schedule="0 0 1 1 *", overlap=Overlap.CANCEL_PREVIOUS)
    async with hand(yard) as one:
        await yard.make_due(job, ago=2)
        async with yard.database.write() as tx:
            await clock.fire_due(tx)
        await eventually(lambda: one.stage.running)
        await yard.make_due(job, ago=1)
        async with yard.database.write() as tx:
            await clock.fire_due(tx)
        first, second = await yard.of_job(job)
        await yard.becomes(first.id, Status.CANCELLED)
        await yard.becomes(second.id, Status.RUNNING)
        one.stage.finish("hold")
        await yard.becomes(second.id, Status.SUCCESS)
        assert one.stage.most_at_once == 1


async def test_a_cancelled_held_execution_lets_the_next_one_go(yard: Yard) -> None:
    job = await yard.job("hold", schedule="0 0 1 1 *", overlap=Overlap.QUEUE)
    async with hand(yard) as one:
        for ago in (3, 2, 1):
            await yard.make_due(job, ago=ago)
            async with yard.database.write() as tx:
                await clock.fire_due(tx)
        await eventually(lambda: one.stage.running)
        first, second, third = await yard.of_job(job)
        async with yard.database.write() as tx:
            await executions.cancel(tx, yard.actor, second.id)
        one.stage.finish("hold")
        await yard.becomes(first.id, Status.SUCCESS)
        await yard.becomes(third.id, Status.SUCCESS)
        assert (await yard.get(second.id)).status is Status.CANCELLED
        assert one.stage.begun == ["hold"] * 2
