"""Migrations: up from nothing, up again with data in place, and the same tables as `store.tables` says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, TableClause, column, inspect, select, table, text, update

from taskyard.domain.errors import Conflict, Unavailable
from taskyard.services import calls, subscriptions
from taskyard.store import migrate
from taskyard.store.database import Database, Tx
from taskyard.store.queue.tables import engine_queue
from taskyard.store.vault import Vault
from tests.services.world import FakeClock, open_yard

pytestmark = pytest.mark.anyio

OURS = engine_queue.metadata


@pytest.fixture
async def empty(database_url: str, now: FakeClock) -> AsyncIterator[Database]:
    opened = Database(database_url, Vault("k"), clock=now)
    yield opened
    await opened.close()


def differences(connection: Connection) -> list[Any]:
    """What alembic would still change; on PostgreSQL the engine's tables are PgQueuer's affair."""

    def ours(thing: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        table = name if kind == "table" else getattr(getattr(thing, "table", None), "name", "")
        of_engine = (table or "").startswith("pgqueuer") and connection.dialect.name != "sqlite"
        # An index over an expression, which alembic cannot read back.
        return not of_engine and table != "alembic_version" and name != "ix_pgqueuer_order"

    context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": ours})
    return compare_metadata(context, OURS)


async def run(database: Database, ask: Callable[[Connection], Any]) -> Any:
    """Ask the database something that only has a blocking answer."""
    async with database.read() as tx:
        return await tx.connection.run_sync(ask)


async def back_to_the_first_version(tx: Tx) -> None:
    """Undo what migrations have done since, with what is in the tables."""
    undone = [
        "ALTER TABLE calls ADD COLUMN url VARCHAR(500)",
        "ALTER TABLE subscriptions ADD COLUMN url VARCHAR(2000)",
        "ALTER TABLE subscriptions RENAME COLUMN sealed TO sealed_secret",
        "UPDATE alembic_version SET version_num = '0001'",
        *(["DROP INDEX ix_pgqueuer_ready"] if tx.is_sqlite else []),
    ]
    for statement in undone:
        await tx.connection.execute(text(statement))
    await unseal(tx, table("calls", column("id"), column("url"), column("sealed")), lambda rest: rest)
    secrets = table("subscriptions", column("id"), column("url"), column("sealed_secret"))
    await unseal(tx, secrets, lambda rest: rest["secret"])


async def unseal(tx: Tx, where: TableClause, remaining: Callable[[dict[str, Any]], Any]) -> None:
    """Put the addresses back into a column of their own."""
    ident, url, sealed = where.c
    for key, together in (await tx.connection.execute(select(ident, sealed))).all():
        secrets = tx.vault.open(together)
        change = update(where).where(ident == key)
        facts = {url: secrets.pop("url"), sealed: tx.vault.seal(remaining(secrets))}
        await tx.connection.execute(change.values(facts))


async def test_an_empty_database_gets_all_tables(empty: Database) -> None:
    assert await migrate.pending(empty)
    await migrate.upgrade(empty)
    assert not await migrate.pending(empty)
    assert set(await run(empty, lambda connection: inspect(connection).get_table_names())) >= set(OURS.tables)
    assert await run(empty, differences) == []


async def test_migrating_again_changes_nothing_and_keeps_what_is_there(database: Database, now: FakeClock) -> None:
    yard = await open_yard(database, now)
    await yard.subscribe()
    queued = await yard.run_now(await yard.http_job())
    told = await yard.told()
    await migrate.upgrade(database)
    assert await yard.told() == told
    assert queued.id in await yard.tickets()
    assert await run(database, differences) == []
    await yard.end(queued.id)


async def test_a_database_of_the_first_version_is_brought_up_with_what_is_in_it(
    database: Database, now: FakeClock
) -> None:
    yard = await open_yard(database, now)
    job, subscription = await yard.http_job(), await yard.subscribe()
    queued = await yard.run_now(job)
    async with database.read() as tx:
        called = await calls.of_job(tx, yard.alice, job.id)
    async with database.write() as tx:
        await back_to_the_first_version(tx)
    assert await migrate.pending(database)
    await migrate.upgrade(database)
    assert not await migrate.pending(database)
    assert await run(database, differences) == []
    assert queued.id in await yard.tickets()
    async with database.read() as tx:
        assert await calls.of_job(tx, yard.alice, job.id) == called
        assert await subscriptions.get(tx, yard.alice, subscription.id) == subscription
    await yard.end(queued.id)


async def test_a_database_of_a_newer_version_is_left_alone(empty: Database) -> None:
    await migrate.upgrade(empty)
    async with empty.write() as tx:
        await tx.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for ask in (migrate.pending, migrate.upgrade):
        with pytest.raises(Conflict, match="made by a newer Taskyard") as refused:
            await ask(empty)
        assert refused.value.code == "DATABASE_NEWER"


async def test_processes_that_start_at_once_migrate_once(empty: Database, database_url: str) -> None:
    others = [Database(database_url, Vault("k")) for _ in range(3)]
    try:
        await asyncio.gather(*(migrate.upgrade(each) for each in (empty, *others)))
    finally:
        for other in others:
            await other.close()
    assert not await migrate.pending(empty)


async def test_a_migration_that_fails_leaves_nothing_behind(empty: Database) -> None:
    async with empty.write() as tx:
        await tx.connection.execute(text("CREATE TABLE subscriptions (id integer)"))
    with pytest.raises(Exception, match="already exists"):
        await migrate.upgrade(empty)
    tables = await run(empty, lambda connection: inspect(connection).get_table_names())
    assert set(tables) <= {"subscriptions", "alembic_version"}
    assert await migrate.pending(empty)


async def test_a_database_that_is_away_is_said_plainly() -> None:
    away = Database("postgresql+asyncpg://nobody:x@127.0.0.1:1/none", Vault("k"))
    try:
        with pytest.raises(Unavailable):
            await migrate.upgrade(away)
    finally:
        await away.close()
