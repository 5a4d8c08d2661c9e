"""Is the yard well? Asked by probes, so it answers also while the database is away."""

import asyncio
from dataclasses import dataclass

from taskyard.domain.errors import Unavailable
from taskyard.store import statistics, workers
from taskyard.store.database import Database

PROBE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Health:
    """`clocks` and `workers` count the live processes with that role; both are 0 while the database is away."""

    database: bool
    clocks: int = 0
    workers: int = 0


async def check(database: Database) -> Health:
    """Ask the database, for at most three seconds, and count the processes whose lease holds."""
    try:
        async with asyncio.timeout(PROBE_SECONDS), database.read() as tx:
            await statistics.ping(tx)
            alive = await workers.alive(tx)
    except (Unavailable, TimeoutError):
        return Health(database=False)
    return Health(
        database=True,
        clocks=sum("clock" in process.roles for process in alive),
        workers=sum("worker" in process.roles for process in alive),
    )
