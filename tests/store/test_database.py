"""Transactions: all or nothing, writers in turn, hints after commit."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from taskyard.domain.errors import Unavailable
from taskyard.domain.hints import Hint, QueuesChanged, WorkQueued
from taskyard.store.columns import from_micros, to_micros
from taskyard.store.database import Database
from taskyard.store.queue.engine import open_repository
from taskyard.store.tables import queues, revoked_tokens
from taskyard.store.vault import Vault
from tests.servers import PostgresServer
from tests.services.world import FakeClock

pytestmark = pytest.mark.anyio

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


async def names(database: Database) -> set[str]:
    """The queues that have a row."""
    async with database.read() as tx:
        return set((await tx.connection.execute(select(queues.c.name))).scalars())


async def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    async with database.write() as tx:
        await tx.connection.execute(insert(queues).values(name="kept"))
    with suppress(RuntimeError):
        async with database.write() as tx:
            await tx.connection.execute(insert(queues).values(name="lost"))
            raise RuntimeError
    assert await names(database) == {"kept"}


async def test_a_cancelled_transaction_is_rolled_back_and_the_next_one_goes_on(database: Database) -> None:
    inside = asyncio.Event()

    async def hang() -> None:
        async with database.write() as tx:
            await tx.connection.execute(insert(queues).values(name="lost"))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await inside.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    async with database.write() as tx:
        await tx.connection.execute(insert(queues).values(name="kept"))
    assert await names(database) == {"kept"}


async def test_a_broken_constraint_stays_what_it_is(database: Database) -> None:
    async def add() -> None:
        async with database.write() as tx:
            await tx.connection.execute(insert(queues).values(name="one"))

    await add()
    with pytest.raises(IntegrityError) as broken:
        await add()
    assert "hide_parameters" in str(broken.value), "what was to be stored is nobody's to read in a log"


@pytest.mark.parametrize("migrated_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout"])
async def test_what_takes_postgresql_too_long_may_well_succeed_later(database: Database, limit: str) -> None:
    async def wait_a_little_for_the_lock() -> None:
        async with database.write() as other:
            await other.connection.execute(text(f"SET LOCAL {limit} = '10ms'"))
            await other.connection.execute(text("LOCK TABLE queues"))

    async with database.write() as tx:
        await tx.connection.execute(text("LOCK TABLE queues"))
        with pytest.raises(Unavailable):
            await wait_a_little_for_the_lock()


async def test_many_writers_wait_for_each_other(database: Database) -> None:
    async def count() -> None:
        async with database.write() as tx:
            await tx.connection.execute(text("UPDATE queues SET paused_reason = paused_reason || 'x'"))

    async with database.write() as tx:
        await tx.connection.execute(insert(queues).values(name="one", paused_reason=""))
    await asyncio.gather(*(count() for _ in range(50)))
    async with database.read() as tx:
        assert (await tx.connection.execute(select(queues.c.paused_reason))).scalar_one() == "x" * 50


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
async def test_a_writer_waits_for_its_turn_no_longer_than_for_another_process(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskyard.store.database.BUSY_TIMEOUT_MS", 20)

    async def add(name: str) -> None:
        async with database.write() as tx:
            await tx.connection.execute(insert(queues).values(name=name))

    async with database.write():
        with pytest.raises(Unavailable):
            await add("too long")
    await add("in time")
    assert await names(database) == {"in time"}


async def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    async with database.write() as tx:
        await tx.connection.execute(insert(queues).values(name="new"))
        assert await names(database) == set()
    assert await names(database) == {"new"}


async def test_hints_are_told_once_after_commit_to_whoever_listens(database: Database) -> None:
    heard: list[Sequence[Hint]] = []

    def broken(_hints: Sequence[Hint]) -> None:
        raise RuntimeError

    with database.listening(broken), database.listening(heard.append):
        async with database.write() as tx:
            for hint in (WorkQueued(), QueuesChanged(), WorkQueued()):
                tx.hint(hint)
            assert heard == []
        with suppress(RuntimeError):
            async with database.write() as tx:
                tx.hint(WorkQueued())
                raise RuntimeError
        async with database.write():
            pass
    async with database.write() as tx:
        tx.hint(WorkQueued())
    assert heard == [(WorkQueued(), QueuesChanged())]


async def test_a_transaction_has_one_moment(database: Database, now: FakeClock) -> None:
    async with database.write() as tx:
        began = tx.now
        now.advance(minutes=1)
        assert tx.now == began
    async with database.read() as tx:
        assert tx.now == began + timedelta(minutes=1)


@given(moment=MOMENTS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_times_come_back_exactly(database: Database, moment: datetime) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(hours=-5, minutes=-30)))
    async with database.write() as tx:
        await tx.connection.execute(revoked_tokens.delete())
        await tx.connection.execute(insert(revoked_tokens).values(jti="t", expires_at=elsewhere))
    async with database.read() as tx:
        found = (await tx.connection.execute(select(revoked_tokens.c.expires_at))).scalar_one()
    assert (found, found.tzinfo) == (moment, UTC)


@given(MOMENTS)
def test_microseconds_are_exact(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment


async def test_a_time_without_a_zone_is_a_bug_and_said_so(database: Database) -> None:
    async def write() -> None:
        async with database.write() as tx:
            naive = datetime(2026, 1, 1)  # noqa: DTZ001
            await tx.connection.execute(insert(revoked_tokens).values(jti="t", expires_at=naive))

    with pytest.raises(Exception, match="a time without a zone"):
        await write()


async def test_the_engine_connects_with_the_encryption_that_the_address_asks_for(
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.new_database()
    without = Database(f"{url}?ssl=disable", Vault("k"))
    async with without.read() as tx, open_repository(without):
        assert (await tx.connection.execute(text("SELECT 1"))).scalar() == 1
    await without.close()
    with_ = Database(f"{url}?ssl=require", Vault("k"))
    with pytest.raises(Unavailable) as refused:
        async with open_repository(with_):
            pass
    assert "SSL" in str(refused.value.__cause__)
    await with_.close()
    postgres_server.drop_database(url)
