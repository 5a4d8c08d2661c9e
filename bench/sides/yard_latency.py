"""Ours, for latency: triggers runs at a steady rate, works them off with a runner that notes when it was called, or both.

Arguments: data directory, database URL, job id, rate per second, seconds, and the roles: `trigger`, `worker` or both
with a comma. Triggers when told, and says of each execution when it was asked for and committed; says of each when it
was started when told to stop. Times are seconds since 1970.
"""

import asyncio
import sys
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from bench.sides.talk import heard, say
from bench.sides.yard_noop import Noop
from bench.yards import Place, owner
from taskyard import bootstrap
from taskyard.adapters.bus.local import LocalBus
from taskyard.cli.server import run
from taskyard.domain.runs import HttpRun, Outcome, Output
from taskyard.services import jobs
from taskyard.services.telemetry import Telemetry
from taskyard.store.database import Database


class NotingNoop(Noop):
    """Does nothing, and remembers when it was asked to."""

    def __init__(self) -> None:
        self.started: dict[str, float] = {}

    async def run(self, run: HttpRun, output: Output) -> Outcome:
        """Note the moment, and succeed."""
        self.started[run.context["execution"]["id"]] = time.time()
        return await super().run(run, output)


async def trigger(database: Database, job_id: UUID, rate: float, seconds: float) -> None:
    """Ask for a run every 1/`rate` s, whether or not the last one is committed."""
    actor = await owner(database)
    asked: dict[str, tuple[float, float]] = {}

    async def ask() -> None:
        before = time.time()
        async with database.write() as tx:
            execution = await jobs.run_now(tx, actor, job_id)
        asked[str(execution.id)] = (before, time.time())

    first = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, first + number / rate - time.monotonic()))
            group.create_task(ask())
    say(asked=asked)


async def main(place: Place, job_id: UUID, rate: float, seconds: float, roles: str) -> None:
    """Play the roles until told to stop."""
    bus, noop = LocalBus(), NotingNoop()
    async with bootstrap.base(place.settings(), upgrade=False) as base:
        with base.database.listening(bus.publish):
            process = bootstrap.Process(base, bus, Telemetry(), bootstrap.Roles(worker="worker" in roles, clock=False))
            async with process.loops({HttpRun: noop}):
                say(ready=True)
                said: Mapping[str, Any] = await heard()
                if "trigger" in roles:
                    await trigger(base.database, job_id, rate, seconds)
                    said = await heard()
                while len(noop.started) < said.get("expected", 0):
                    await asyncio.sleep(0.01)
            say(started=noop.started)


if __name__ == "__main__":
    run(main(Place(*sys.argv[1:3]), UUID(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]), sys.argv[6]))
