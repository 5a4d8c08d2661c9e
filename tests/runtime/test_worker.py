"""A worker's manners: cancelling by hint and by poll, output, waiting out a database that is away or restarted."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from taskyard.domain.executions import Status
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Job, Kind
from taskyard.domain.runs import Outcome, Output, Run, Stream
from taskyard.runtime.patience import patiently
from taskyard.runtime.worker import CANCEL_POLL, Capacity
from taskyard.services import attempts, executions, jobs, outputs, workers
from taskyard.store.database import Tx
from taskyard.store.vault import Vault
from tests.processes import eventually
from tests.runtime.fixtures import ON_SQLITE
from tests.runtime.yards import SUCCEEDED, DeafBus, Stage, Yard, hand, open_yard, prepare, statuses
from tests.servers import PostgresServer, run_apart

pytestmark = pytest.mark.anyio


async def cancel_seconds(yard: Yard, stage: Stage) -> float:
    """From the acknowledged wish to the moment the runner is told."""
    (ident,) = await yard.run(await yard.job("hold"))
    await eventually(lambda: stage.running)
    async with yard.database.write() as tx:
        await executions.cancel(tx, yard.actor, ident)
    asked = asyncio.get_running_loop().time()
    await eventually(lambda: stage.cancelled)
    took = asyncio.get_running_loop().time() - asked
    await yard.becomes(ident, Status.CANCELLED)
    return took


async def test_a_hint_cancels_without_waiting_for_the_poll(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskyard.runtime.worker.CANCEL_POLL", 3600.0)
    async with hand(yard) as one:
        assert await cancel_seconds(yard, one.stage) < 10


async def test_without_hints_the_poll_cancels(yard: Yard) -> None:
    async with hand(yard, bus=DeafBus()) as one:
        assert await cancel_seconds(yard, one.stage) < CANCEL_POLL + 9


@ON_SQLITE
async def test_the_poll_outlives_whatever_the_database_answers(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("taskyard.runtime.worker.CANCEL_POLL", 0.05)
    ask = workers.cancel_requests
    asked: list[UUID] = []

    async def broken_at_first(tx: Tx, worker_id: UUID) -> Sequence[UUID]:
        asked.append(worker_id)
        if len(asked) == 1:
            raise RuntimeError("a lock was not to be had")
        return await ask(tx, worker_id)

    monkeypatch.setattr(workers, "cancel_requests", broken_at_first)
    async with hand(yard, bus=DeafBus()) as one:
        assert await cancel_seconds(yard, one.stage) < 10
    assert "asking for cancels failed" in caplog.text


async def test_what_a_run_prints_is_stored_before_it_is_over(yard: Yard) -> None:
    async def script(run: Run, output: Output) -> Outcome:
        del run
        await output.write(Stream.STDOUT, b"out\n")
        await output.write(Stream.STDERR, b"err\n")
        return SUCCEEDED

    async with hand(yard, Stage(script)):
        (ident,) = await yard.run(await yard.job("a"))
        await yard.becomes(ident, Status.SUCCESS)
        async with yard.database.read() as tx:
            reading = await outputs.read(tx, yard.actor, ident)
    assert reading.ended
    assert [(chunk.stream, chunk.content) for chunk in reading.chunks] == [
        (Stream.STDOUT, b"out\n"),
        (Stream.STDERR, b"err\n"),
    ]


@ON_SQLITE
async def test_a_runner_that_raises_ends_its_run(yard: Yard, caplog: pytest.LogCaptureFixture) -> None:
    async def script(run: Run, output: Output) -> Outcome:
        raise RuntimeError("a bug")

    async with hand(yard, Stage(script)):
        (ident,) = await yard.run(await yard.job("a"))
        ended = await yard.becomes(ident, Status.DEAD_LETTER)
    assert ended.error is not None
    assert "a bug" not in ended.error
    assert "a runner raised" in caplog.text


async def test_one_worker_runs_no_more_than_it_may(yard: Yard) -> None:
    calls = await yard.run(await yard.job("hold"), 8)
    commands = await yard.run(await yard.job("hold too", Kind.COMMAND), 4)
    async with hand(yard, capacity=Capacity(runs=5, commands=2, grace_seconds=5)) as one:
        await eventually(lambda: len(one.stage.running) == 5)
        assert one.stage.running.count("hold too") <= 2
        one.stage.finish("hold")
        one.stage.finish("hold too")
        for ident in [*calls, *commands]:
            await yard.becomes(ident, Status.SUCCESS, timeout=20)
        assert one.stage.most_at_once <= 5


async def test_a_worker_without_the_key_leaves_sealed_work_to_others(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskyard.runtime.worker._TROUBLED_AGAIN", timedelta(seconds=0.2))
    sealed = await yard.job("sealed")
    async with hand(yard, vault=Vault("another key, made on another machine")) as stranger:
        (ident,) = await yard.run(sealed)
        (open_one,) = await yard.run(await bare_job(yard))
        await yard.becomes(open_one, Status.DEAD_LETTER)
        assert (await yard.get(ident)).status is Status.QUEUED
        await stranger.retire()
    async with hand(yard):
        await yard.becomes(ident, Status.SUCCESS, timeout=30)


async def bare_job(yard: Yard) -> Job:
    """A job without calls: nothing of it is sealed."""
    async with yard.database.write() as tx:
        return await jobs.create(tx, yard.actor, Job(id=new_id(), tenant_id=yard.actor.tenant_id, name="bare"))


@pytest.fixture
def own_postgres(private_postgres: Callable[[], PostgresServer]) -> tuple[PostgresServer, str]:
    server = private_postgres()
    url = server.new_database()
    run_apart(prepare(url))
    return server, url


async def test_a_restarted_postgres_loses_nothing_and_work_goes_on(own_postgres: tuple[PostgresServer, str]) -> None:
    server, url = own_postgres
    async with open_yard(url) as yard, hand(yard) as one:
        call, command = await yard.job("hold"), await yard.job("hold too", Kind.COMMAND)
        (running,), (longer,) = await yard.run(call), await yard.run(command)
        await eventually(lambda: len(one.stage.running) == 2)
        waiting = await yard.run(await yard.job("a"), 20)
        await asyncio.to_thread(server.restart, "immediate")
        one.stage.finish("hold")
        one.stage.finish("hold too")
        for ident in (running, *waiting):
            assert (await yard.run_to_end(ident, 30))[-1].status is Status.SUCCESS
        assert statuses(await yard.run_to_end(longer, 30)) == [Status.SUCCESS]
        (later,) = await yard.run(call)
        assert statuses(await yard.run_to_end(later)) == [Status.SUCCESS]


async def test_what_ends_while_postgres_is_away_is_told_when_it_is_back(
    own_postgres: tuple[PostgresServer, str],
) -> None:
    server, url = own_postgres

    async def script(run: Run, output: Output) -> Outcome:
        await output.write(Stream.STDOUT, b"told later")
        return SUCCEEDED

    async with open_yard(url) as yard, hand(yard, Stage(script)) as one:
        (ident,) = await yard.run(await yard.job("hold", Kind.COMMAND))
        await eventually(lambda: one.stage.running)
        await asyncio.to_thread(server.stop, "immediate")
        one.stage.finish("hold")
        await eventually(lambda: not one.stage.running)
        await asyncio.to_thread(server.start)
        done = await yard.becomes(ident, Status.SUCCESS, timeout=30)
        async with yard.database.read() as tx:
            reading = await outputs.read(tx, yard.actor, done.id)
        assert [chunk.content for chunk in reading.chunks] == [b"told later"]


async def test_a_worker_stops_while_its_database_is_away(own_postgres: tuple[PostgresServer, str]) -> None:
    server, url = own_postgres
    async with open_yard(url) as yard:
        (ident,) = await yard.run(await yard.job("hold"))
        async with hand(yard, capacity=Capacity(grace_seconds=0.2)) as one:
            await eventually(lambda: one.stage.running)
            await asyncio.to_thread(server.stop, "immediate")
            await one.retire()
            assert one.stage.running == []
        await asyncio.to_thread(server.start)
        stage = Stage()
        stage.finish("hold")
        async with hand(yard, stage) as other:
            yard.clock.advance(yard.rules.lease_seconds * 2)

            async def reap() -> int:
                async with yard.database.write() as tx:
                    return await attempts.reap(tx, yard.rules, other.lease.id)

            assert await patiently(reap) == 1
            yard.clock.advance(-yard.rules.lease_seconds * 2)
            assert (await yard.run_to_end(ident, 20))[-1].status is Status.SUCCESS
