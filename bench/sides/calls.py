"""The bare limit of HTTP jobs: the guarded client and the runner making calls, with no store, queue or clock.

Arguments: base URL, how many calls, how many at once, the event loop (`uvloop` or `asyncio`). Hears "go", says the
moment it began and how long it took.
"""

import asyncio
import resource
import sys
import time

from bench.sides.talk import heard, say
from taskyard.adapters.http.client import HttpClients
from taskyard.adapters.runners.http import HttpRunner
from taskyard.cli import server
from taskyard.domain.runs import HttpCall, HttpRun, NetworkPolicy, Stream, Verdict


class _Nowhere:
    async def write(self, stream: Stream, data: bytes) -> None:
        """Forget it."""


async def main(base: str, count: int, at_once: int) -> None:
    """Make `count` calls of `base`/<number>, `at_once` in flight."""
    async with HttpClients() as clients:
        runner = HttpRunner(clients)
        output = _Nowhere()
        numbers = iter(range(count))

        async def caller() -> None:
            for number in numbers:
                call = HttpCall(f"{base}/{number}", "GET")
                outcome = await runner.run(HttpRun((call,), {}, 30, NetworkPolicy(allow_private=True)), output)
                assert outcome.verdict is Verdict.SUCCEEDED, outcome.error

        say(ready=True)
        await heard()
        began, clock, cpu = time.time(), time.perf_counter(), time.process_time()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        await asyncio.gather(*(caller() for _ in range(at_once)))
        after = resource.getrusage(resource.RUSAGE_SELF)
        say(
            began=began,
            seconds=time.perf_counter() - clock,
            cpu_seconds=time.process_time() - cpu,
            system_seconds=after.ru_stime - usage.ru_stime,
        )


if __name__ == "__main__":
    run = asyncio.run if sys.argv[4] == "asyncio" else server.run
    run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
