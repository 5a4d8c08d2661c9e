"""Ours, for throughput: one worker process of the yard, whose runner does nothing. All else is the product's own.

Arguments: data directory, database URL. Begins when told; says how many it has finished, and when; ends when told.
"""

import asyncio
import sys
import time

from bench.sides.talk import heard, say
from bench.yards import Place
from taskyard import bootstrap
from taskyard.adapters.bus.local import LocalBus
from taskyard.cli.server import run
from taskyard.domain.runs import HttpRun, Outcome, Output, Verdict
from taskyard.services.telemetry import Telemetry

_REPORT_SECONDS = 0.02
_SUCCEEDED = Outcome(Verdict.SUCCEEDED)


class Noop:
    """Takes an HTTP run and makes no call."""

    async def run(self, run: HttpRun, output: Output) -> Outcome:  # noqa: ARG002
        """Succeed."""
        return _SUCCEEDED


async def main(place: Place) -> None:
    """Work until told to stop."""
    bus, telemetry = LocalBus(), Telemetry()
    finished = telemetry.finished.labels("http", "succeeded")
    async with bootstrap.base(place.settings(), upgrade=False) as base:
        with base.database.listening(bus.publish):
            process = bootstrap.Process(base, bus, telemetry, bootstrap.Roles(clock=False))
            say(ready=True)
            await heard()
            stopped = asyncio.ensure_future(heard())
            known = 0
            async with process.loops({HttpRun: Noop()}):
                while not stopped.done():
                    count = int(next(iter(finished.collect())).samples[0].value)
                    if count != known:
                        known = count
                        say(finished=count, at=time.time())
                    await asyncio.sleep(_REPORT_SECONDS)


if __name__ == "__main__":
    run(main(Place(*sys.argv[1:3])))
