"""Bringing a database up to this version's schema. Migrations only go forward; a landed one is never edited."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from taskyard.store.database import Database

# Any number no other program locks; two processes that start at once must not migrate at once.
_LOCK = 0x7A5C_1A4D


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


async def upgrade(database: Database) -> None:
    """Apply all outstanding migrations and, on PostgreSQL, the engine's own schema. Safe to run at any time."""
    async with database.write() as tx:
        if not tx.is_sqlite:
            await tx.connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        await tx.connection.run_sync(_run)
        if not tx.is_sqlite:
            await _upgrade_engine(tx.connection)


async def pending(database: Database) -> bool:
    """Whether the schema is older than this program."""
    async with database.read() as tx:
        current = await tx.connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    return current != ScriptDirectory.from_config(_config()).get_current_head()


def _run(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def _upgrade_engine(connection: AsyncConnection) -> None:
    raw = await connection.get_raw_connection()
    queries = Queries(AsyncpgDriver(raw.driver_connection))  # pyright: ignore[reportArgumentType]
    if await queries.schema_is_installed():
        await queries.upgrade()
    else:
        await queries.install()
