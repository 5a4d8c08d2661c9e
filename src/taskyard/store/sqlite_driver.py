"""aiosqlite for SQLAlchemy with few trips to the connection's thread.

SQLAlchemy's own adapter makes four trips per statement: open a cursor, execute, fetch, close. Each is a queue, a
wake-up of the thread and a wake-up of the event loop, which together cost more than the statement itself. All our
results are small and read whole, so one trip does it all.

The statements of a *prompt* connection make none: it is the one that writes, whose transactions are short and whose
statements touch a few rows by key, in microseconds. What may wait (BEGIN for another process, COMMIT for the disk) or
handle many rows (`executemany`) still goes to the thread.
"""

# The adapter's parts are private to SQLAlchemy and aiosqlite, whose versions the lock file pins.
# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiosqlite
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
    SQLiteDialect_aiosqlite,
)
from sqlalchemy.util.concurrency import await_

DRIVER = "sqlite+onetrip"
_MAY_WAIT = ("BEGIN", "PRAGMA", "DELETE FROM executions", "DELETE FROM events")


@dataclass(slots=True)
class _Result:
    """What a statement left behind."""

    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None
    arraysize: int = 1
    rows: list[Any] = field(default_factory=list[Any])


def _execute(connection: sqlite3.Connection, operation: str, parameters: Any, *, many: bool) -> _Result:
    """The whole life of a cursor."""
    cursor = connection.cursor()
    try:
        if many:
            cursor.executemany(operation, parameters)
        else:
            cursor.execute(operation, parameters)
        rows = cursor.fetchall() if cursor.description else []
        return _Result(cursor.description, cursor.rowcount, cursor.lastrowid, rows=rows)
    finally:
        cursor.close()


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    __slots__ = ()

    _awaitable_cursor_close = False

    def __init__(self, adapt_connection: Any) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._cursor: Any = _Result()
        self._soft_closed_memoized: Any = {}
        self._rows = deque()

    def close(self) -> None:
        self._rows.clear()

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        await self._trip(operation, () if parameters is None else parameters, many=False)

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:
        await self._trip(operation, seq_of_parameters, many=True)

    async def _trip(self, operation: Any, parameters: Any, *, many: bool) -> None:
        connection: Any = self._adapt_connection
        async with connection._execute_mutex:
            driver: Any = self._connection
            if many or not connection.prompt or operation.startswith(_MAY_WAIT):
                result = await driver._execute(_execute, driver._conn, operation, parameters, many=many)
            else:
                result = _execute(driver._conn, operation, parameters, many=False)
            self._cursor = result
            self._rows = deque(result.rows)


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ("prompt",)

    _cursor_cls = _Cursor

    def __init__(self, dbapi: Any, connection: Any) -> None:
        super().__init__(dbapi, connection)
        self.prompt = False


class _Driver(aiosqlite.Connection):
    """aiosqlite's connection, which may be closed by two at once.

    One who cancels a statement and one who disposes of the pool may meet; aiosqlite would let the second wait for an
    answer of a thread that has ended.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=1)
        # A process that forgot to close its database must still be able to end.
        self._thread.daemon = True

    def stop(self) -> "asyncio.Future[Any] | None":
        return super().stop() if self._running else None

    async def close(self) -> None:
        if self._running:
            await super().close()


class _Dbapi(AsyncAdapt_aiosqlite_dbapi):
    def connect(self, *arg: Any, **kw: Any) -> _Connection:
        return _Connection(self, await_(_Driver(partial(sqlite3.connect, *arg, **kw))))


class OneTripDialect(SQLiteDialect_aiosqlite):
    """The dialect behind `DRIVER`."""

    driver = "onetrip"
    supports_statement_cache = True
    supports_server_side_cursors = False

    @classmethod
    def import_dbapi(cls) -> _Dbapi:
        """The adapter of this module over aiosqlite."""
        return _Dbapi(aiosqlite, sqlite3)


registry.register("sqlite.onetrip", __name__, OneTripDialect.__name__)
