"""Opening the engine's repository for one life of a `QueueManager`.

PgQueuer's connections are not made again after a database restart (its issue 224), so a worker opens a fresh
repository each time it starts a manager and lets go of it when the manager ends.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.ports import RepositoryPort
from sqlalchemy.engine import make_url

from taskyard.domain.errors import Unavailable
from taskyard.store.database import Database
from taskyard.store.queue.sqlite import SqliteRepository

POOL_SIZE = 4


@asynccontextmanager
async def open_repository(database: Database) -> AsyncGenerator[RepositoryPort]:
    """The engine's repository over `database`. Raises `Unavailable` when the database is away."""
    if database.is_sqlite:
        repository = SqliteRepository(database)
        with database.listening(repository.wake):
            watching = asyncio.create_task(repository.watch_others())
            try:
                yield cast("RepositoryPort", repository)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        return
    try:
        pool: Any = await asyncpg.create_pool(  # pyright: ignore[reportUnknownMemberType]
            plain_dsn(database.url), min_size=POOL_SIZE, max_size=POOL_SIZE
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable("The database is away") from error
    try:
        yield Queries.from_asyncpg_pool(pool)
    finally:
        pool.terminate()


def plain_dsn(url: str) -> str:
    """`url` as libpq and asyncpg spell it: without SQLAlchemy's driver name, and with `sslmode`."""
    address = make_url(url)
    query = {"sslmode" if name == "ssl" else name: value for name, value in address.query.items()}
    return address.set(drivername="postgresql", query=query).render_as_string(hide_password=False)
