"""The limit of all that is durable: bare inserts of one row, committed one by one or grouped, without any of ours.

Arguments: a database URL of SQLAlchemy's form, then `rate SECONDS GROUP`, which says rows per second, or
`wake RATE SECONDS`, which says the seconds from before each commit to another task's awakening after it.
SQLite is used as the yard uses it (WAL, synchronous FULL); on PostgreSQL single commits come over ten connections, as
many as the yard's pool keeps.
"""

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from bench.sides.talk import heard, say
from taskyard.cli.server import run
from tests.servers import plain_dsn

CONNECTIONS = 10
_ROW = "x" * 300
_TABLE = "CREATE TABLE IF NOT EXISTS facts (id {serial} PRIMARY KEY, data TEXT NOT NULL)"

Commit = Callable[[int], Awaitable[None]]


@asynccontextmanager
async def _sqlite(path: str) -> AsyncGenerator[tuple[Commit, int]]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(_TABLE.format(serial="INTEGER"))

    async def commit(rows: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO facts (data) VALUES (?)", [(_ROW,)] * rows)
        connection.execute("COMMIT")

    yield commit, 1
    connection.close()


@asynccontextmanager
async def _postgres(url: str) -> AsyncGenerator[tuple[Commit, int]]:
    pool: Any = await asyncpg.create_pool(plain_dsn(url), min_size=CONNECTIONS, max_size=CONNECTIONS)
    await pool.execute(_TABLE.format(serial="BIGSERIAL"))

    async def commit(rows: int) -> None:
        async with pool.acquire() as connection:
            if rows == 1:
                await connection.execute("INSERT INTO facts (data) VALUES ($1)", _ROW)
            else:
                await connection.executemany("INSERT INTO facts (data) VALUES ($1)", [(_ROW,)] * rows)

    yield commit, CONNECTIONS
    pool.terminate()


async def _rate(commit: Commit, at_once: int, seconds: float, group: int) -> None:
    rows = 0
    began = time.perf_counter()

    async def writer() -> None:
        nonlocal rows
        while time.perf_counter() - began < seconds:
            await commit(group)
            rows += group

    await asyncio.gather(*(writer() for _ in range(at_once if group == 1 else 1)))
    say(rate=rows / (time.perf_counter() - began))


async def _wake(commit: Commit, rate: float, seconds: float) -> None:
    waits: list[float] = []
    committed: asyncio.Queue[float] = asyncio.Queue()

    async def sleeper() -> None:
        while True:
            asked = await committed.get()
            waits.append(time.perf_counter() - asked)

    sleeping = asyncio.create_task(sleeper())
    first = time.monotonic()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, first + number / rate - time.monotonic()))
        asked = time.perf_counter()
        await commit(1)
        committed.put_nowait(asked)
    await asyncio.sleep(0)
    sleeping.cancel()
    say(waits=waits)


async def main(url: str, order: str, *numbers: str) -> None:
    """Do as ordered, when told."""
    opened = _postgres(url) if url.startswith("postgresql") else _sqlite(url.partition(":///")[2])
    async with opened as (commit, at_once):
        await commit(1)
        say(ready=True)
        await heard()
        if order == "rate":
            await _rate(commit, at_once, float(numbers[0]), int(numbers[1]))
        else:
            await _wake(commit, float(numbers[0]), float(numbers[1]))


if __name__ == "__main__":
    run(main(*sys.argv[1:]))
