"""SIGKILL at random moments under load: no work lost, none stuck, none done twice.

The short form runs with all tests; `TASKYARD_FAULTS=long` kills a hundred times in all.
"""

import asyncio
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from taskyard.store.database import Database
from taskyard.store.tables import workers
from tests.faults.load import Load, lost, moment
from tests.faults.members import LEASE_SECONDS, Members, integrity, working
from tests.processes import Process
from tests.runtime.fixtures import ON_POSTGRES, ON_SQLITE
from tests.runtime.yards import Yard

LONG = os.environ.get("TASKYARD_FAULTS") == "long"
KILLS = 50 if LONG else 3
PORTIONS_PER_KILL = 6
SLACK_SECONDS = 6.0
"""For a machine that is busy with other tests; the rule itself is `LEASE_SECONDS`."""

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.timeout(1800 if LONG else 180)]

Killed = dict[int, datetime]
"""When each process was killed, by its number."""


async def under_load(load: Load, stop: asyncio.Event) -> None:
    """Twice a second, for as long as killing goes on; on a slow machine the amount is bounded all the same."""
    for _ in range(PORTIONS_PER_KILL * KILLS):
        if stop.is_set():
            return
        await load.give()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await stop.wait()


async def kill(process: Process, killed: Killed) -> None:
    process.kill()
    killed[process.pid] = datetime.now(UTC)
    await process.ended()


async def pids(database: Database) -> dict[UUID, int]:
    """The process number of each worker id there ever was."""
    async with database.read() as tx:
        rows = await tx.connection.execute(select(workers.c.id, workers.c.pid))
        return {row.id: row.pid for row in rows}


@ON_SQLITE
async def test_a_server_on_sqlite_is_killed_again_and_again(load: Load, members: Members, yard: Yard) -> None:
    killed: Killed = {}
    stop = asyncio.Event()
    loading = asyncio.create_task(under_load(load, stop))
    process, url = members.server()
    try:
        for _ in range(KILLS):
            await process.answers(f"{url}/health", timeout=90)
            await asyncio.sleep(load.random.uniform(0, 0.7))
            await kill(process, killed)
            process, url = members.server()
    finally:
        stop.set()
        await loading
    await process.answers(f"{url}/health", timeout=90)
    found = await load.judge()
    print(f"sqlite: {KILLS} kills, {len(found)} executions, {len(lost(found))} of them lost their worker")
    assert await process.stop() == 0
    assert integrity(Path(str(make_url(yard.url).database))) == "ok"


@ON_POSTGRES
async def test_workers_on_postgres_are_killed_again_and_again(load: Load, members: Members, yard: Yard) -> None:
    killed: Killed = {}
    stop = asyncio.Event()
    crew = [members.worker() for _ in range(3)]
    await asyncio.gather(*map(working, crew))
    loading = asyncio.create_task(under_load(load, stop))
    try:
        for _ in range(KILLS):
            for process in crew:
                await working(process)
            await asyncio.sleep(load.random.uniform(0, 0.7))
            place = load.random.randrange(len(crew))
            await kill(crew[place], killed)
            crew[place] = members.worker()
    finally:
        stop.set()
        await loading
    found = await load.judge()
    known = await pids(yard.database)
    ends = [(moment(each), killed.get(known[each.worker_id])) for each in lost(found) if each.worker_id]
    late = [(ended - died).total_seconds() for ended, died in ends if died is not None]
    print(
        f"postgres: {KILLS} kills, {len(found)} executions, {len(late)} of them lost their worker, "
        f"taken over within {max(late, default=0):.2f} s of the kill"
    )
    assert max(late, default=0) < LEASE_SECONDS + SLACK_SECONDS
    for process in crew:
        await working(process)
        assert await process.stop() == 0
