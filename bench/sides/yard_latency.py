"""Ours, for latency: triggers runs at a steady rate, works them off with a runner that notes when it was called, or
both.

Arguments: data directory, database URL, ids of jobs with commas, rate per second, seconds, and the roles: `trigger`,
`worker` or both with a comma. Is ready after some triggers that do not count; triggers when told, and says of each
execution when it was asked for and committed; says of each when it ran when told to stop. Times are seconds since 1970.
"""

import asyncio
import sys
import time
from itertools import cycle
from uuid import UUID

from bench.sides.talk import heard, say
from bench.sides.yard_noop import Noop
from bench.yards import Place, owner
from taskyard import bootstrap
from taskyard.adapters.bus.local import LocalBus
from taskyard.cli.server import run
from taskyard.domain.actors import Actor
from taskyard.domain.runs import HttpRun, Outcome, Output
from taskyard.services import jobs
from taskyard.services.telemetry import Telemetry
from taskyard.store.database import Database

WARMING = 50
"""Triggers before those that count: statements are compiled, connections opened."""


class NotingNoop(Noop):
    """Does nothing, and remembers when it was asked to."""

    def __init__(self) -> None:
        self.started: dict[str, float] = {}
        self._expected = sys.maxsize
        self._complete = asyncio.Event()

    async def all_started(self, count: int) -> None:
        """Until `count` runs have come."""
        self._expected = count
        self._look()
        await self._complete.wait()

    def _look(self) -> None:
        if len(self.started) >= self._expected:
            self._complete.set()

    async def run(self, run: HttpRun, output: Output) -> Outcome:
        """Note the moment, and succeed."""
        self.started[run.context["execution"]["id"]] = time.time()
        self._look()
        return await super().run(run, output)


class Trigger:
    """Asks for runs of some jobs in turn, and remembers when it did and when that was committed."""

    def __init__(self, database: Database, actor: Actor, job_ids: list[UUID]) -> None:
        self._database = database
        self._actor = actor
        self._job_ids = cycle(job_ids)
        self.asked: dict[str, tuple[float, float]] = {}

    async def ask(self) -> None:
        """Ask for one run."""
        job_id = next(self._job_ids)
        before = time.time()
        async with self._database.write() as tx:
            execution = await jobs.run_now(tx, self._actor, job_id)
        self.asked[str(execution.id)] = (before, time.time())

    async def warm_up(self) -> None:
        """Ask for some, one after the other, and forget them."""
        for _ in range(WARMING):
            await self.ask()
        self.asked.clear()

    async def ask_steadily(self, rate: float, seconds: float) -> None:
        """Ask for a run every 1/`rate` s, whether or not the last one is committed."""
        first = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, first + number / rate - time.monotonic()))
                group.create_task(self.ask())


async def main(place: Place, job_ids: list[UUID], rate: float, seconds: float, roles: str) -> None:
    """Play the roles until told to stop."""
    bus, noop = LocalBus(), NotingNoop()
    async with bootstrap.base(place.settings(), upgrade=False) as base:
        with base.database.listening(bus.publish):
            process = bootstrap.Process(base, bus, Telemetry(), bootstrap.Roles(worker="worker" in roles, clock=False))
            async with process.loops({HttpRun: noop}):
                if "trigger" in roles:
                    trigger = Trigger(base.database, await owner(base.database), job_ids)
                    await trigger.warm_up()
                    say(ready=True)
                    await heard()
                    await trigger.ask_steadily(rate, seconds)
                    say(asked=trigger.asked)
                else:
                    say(ready=True)
                expected = WARMING + (await heard())["expected"]
                if "worker" in roles:
                    await noop.all_started(expected)
            say(started=noop.started)


if __name__ == "__main__":
    ids = [UUID(each) for each in sys.argv[3].split(",")]
    run(main(Place(*sys.argv[1:3]), ids, float(sys.argv[4]), float(sys.argv[5]), sys.argv[6]))
