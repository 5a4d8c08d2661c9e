"""The worker: begins executions the engine hands out, attends to their runs, and tells how they ended."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from pgqueuer.ports import RepositoryPort

from taskyard.domain.errors import Unavailable
from taskyard.domain.executions import Execution
from taskyard.domain.hints import Bus, CancelRequested
from taskyard.domain.jobs import Kind
from taskyard.domain.rules import Rules
from taskyard.domain.runs import Cause, Outcome, Run, Runner, Verdict
from taskyard.runtime.engine import Engine, PutBack
from taskyard.runtime.gather import Gather
from taskyard.runtime.lease import Lease
from taskyard.runtime.patience import patiently
from taskyard.runtime.recorder import Recorder, Shelf
from taskyard.services import attempts, workers
from taskyard.services.attempts import Begun, Finished
from taskyard.services.telemetry import Telemetry
from taskyard.services.transactions import Database

_log = logging.getLogger(__name__)

CANCEL_POLL = 1.0
_PAUSED_AGAIN = timedelta(seconds=1)
_BUSY_AGAIN = timedelta(seconds=0.25)


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much one worker runs at once: in all, and of commands, which cost the machine more than calls."""

    runs: int = 1000
    commands: int = 8
    grace_seconds: float = 10.0


@dataclass(slots=True)
class _Attempt:
    """A run under way here. `abandoned`: whatever comes out of it is not ours to write any more."""

    execution: Execution
    task: asyncio.Task[Any]
    cancelled: bool = False
    abandoned: bool = False


@dataclass(slots=True)
class _Slots:
    """Counts what runs; commands are put back rather than waited for, so that another worker may take them."""

    capacity: Capacity
    commands: int = 0
    free: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.free = asyncio.Semaphore(self.capacity.runs)

    async def take(self, kind: str) -> None:
        if kind == Kind.COMMAND.value:
            if self.commands >= self.capacity.commands:
                raise PutBack(_BUSY_AGAIN)
            self.commands += 1
        await self.free.acquire()

    def give_back(self, kind: str) -> None:
        if kind == Kind.COMMAND.value:
            self.commands -= 1
        self.free.release()


class Worker:
    """Runs until `stop`. `runners` maps each `Run` shape to who can make it."""

    def __init__(
        self,
        database: Database,
        rules: Rules,
        bus: Bus,
        telemetry: Telemetry,
        runners: Mapping[type[Run], Runner[Any]],
        open_repository: Callable[[], AbstractAsyncContextManager[RepositoryPort]],
        lease: Lease,
        capacity: Capacity | None = None,
    ) -> None:
        self._database = database
        self._rules = rules
        self._bus = bus
        self._telemetry = telemetry
        self._runners = runners
        self._lease = lease
        self._capacity = capacity or Capacity()
        self._slots = _Slots(self._capacity)
        self._shelf = Shelf(database)
        self._attempts: dict[UUID, _Attempt] = {}
        self._attending: set[asyncio.Task[None]] = set()
        self._begin: Gather[UUID, Begun | PutBack | None] = Gather(self._begin_all)
        self._finish: Gather[Finished, bool] = Gather(self._finish_all)
        self._engine = Engine(database, rules, bus, open_repository, self._accept)

    async def run(self) -> None:
        """Work until `stop` has been called and everything under way has ended or been given back."""
        watching = asyncio.create_task(self._watch_cancels())
        try:
            await self._engine.run()
            await self._wind_down()
        finally:
            watching.cancel()

    def stop(self) -> None:
        """Begin nothing more."""
        self._engine.stop()

    def drop_everything(self) -> None:
        """Others have taken over what runs here: stop it all and write nothing of it."""
        for attempt in self._attempts.values():
            attempt.abandoned = True
            attempt.task.cancel()

    async def _wind_down(self) -> None:
        """Let what runs end within the grace; stop the rest and give it back."""
        if self._attending:
            await asyncio.wait(set(self._attending), timeout=self._capacity.grace_seconds)
        self.drop_everything()
        if self._attending:
            await asyncio.wait(set(self._attending))
        async with self._database.write() as tx:
            await attempts.retire(tx, self._rules, self._lease.id)

    async def _accept(self, kind: str, execution_id: UUID) -> None:
        """Begin one execution and leave it running. Raises `PutBack` when it cannot begin here and now."""
        await self._slots.take(kind)
        try:
            begun = await self._begin(execution_id)
        except BaseException:
            self._slots.give_back(kind)
            raise
        if isinstance(begun, Begun):
            task = asyncio.create_task(self._attend(kind, begun))
            self._attending.add(task)
            task.add_done_callback(self._attending.discard)
            return
        self._slots.give_back(kind)
        if begun is not None:
            raise begun

    async def _begin_all(self, execution_ids: Sequence[UUID]) -> Sequence[Begun | PutBack | None]:
        async def attempt() -> attempts.Beginning:
            async with self._database.write() as tx:
                return await attempts.begin(tx, self._rules, self._lease.id, execution_ids)

        # Whatever happens, the engine must not hear of a failure: it would drop the row.
        answer = await patiently(attempt)
        begun: dict[UUID, Begun] = {each.execution.id: each for each in answer.begun}
        return [
            begun.get(ident) or (PutBack(_PAUSED_AGAIN) if ident in answer.put_back else None)
            for ident in execution_ids
        ]

    async def _attend(self, kind: str, begun: Begun) -> None:
        self._note_begun(begun.execution)
        try:
            outcome = await self._outcome(begun)
            if outcome is not None:
                await self._finish(Finished(begun.execution, outcome))
                self._note_finished(begun.execution, outcome)
        finally:
            self._telemetry.in_flight.dec()
            self._slots.give_back(kind)

    async def _outcome(self, begun: Begun) -> Outcome | None:
        """How the run ended; None when it is no longer ours to say."""
        if isinstance(begun.run, Outcome):
            return begun.run
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in a task
        attempt = self._attempts[begun.execution.id] = _Attempt(begun.execution, task)
        recorder = Recorder(self._shelf, begun.execution)
        try:
            outcome = await self._runners[type(begun.run)].run(begun.run, recorder)
        except asyncio.CancelledError:
            task.uncancel()
            outcome = Outcome(Verdict.CANCELLED, Cause.CANCELLED)
        except Exception:
            _log.exception("a runner raised; this is a bug")
            outcome = Outcome.failed(Cause.INTERNAL, "Internal error of the runner; the server's log has the details")
        # From here on nobody can cancel: what came out of the run is stored.
        del self._attempts[begun.execution.id]
        await recorder.close()
        return None if attempt.abandoned else outcome

    async def _finish_all(self, results: Sequence[Finished]) -> Sequence[bool]:
        async def attempt() -> set[UUID]:
            async with self._database.write() as tx:
                return await attempts.finish(tx, self._rules, self._lease.id, results)

        accepted = await patiently(attempt)
        refused = [str(result.execution.id) for result in results if result.execution.id not in accepted]
        if refused:
            _log.warning("results refused, others have taken over: %s", ", ".join(refused))
        return [result.execution.id in accepted for result in results]

    async def _watch_cancels(self) -> None:
        """Follow the hints, and ask the database once a second: hints may be lost."""
        with self._bus.subscribe(CancelRequested) as mailbox:
            while True:
                try:
                    async with asyncio.timeout(CANCEL_POLL):
                        while True:
                            hint = await mailbox.get()
                            if isinstance(hint, CancelRequested):
                                self._cancel([hint.execution_id])
                except TimeoutError:
                    self._cancel(await self._requested())

    async def _requested(self) -> Sequence[UUID]:
        if not self._attempts:
            return []
        try:
            async with self._database.read() as tx:
                return await workers.cancel_requests(tx, self._lease.id)
        except Unavailable:
            return []

    def _cancel(self, execution_ids: Sequence[UUID]) -> None:
        for ident in execution_ids:
            attempt = self._attempts.get(ident)
            if attempt is not None and not attempt.cancelled:
                attempt.cancelled = True
                attempt.task.cancel()

    def _note_begun(self, execution: Execution) -> None:
        self._telemetry.in_flight.inc()
        self._telemetry.begun.labels(execution.kind.value).inc()
        if execution.started_at is not None:
            waited = (execution.started_at - execution.available_at).total_seconds()
            self._telemetry.start_latency.observe(max(0.0, waited))

    def _note_finished(self, execution: Execution, outcome: Outcome) -> None:
        self._telemetry.finished.labels(execution.kind.value, outcome.verdict.value).inc()
        if execution.started_at is not None:
            took = (self._database.clock() - execution.started_at).total_seconds()
            self._telemetry.duration.labels(execution.kind.value).observe(max(0.0, took))
