"""The loops of one process, started and ended together."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from taskyard.domain.hints import Bus
from taskyard.domain.rules import Rules
from taskyard.runtime import upkeep
from taskyard.runtime.clock import Clock
from taskyard.runtime.lease import Lease
from taskyard.runtime.worker import Worker
from taskyard.services.telemetry import Telemetry
from taskyard.services.transactions import Database


@asynccontextmanager
async def loops(
    database: Database,
    rules: Rules,
    bus: Bus,
    telemetry: Telemetry,
    *,
    make_worker: Callable[[Lease], Worker] | None,
    clock: bool,
) -> AsyncGenerator[None]:
    """A worker, a clock or both, with the upkeep every process does, running within the block.

    A process that neither works nor fires takes no lease and does nothing here.
    """
    roles = [name for name, on in (("clock", clock), ("worker", make_worker is not None)) if on]
    if not roles:
        yield
        return
    worker: Worker | None = None

    def drop_everything() -> None:
        if worker is not None:
            worker.drop_everything()

    lease = Lease(database, rules, ",".join(roles), drop_everything)
    worker = make_worker(lease) if make_worker is not None else None
    await lease.take()
    chores: list[Coroutine[Any, Any, None]] = [
        lease.keep(),
        upkeep.reap(database, rules, lease),
        upkeep.sweep(database),
        upkeep.prune(database, rules),
        upkeep.pulse(telemetry),
    ]
    if clock:
        chores.append(Clock(database, bus, telemetry).run())
    tasks = [asyncio.create_task(chore) for chore in chores]
    working = asyncio.create_task(worker.run()) if worker is not None else None
    try:
        yield
    finally:
        if worker is not None and working is not None:
            worker.stop()
            await working
        else:
            await lease.end()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
