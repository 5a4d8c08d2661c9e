"""Bringing a database up to this version's schema. Migrations only go forward; a landed one is never edited."""

from pathlib import Path

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from taskyard.domain.errors import Conflict
from taskyard.store.database import Database
from taskyard.store.vault import Vault

# Any number no other program locks; two processes that start at once must not migrate at once.
_LOCK = 0x7A5C_1A4D
_MIGRATIONS = Path(__file__).parent / "migrations"


async def upgrade(database: Database) -> None:
    """Apply all outstanding migrations and, on PostgreSQL, the engine's own schema. Safe to run at any time.

    A database that is up to date is only read: commands run beside a server and must not make it wait. Raises as
    `pending` does.
    """
    if not await pending(database):
        return
    async with database.write() as tx:
        if not tx.is_sqlite:
            await tx.connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        await tx.connection.run_sync(_run, tx.vault)
        if not tx.is_sqlite:
            await _upgrade_engine(tx.connection)


async def pending(database: Database) -> bool:
    """Whether the schema is older than this program or the engine in it.

    Asked at every start of every command, so it reads one row itself and leaves Alembic unloaded. Raises `Conflict`,
    code DATABASE_NEWER, for one that a later version has migrated.
    """
    known = _versions()
    async with database.read() as tx:
        revision = await tx.connection.run_sync(_revision)
        if revision is not None and revision not in known:
            raise Conflict(
                f"This database was made by a newer Taskyard (its schema is {revision}, this program knows "
                f"{known[-1]}): install that version, or use another database",
                code="DATABASE_NEWER",
            )
        if revision != known[-1]:
            return True
        return not tx.is_sqlite and await _engine_outdated(tx.connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _versions() -> list[str]:
    """Migrations are numbered in a row: the highest number, the last, is the head."""
    return sorted(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _run(connection: Connection, vault: Vault) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes |= {"connection": connection, "vault": vault}
    command.upgrade(config, "head")


async def _upgrade_engine(connection: AsyncConnection) -> None:
    queries = await _engine(connection)
    if await queries.schema_is_installed():
        await queries.upgrade()
    else:
        await queries.install()


async def _engine_outdated(connection: AsyncConnection) -> bool:
    queries = await _engine(connection)
    return not await queries.schema_is_installed() or bool((await queries.plan_upgrade()).statements)


async def _engine(connection: AsyncConnection) -> Queries:
    raw = await connection.get_raw_connection()
    return Queries(AsyncpgDriver(raw.driver_connection))  # pyright: ignore[reportArgumentType]
