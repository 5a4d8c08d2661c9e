"""The clock: fires what is due, then sleeps until the next due time, a change of schedules, or one second."""

import asyncio
import logging
from datetime import datetime, timedelta
from uuid import UUID

from taskyard.domain.errors import Unavailable
from taskyard.domain.hints import Bus, Mailbox, ScheduleChanged
from taskyard.services import clock
from taskyard.services.clock import Fired
from taskyard.services.telemetry import Telemetry
from taskyard.services.transactions import Database

_log = logging.getLogger(__name__)

LONGEST_SLEEP = 1.0
CONTENDED_SLEEP = 0.02
"""Due jobs that this pass could not see are locked by another clock, or have just become due."""


class Clock:
    """Any number of clocks may run at once, in any number of processes: the database decides who fires a due time."""

    def __init__(self, database: Database, bus: Bus, telemetry: Telemetry) -> None:
        self._database = database
        self._bus = bus
        self._telemetry = telemetry

    async def run(self) -> None:
        """Fire until cancelled."""
        with self._bus.subscribe(ScheduleChanged) as mailbox:
            while True:
                try:
                    next_due_at = await self._fire_all()
                except Unavailable:
                    await asyncio.sleep(LONGEST_SLEEP)
                except Exception:
                    _log.exception("the clock stumbled; it goes on in a moment, job by job")
                    await self._fire_singly()
                    await asyncio.sleep(LONGEST_SLEEP)
                else:
                    await self._sleep(mailbox, next_due_at)

    async def _fire_all(self) -> datetime | None:
        while True:
            async with self._database.write() as tx:
                fired = await clock.fire_due(tx)
            self._note(fired)
            if not fired.count or fired.next_due_at is None or fired.next_due_at > self._database.clock():
                return fired.next_due_at

    async def _fire_singly(self) -> None:
        """One of the jobs is to blame; the others shall not suffer for it."""
        try:
            async with self._database.read() as tx:
                due = await clock.due_ids(tx)
            for job_id in due:
                await self._fire_one(job_id)
        except Unavailable:
            return

    async def _fire_one(self, job_id: UUID) -> None:
        try:
            async with self._database.write() as tx:
                self._note(await clock.fire_due(tx, only=job_id))
        except Unavailable:
            raise
        except Exception as error:
            _log.warning("job %s cannot be fired (%s: %s)", job_id, type(error).__name__, error)

    def _note(self, fired: Fired) -> None:
        if fired.count:
            self._telemetry.fired.inc(fired.count)
            self._telemetry.lateness.observe(max(0.0, fired.lateness.total_seconds()))

    async def _sleep(self, mailbox: Mailbox, until: datetime | None) -> None:
        seconds = LONGEST_SLEEP
        if until is not None:
            ahead = (until - self._database.clock()) / timedelta(seconds=1)
            seconds = min(LONGEST_SLEEP, ahead if ahead > 0 else CONTENDED_SLEEP)
        try:
            async with asyncio.timeout(seconds):
                await mailbox.get()
        except TimeoutError:
            return
