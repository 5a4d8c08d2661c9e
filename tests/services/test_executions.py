"""Executions: begun once, fenced, finished, retried, cancelled, lost."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from taskyard.domain.errors import Conflict, Invalid
from taskyard.domain.executions import Execution, Status, Trigger
from taskyard.domain.ids import new_id
from taskyard.domain.queues import Queue
from taskyard.domain.retries import RetryPolicy
from taskyard.domain.runs import Cause, CommandRun, HttpRun, Outcome, Verdict
from taskyard.services import accounts, attempts, executions, jobs, workers
from tests.services.world import EVERY_MINUTE, GOOD, REFUSED, Yard

pytestmark = pytest.mark.anyio


async def running(yard: Yard, **fields: Any) -> tuple[Execution, Any]:
    """An execution that runs, and its worker."""
    queued = await yard.run_now(await yard.http_job(**fields))
    worker = await yard.worker()
    [begun] = await yard.begin(worker, [queued.id])
    return begun.execution, worker


async def cancel(yard: Yard, execution: Execution, reason: str | None = None) -> Execution:
    """Alice cancels."""
    async with yard.database.write() as tx:
        return await executions.cancel(tx, yard.alice, execution.id, reason)


async def test_a_good_run_from_end_to_end(yard: Yard) -> None:
    job = await yard.http_job()
    seen = len(await yard.told())
    queued = await yard.run_now(job)
    yard.now.advance(seconds=1)
    worker = await yard.worker()
    [begun] = await yard.begin(worker, [queued.id])
    assert isinstance(begun.run, HttpRun)
    assert (begun.execution.status, begun.execution.started_at) == (Status.RUNNING, yard.now.at)
    yard.now.advance(seconds=2.5)
    outcome = Outcome(Verdict.SUCCEEDED, response_code=204, result={"calls": [{"code": 204}]})
    assert await yard.finish(worker, begun.execution, outcome)
    done = await yard.execution(queued.id)
    assert (done.status, done.duration_ms, done.finished_at) == (Status.SUCCESS, 2500, yard.now.at)
    assert (done.response_code, done.result, done.worker_id) == (204, {"calls": [{"code": 204}]}, worker)
    assert await yard.told(after=seen) == ["execution.queued", "execution.started", "execution.succeeded"]
    assert await yard.history(job) == [replace(done, result={})], "a list leaves out what may be megabytes"


async def test_of_many_workers_one_begins(yard: Yard) -> None:
    queued = [await yard.run_now(await yard.http_job()) for _ in range(5)]
    ids = [each.id for each in queued]
    who = [await yard.worker() for _ in range(6)]
    begun = await asyncio.gather(*(yard.begin(worker, ids) for worker in who))
    assert sorted(each.execution.id for some in begun for each in some) == sorted(ids)
    assert (await yard.told()).count("execution.started") == 5


async def test_what_is_no_longer_queued_is_left_out_quietly(yard: Yard) -> None:
    cancelled = await yard.run_now(await yard.http_job())
    await cancel(yard, cancelled)
    async with yard.database.write() as tx:
        beginning = await attempts.begin(tx, yard.rules, new_id(), [cancelled.id, new_id()])
    assert (beginning.begun, beginning.put_back) == ([], set())


async def test_a_retry_is_a_new_row_of_the_same_run(yard: Yard) -> None:
    job = await yard.http_job(schedule=EVERY_MINUTE, priority=3, retry=RetryPolicy(attempts=2, jitter=0))
    yard.now.advance(minutes=1)
    await yard.fire()
    [first] = await yard.history(job)
    failed = await yard.end(first.id, REFUSED)
    assert (failed.status, failed.dead, failed.error) == (Status.FAILURE, False, "connection refused")
    again = (await yard.history(job))[-1]
    assert (again.run_id, again.attempt, again.due_at) == (first.id, 2, first.due_at)
    assert (again.trigger, again.priority) == (Trigger.SCHEDULE, 3)
    assert again.available_at == yard.now.at + timedelta(seconds=60)
    assert again.id in await yard.tickets()
    told = next(event for event in await yard.events() if event.type == "execution.failed")
    assert (told.data["next_execution_id"], told.execution_id) == (str(again.id), first.id)
    dead = await yard.end(again.id, REFUSED)
    assert (dead.status, dead.dead, dead.reason) == (Status.DEAD_LETTER, True, "failed 2 of 2 attempts")
    assert (await yard.told())[-1] == "execution.dead_lettered"


async def test_a_worker_without_the_execution_writes_nothing(yard: Yard) -> None:
    execution, worker = await running(yard)
    stranger = await yard.worker()
    assert not await yard.finish(stranger, execution)
    assert (await yard.execution(execution.id)).status is Status.RUNNING
    assert await yard.finish(worker, execution)
    assert not await yard.finish(worker, execution, REFUSED), "said twice"
    assert (await yard.execution(execution.id)).status is Status.SUCCESS


async def test_two_words_at_once_are_heard_once(yard: Yard) -> None:
    execution, worker = await running(yard)
    heard = await asyncio.gather(*(yard.finish(worker, execution, REFUSED) for _ in range(4)))
    assert sorted(heard) == [False, False, False, True]
    assert len(await yard.history_of(execution.run_id)) == 2


async def test_a_lost_worker_is_given_up_and_its_word_counts_no_more(yard: Yard) -> None:
    execution, worker = await running(yard)
    yard.now.advance(seconds=14)
    assert await yard.reap() == 0
    async with yard.database.write() as tx:
        assert await workers.renew(tx, worker, 15)
    yard.now.advance(seconds=14)
    assert await yard.reap() == 0
    yard.now.advance(seconds=2)
    assert sum(await asyncio.gather(*(yard.reap() for _ in range(3)))) == 1
    assert not await yard.finish(worker, execution)
    async with yard.database.write() as tx:
        assert not await workers.renew(tx, worker, 15)
        assert await workers.alive(tx) == []
    lost, again = await yard.history_of(execution.run_id)
    assert (lost.status, lost.reason, again.attempt) == (Status.FAILURE, "worker lost", 2)
    assert (again.available_at, again.id in await yard.tickets()) == (yard.now.at, True)


async def test_a_job_that_kills_each_worker_ends_as_a_dead_letter(yard: Yard) -> None:
    current = await yard.run_now(await yard.http_job(retry=RetryPolicy(attempts=1)))
    for _ in range(3):
        worker = await yard.worker()
        await yard.begin(worker, [current.id])
        yard.now.advance(seconds=16)
        assert await yard.reap() == 1
        current = (await yard.history_of(current.run_id))[-1]
    assert (current.status, current.attempt, current.reason) == (Status.DEAD_LETTER, 3, "worker lost")
    assert current.dead


async def test_commands_of_a_lost_worker_are_started_again_only_when_asked(yard: Yard) -> None:
    for rerun, count in ((None, 1), (True, 2)):
        queued = await yard.run_now(await yard.command_job(rerun_on_crash=rerun))
        worker = await yard.worker()
        [begun] = await yard.begin(worker, [queued.id])
        assert isinstance(begun.run, CommandRun)
        yard.now.advance(seconds=16)
        await yard.reap()
        assert len(await yard.history_of(queued.run_id)) == count


async def test_several_lost_workers_are_given_up_at_once(yard: Yard) -> None:
    taken = [await running(yard) for _ in range(3)]
    yard.now.advance(seconds=16)
    assert await yard.reap() == 3
    for execution, _ in taken:
        assert (await yard.execution(execution.id)).status is Status.FAILURE


async def test_a_worker_that_stops_in_good_order_gives_back(yard: Yard) -> None:
    execution, worker = await running(yard)
    async with yard.database.write() as tx:
        await attempts.retire(tx, yard.rules, worker)
    first, again = await yard.history_of(execution.run_id)
    assert (first.status, again.status) == (Status.FAILURE, Status.QUEUED)
    assert await yard.reap() == 0


async def test_cancelling_what_waits_ends_it_at_once(yard: Yard) -> None:
    queued = await yard.run_now(await yard.http_job())
    cancelled = await cancel(yard, queued)
    assert (cancelled.status, cancelled.finished_at) == (Status.CANCELLED, yard.now.at)
    assert cancelled.reason == f"cancelled by {yard.alice.name}"
    assert await yard.tickets() == set()
    assert (await yard.events())[-1].actor == yard.alice.name
    with pytest.raises(Conflict) as caught:
        await cancel(yard, queued)
    assert caught.value.code == "EXECUTION_OVER"


async def test_cancelling_what_runs_asks_its_worker(yard: Yard) -> None:
    execution, worker = await running(yard)
    asked = await cancel(yard, execution, "enough")
    assert (asked.status, asked.cancel_requested_at) == (Status.RUNNING, yard.now.at)
    async with yard.database.read() as tx:
        assert await workers.cancel_requests(tx, worker) == [execution.id]
        assert await workers.cancel_requests(tx, new_id()) == []
    assert await yard.finish(worker, execution, Outcome(Verdict.CANCELLED, Cause.CANCELLED, "killed"))
    done = await yard.execution(execution.id)
    assert (done.status, done.reason, done.dead) == (Status.CANCELLED, "enough", False)
    assert len(await yard.history_of(execution.run_id)) == 1


async def test_a_lost_worker_of_a_cancelled_run_is_not_replaced(yard: Yard) -> None:
    execution, _ = await running(yard)
    await cancel(yard, execution)
    yard.now.advance(seconds=16)
    await yard.reap()
    assert [each.status for each in await yard.history_of(execution.run_id)] == [Status.CANCELLED]


async def test_cancel_and_begin_at_once_leave_no_orphan(yard: Yard) -> None:
    for _ in range(5):
        queued = await yard.run_now(await yard.http_job())
        worker = await yard.worker()
        _, begun = await asyncio.gather(cancel(yard, queued), yard.begin(worker, [queued.id]))
        after = await yard.execution(queued.id)
        if begun:
            assert after.cancel_requested_at is not None
        else:
            assert after.status is Status.CANCELLED


async def test_what_a_deleted_job_left_queued_is_cancelled_when_begun(yard: Yard) -> None:
    job = await yard.http_job()
    old = await yard.end((await yard.run_now(job)).id)
    async with yard.database.write() as tx:
        await jobs.delete(tx, yard.alice, job.id)
        again = await executions.retry(tx, yard.alice, old.id)
    [begun] = await yard.begin(await yard.worker(), [again.id])
    assert isinstance(begun.run, Outcome)
    assert begun.run.verdict is Verdict.CANCELLED


async def test_commands_of_a_tenant_that_lost_the_permission_do_not_run(yard: Yard) -> None:
    queued = await yard.run_now(await yard.command_job())
    async with yard.database.write() as tx:
        await accounts.allow_commands(tx, yard.alice, yard.alice.tenant_id, allowed=False)
    [begun] = await yard.begin(await yard.worker(), [queued.id])
    assert isinstance(begun.run, Outcome)
    assert begun.run.cause is Cause.NOT_RUNNABLE


async def test_a_job_without_a_call_is_not_runnable(yard: Yard) -> None:
    queued = await yard.run_now(await yard.job())
    [begun] = await yard.begin(await yard.worker(), [queued.id])
    assert begun.run == Outcome.failed(Cause.NOT_RUNNABLE, "job has no webhook")


async def test_running_again_is_a_new_run(yard: Yard) -> None:
    done = await yard.end((await yard.run_now(await yard.http_job(priority=4))).id)
    async with yard.database.write() as tx:
        again = await executions.retry(tx, yard.alice, done.id)
    assert (again.trigger, again.replay_of, again.attempt) == (Trigger.REPLAY, done.id, 1)
    assert (again.run_id, again.priority) == (again.id, 4)
    assert again.id in await yard.tickets()
    with pytest.raises(Conflict) as caught:
        async with yard.database.write() as tx:
            await executions.retry(tx, yard.alice, again.id)
    assert caught.value.code == "EXECUTION_ACTIVE"


async def test_priorities_of_what_waits_can_be_changed(yard: Yard) -> None:
    waiting = await yard.run_now(await yard.http_job())
    started, _ = await running(yard)
    async with yard.database.write() as tx:
        moved = await executions.prioritise(tx, yard.alice, [waiting.id, started.id, new_id()], Queue.HIGH, 9)
        with pytest.raises(Invalid):
            await executions.prioritise(tx, yard.alice, [waiting.id], Queue.HIGH, 51)
        with pytest.raises(Invalid, match="queue must be one of high, normal, low"):
            await executions.prioritise(tx, yard.alice, [waiting.id], Queue.DELIVERIES)
    assert [each.id for each in moved] == [waiting.id]
    after = await yard.execution(waiting.id)
    assert (after.queue, after.priority) == (Queue.HIGH, 9)
    assert (await yard.execution(started.id)).queue is Queue.NORMAL


async def test_what_the_engine_lost_is_given_to_it_again(yard: Yard) -> None:
    queued = await yard.run_now(await yard.http_job())
    async with yard.database.write() as tx:
        await tx.connection.execute(text("DELETE FROM pgqueuer"))
    yard.now.advance(seconds=61)
    for found in (1, 0):
        async with yard.database.write() as tx:
            assert await attempts.reissue(tx) == found
    assert await yard.tickets() == {queued.id}
    assert await yard.end(queued.id, GOOD)


@pytest.mark.parametrize("said", ["nul \0 inside", "half a character \ud800"])
async def test_whatever_a_program_says_can_be_stored(yard: Yard, said: str) -> None:
    queued = await yard.run_now(await yard.http_job())
    done = await yard.end(queued.id, Outcome.failed(Cause.NOT_RUNNABLE, said, result={"body": said, said: [said]}))
    assert done.status is Status.DEAD_LETTER
    assert "\0" not in (done.error or "")
    assert (await yard.told())[-1] == "execution.dead_lettered"


@pytest.mark.parametrize("reason", ["nul \0", "\ud800"])
async def test_a_reason_no_database_could_hold_is_refused(yard: Yard, reason: str) -> None:
    queued = await yard.run_now(await yard.http_job())
    with pytest.raises(Invalid):
        await cancel(yard, queued, reason)
