"""Retention: old history goes in bites, what is under way stays."""

import pytest
from sqlalchemy import text

from taskyard.domain.events import Fact
from taskyard.domain.runs import Stream
from taskyard.services import events, logins, outputs, retention, workers
from taskyard.services.outputs import Chunk
from tests.services.world import Yard

pytestmark = pytest.mark.anyio


async def prune(yard: Yard) -> bool:
    """One bite."""
    async with yard.database.write() as tx:
        return await retention.prune(tx, yard.rules)


async def count(yard: Yard, table: str) -> int:
    """The rows of a table."""
    async with yard.database.read() as tx:
        return (await tx.connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()  # noqa: S608


async def test_old_executions_go_with_their_output_and_active_ones_stay(yard: Yard) -> None:
    job = await yard.http_job()
    old, waiting, running = [await yard.run_now(job) for _ in range(3)]
    async with yard.database.write() as tx:
        await outputs.append(tx, [Chunk(old.id, old.tenant_id, 0, Stream.STDOUT, b"x")])
    await yard.end(old.id)
    await yard.begin(await yard.worker(lease_seconds=10**8), [running.id])
    yard.now.advance(days=89)
    recent = await yard.end((await yard.run_now(job)).id)
    assert not await prune(yard)
    assert await count(yard, "executions") == 4
    yard.now.advance(days=2)
    assert not await prune(yard)
    assert {each.id for each in await yard.history(job)} == {waiting.id, running.id, recent.id}
    assert await count(yard, "outputs") == 0
    assert waiting.id in await yard.tickets()


async def test_old_events_go_and_their_numbers_are_not_used_again(yard: Yard) -> None:
    await yard.job()
    yard.now.advance(days=91)
    await prune(yard)
    assert await yard.events() == []
    await yard.job()
    assert [event.seq for event in await yard.events()] == [2]


async def test_credentials_that_have_run_out_go(yard: Yard) -> None:
    assert yard.alice.user_id is not None
    async with yard.database.write() as tx:
        await logins.begin(tx, yard.alice.user_id)
    await prune(yard)
    assert await count(yard, "login_sessions") == 1
    yard.now.advance(seconds=logins.LIFETIME.total_seconds() + 1)
    await prune(yard)
    assert await count(yard, "login_sessions") == 0


async def test_there_is_more_to_do_while_bites_are_full(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BITE", 4)
    async with yard.database.write() as tx:
        await events.append(tx, [Fact(yard.alice.tenant_id, "system.alert")] * 10)
    yard.now.advance(days=91)
    assert [await prune(yard) for _ in range(4)] == [True, True, False, False]
    assert await yard.events() == []


async def test_processes_long_over_are_forgotten(yard: Yard) -> None:
    ended, alive = await yard.worker(), await yard.worker(lease_seconds=10**6)
    async with yard.database.write() as tx:
        await workers.end(tx, ended, "stopped")
    yard.now.advance(hours=23)
    await prune(yard)
    assert await count(yard, "workers") == 2
    yard.now.advance(hours=2)
    await prune(yard)
    async with yard.database.read() as tx:
        assert [row.id for row in await workers.alive(tx)] == [alive]
    assert await count(yard, "workers") == 1
