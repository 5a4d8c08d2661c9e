"""The database: connections, two kinds of transactions, hints after commit.

SQLite has one writer: writes of this process queue up on one connection (`BEGIN IMMEDIATE`) instead of meeting as
"database is locked"; reads have their own connections and, under WAL, wait for nobody. PostgreSQL has one pool.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
from sqlalchemy import Connection, Executable, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from taskyard.domain.errors import Unavailable
from taskyard.domain.hints import Hint
from taskyard.store import sqlite_driver
from taskyard.store.vault import Vault

_log = logging.getLogger(__name__)

BUSY_TIMEOUT_MS = 10_000
POOL_SIZE = 10
_PASSING = ("08", "40", "53", "57P", "57014", "55P03")
"""SQLSTATEs: connection lost, rolled back (deadlock), out of resources (disk full), shutting down, out of time."""


@dataclass(slots=True)
class Tx:
    """One transaction. `now` is its moment; `hint` whispers something to others once it is committed."""

    connection: AsyncConnection
    vault: Vault
    now: datetime
    hints: dict[Hint, None] = field(default_factory=dict[Hint, None])

    @property
    def is_sqlite(self) -> bool:
        """Which of the two dialects this is; only the engine and the locks differ."""
        return self.connection.dialect.name == "sqlite"

    def hint(self, hint: Hint) -> None:
        """Tell `hint` after commit; said twice, told once."""
        self.hints[hint] = None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _Standing:
    """The only connection of an engine, checked out for good as nobody else wants it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._turn = asyncio.Lock()

    async def get(self) -> AsyncConnection:
        """The connection, opened when there is none or it was lost."""
        async with self._turn:
            if self._connection is None or self._connection.closed or self._connection.invalidated:
                self._connection = await self._engine.connect()
            return self._connection

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        await self._engine.dispose()


class Database:
    """Opens transactions. `clock` gives each its `now`."""

    def __init__(
        self,
        url: str,
        vault: Vault,
        *,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.url = url
        self.vault = vault
        self.clock = clock
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self._listeners: list[Callable[[Sequence[Hint]], None]] = []
        if self.is_sqlite:
            self._pool = _sqlite_engine(url, "BEGIN", POOL_SIZE)
            self._writer = _Standing(_sqlite_engine(url, "BEGIN IMMEDIATE", 1, prompt=True))
            self._asker = _Standing(_sqlite_engine(url, None, 1, prompt=True))
        else:
            self._pool = _postgres_engine(url)
            self._writer = self._asker = None
        self._turn = asyncio.Lock() if self.is_sqlite else None

    @contextmanager
    def listening(self, on_commit: Callable[[Sequence[Hint]], None]) -> Generator[None]:
        """Call `on_commit` with the hints of every transaction committed within the block."""
        self._listeners.append(on_commit)
        try:
            yield
        finally:
            self._listeners.remove(on_commit)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[Tx]:
        """A consistent view that writes nothing. Raises `Unavailable` when the database is away."""
        with _spoken_plainly():
            async with self._pool.connect() as connection:
                yield Tx(connection, self.vault, self.clock())

    async def ask(self, statement: Executable, facts: Mapping[str, Any]) -> Any:
        """The single value that one reading statement finds at once, by an index: `read` costs more trips."""
        with _spoken_plainly():
            if self._asker is not None:
                return (await (await self._asker.get()).execute(statement, facts)).scalar()
            async with self._pool.connect() as connection:
                return (await connection.execute(statement, facts)).scalar()

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[Tx]:
        """All or nothing: commits at the end of the block, rolls back when it raises."""
        with _spoken_plainly():
            async with self._own_turn(), self._writing() as connection:
                tx = Tx(connection, self.vault, self.clock())
                yield tx
        self._tell(tuple(tx.hints))

    @asynccontextmanager
    async def _own_turn(self) -> AsyncGenerator[None]:
        """SQLite has one writer: the others wait here, no longer than for a writer of another process."""
        if self._turn is None:
            yield
            return
        async with asyncio.timeout(BUSY_TIMEOUT_MS / 1000):
            await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction on a connection to write on."""
        if self._writer is None:
            async with self._pool.begin() as connection:
                yield connection
            return
        connection = await self._writer.get()
        async with connection.begin():
            yield connection

    async def close(self) -> None:
        """Close all connections."""
        for standing in (self._writer, self._asker):
            if standing is not None:
                await standing.close()
        await self._pool.dispose()

    def _tell(self, hints: Sequence[Hint]) -> None:
        if not hints:
            return
        for listener in tuple(self._listeners):
            try:
                listener(hints)
            except Exception:
                _log.exception("a listener failed on hints after commit")


@contextmanager
def _spoken_plainly() -> Generator[None]:
    """Turn a driver's failure into `Unavailable`; a broken constraint stays what it is, for the store to judge."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeout, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if not _passing(error):
            raise
        _log.warning("the database is away: %s", _driver_words(error))
        raise Unavailable("The database is away or refuses to write; try again shortly") from error


def _passing(error: BaseException) -> bool:
    """Whether the same may well succeed a little later.

    A restarting PostgreSQL says so in several ways, not all of which SQLAlchemy counts as a lost connection; the
    engine's own statements run past SQLAlchemy and raise as the driver does.
    """
    if isinstance(error, OperationalError) and getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        # SQLite's word for a wrong statement, which PostgreSQL and SQLAlchemy call something else.
        return False
    if isinstance(error, PoolTimeout | OSError | OperationalError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = str(getattr(cause, "sqlstate", None) or "")
    return state.startswith(_PASSING) or "connection" in str(cause)


def _driver_words(error: BaseException) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error)


def _postgres_engine(url: str) -> AsyncEngine:
    return create_async_engine(
        url, pool_size=POOL_SIZE, max_overflow=POOL_SIZE, pool_pre_ping=False, pool_timeout=10, hide_parameters=True
    )


def _sqlite_engine(url: str, begin: str | None, size: int, *, prompt: bool = False) -> AsyncEngine:
    """`begin` opens a transaction; without it every statement is one of its own."""
    address = make_url(url).set(drivername=sqlite_driver.DRIVER)
    engine = create_async_engine(address, pool_size=size, max_overflow=0, pool_timeout=30, hide_parameters=True)

    def on_connect(connection: Any, _record: object) -> None:
        # The driver would begin transactions by itself, and too late for IMMEDIATE to matter.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        connection.prompt = prompt

    def on_begin(connection: Connection) -> None:
        if begin is not None:
            connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "begin", on_begin)
    return engine
