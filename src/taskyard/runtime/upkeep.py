"""Upkeep: what every process does for the yard besides its work. Taking over from lost workers, forgetting, feeling
its own pulse.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from taskyard.domain.rules import Rules
from taskyard.runtime.lease import Lease
from taskyard.runtime.patience import outlived
from taskyard.services import attempts, retention
from taskyard.services.telemetry import Telemetry
from taskyard.services.transactions import Database

_log = logging.getLogger(__name__)

_REAPS_PER_LEASE = 15
_SWEEP_SECONDS = 30.0
_PRUNE_SECONDS = 600.0
_PULSE_SECONDS = 0.5


async def _regularly(seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
    """Do `chore` every `seconds`, give or take a tenth so that many processes do not march in step."""
    while True:
        await asyncio.sleep(seconds * random.uniform(0.9, 1.1))  # noqa: S311
        with outlived("a chore"):
            await chore()


async def reap(database: Database, rules: Rules, lease: Lease) -> None:
    """Take over from workers whose lease has lapsed, until cancelled."""

    async def chore() -> None:
        async with database.write() as tx:
            taken = await attempts.reap(tx, rules, lease.id)
        if taken:
            _log.warning("took over %d executions from lost workers", taken)

    await _regularly(rules.lease_seconds / _REAPS_PER_LEASE, chore)


async def sweep(database: Database) -> None:
    """Enqueue again what the engine has lost, until cancelled."""

    async def chore() -> None:
        async with database.write() as tx:
            found = await attempts.reissue(tx)
        if found:
            _log.error("%d executions were unknown to the engine and have been enqueued again", found)

    await _regularly(_SWEEP_SECONDS, chore)


async def prune(database: Database, rules: Rules) -> None:
    """Forget old history, until cancelled."""

    async def chore() -> None:
        more = True
        while more:
            async with database.write() as tx:
                more = await retention.prune(tx, rules)

    await _regularly(_PRUNE_SECONDS, chore)


async def pulse(telemetry: Telemetry) -> None:
    """Measure how late the event loop wakes sleepers, until cancelled."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(_PULSE_SECONDS)
        telemetry.loop_lag.observe(max(0.0, time.monotonic() - before - _PULSE_SECONDS))
