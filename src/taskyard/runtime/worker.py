"""The worker: begins executions the engine hands out, attends to their runs, and tells how they ended."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from pgqueuer.ports import RepositoryPort

from taskyard.domain.errors import TaskyardError, Unavailable
from taskyard.domain.executions import Execution
from taskyard.domain.hints import Bus, CancelRequested
from taskyard.domain.rules import Rules
from taskyard.domain.runs import Cause, Outcome, Run, Runner, Verdict
from taskyard.runtime.engine import Engine, PutBack
from taskyard.runtime.gather import Gather
from taskyard.runtime.lease import Lease
from taskyard.runtime.patience import outlived, patiently
from taskyard.runtime.recorder import Recorder, Shelf
from taskyard.runtime.slots import Capacity, Slots
from taskyard.services import attempts, workers
from taskyard.services.attempts import Begun, Finished
from taskyard.services.telemetry import Telemetry
from taskyard.services.transactions import Database

_log = logging.getLogger(__name__)

CANCEL_POLL = 1.0
_AT_ONCE = timedelta(0)
_PAUSED_AGAIN = timedelta(seconds=1)
_TROUBLED_AGAIN = timedelta(seconds=10)
_LETTING_GO_SECONDS = 10.0
_LOOKS_PER_LEASE = 5
_NOT_STORED = "Internal error: the result could not be stored; the server's log has the details"


@dataclass(slots=True)
class _Attempt:
    """An execution under way here, from its beginning to the writing of its end. `task` is set while it runs.

    `abandoned`: whatever comes out of it is not ours to write any more.
    """

    task: asyncio.Task[Any] | None = None
    cancelled: bool = False
    abandoned: bool = False

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()


def _bug(error: Exception) -> bool:
    """Whether `error` deserves a traceback."""
    return not isinstance(error, TaskyardError)


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
        self._slots = Slots(self._capacity)
        self._stopping = False
        self._shelf = Shelf(database)
        self._attempts: dict[UUID, _Attempt] = {}
        self._beginning: set[UUID] = set()
        self._attending: set[asyncio.Task[None]] = set()
        self._begin: Gather[UUID, Begun | PutBack | None] = Gather(self._begin_all)
        self._finish: Gather[Finished, bool] = Gather(self._finish_all)
        self._engine = Engine(database, rules, bus, open_repository, self._accept, self._slots.room_for_commands)

    async def run(self) -> None:
        """Work until `stop` has been called and everything under way has ended or been given back."""
        watching = [asyncio.create_task(self._watch_cancels()), asyncio.create_task(self._watch_unattended())]
        try:
            await self._engine.run()
            await self._wind_down()
        finally:
            for task in watching:
                task.cancel()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self._slots.close()
        self._engine.stop()

    def drop_everything(self) -> None:
        """Others have taken over what runs here: stop it all and write nothing of it."""
        for attempt in self._attempts.values():
            attempt.abandoned = True
            attempt.stop()

    async def _wind_down(self) -> None:
        """Let what runs end within the grace; stop the rest and give it back."""
        await self._settle(self._capacity.grace_seconds)
        self.drop_everything()
        await self._settle(_LETTING_GO_SECONDS)
        for task in self._attending:
            task.cancel()
        self._lease.let_go()
        try:
            async with self._database.write() as tx:
                await attempts.retire(tx, self._rules, self._lease.id)
        except Unavailable:
            _log.warning("the database is away, so others take over only when the lease has lapsed")

    async def _settle(self, seconds: float) -> None:
        if self._attending:
            await asyncio.wait(set(self._attending), timeout=seconds)

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

        self._beginning.update(execution_ids)
        try:
            answer = await patiently(attempt, hurried=lambda: self._stopping)
        except Exception as error:
            if self._stopping:
                return [PutBack(_AT_ONCE) for _ in execution_ids]
            if len(execution_ids) > 1:
                # One of them is to blame; the others shall not suffer for it.
                return [each for ident in execution_ids for each in await self._begin_all([ident])]
            _log.warning("execution %s cannot begin: %s", execution_ids[0], error, exc_info=_bug(error))
            return [PutBack(_TROUBLED_AGAIN)]
        finally:
            self._beginning.difference_update(execution_ids)
        self._attempts |= {each.execution.id: _Attempt() for each in answer.begun}
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
            self._attempts.pop(begun.execution.id, None)
            self._telemetry.in_flight.dec()
            self._slots.give_back(kind)

    async def _outcome(self, begun: Begun) -> Outcome | None:
        """How the run ended; None when it is no longer ours to say."""
        attempt = self._attempts[begun.execution.id]
        if attempt.abandoned:
            return None
        if attempt.cancelled:
            return Outcome(Verdict.CANCELLED, Cause.CANCELLED)
        if isinstance(begun.run, Outcome):
            return begun.run
        recorder = Recorder(self._shelf, begun.execution)
        outcome = await self._run(attempt, begun.run, recorder)
        try:
            await recorder.close()
        except Exception:
            _log.exception("the last output of execution %s could not be stored", begun.execution.id)
        return None if attempt.abandoned else outcome

    async def _run(self, attempt: _Attempt, run: Run, recorder: Recorder) -> Outcome:
        task = attempt.task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in a task
        try:
            return await self._runners[type(run)].run(run, recorder)
        except asyncio.CancelledError:
            task.uncancel()
            return Outcome(Verdict.CANCELLED, Cause.CANCELLED)
        except Exception:
            _log.exception("a runner raised; this is a bug")
            return Outcome.failed(Cause.INTERNAL, "Internal error of the runner; the server's log has the details")
        finally:
            # From here on nobody can cancel: what came out of the run is stored.
            attempt.task = None

    async def _finish_all(self, results: Sequence[Finished]) -> Sequence[bool]:
        async def attempt() -> set[UUID]:
            async with self._database.write() as tx:
                return await attempts.finish(tx, self._rules, self._lease.id, results)

        try:
            accepted = await patiently(attempt)
        except Exception:
            if len(results) > 1:
                # One of them is to blame; the others shall not suffer for it.
                return [each for result in results for each in await self._finish_all([result])]
            if results[0].outcome.error == _NOT_STORED:
                raise
            _log.exception("the result of execution %s cannot be stored", results[0].execution.id)
            return await self._finish_all([replace(results[0], outcome=Outcome.failed(Cause.INTERNAL, _NOT_STORED))])
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
                    if self._attempts:
                        await self._ask_for_cancels()

    async def _ask_for_cancels(self) -> None:
        with outlived("asking for cancels"):
            async with self._database.read() as tx:
                self._cancel(await workers.cancel_requests(tx, self._lease.id))

    async def _watch_unattended(self) -> None:
        """Give back what the database says runs here and does not: a lost answer to a commit leaves such a row."""
        while True:
            await asyncio.sleep(self._rules.lease_seconds / _LOOKS_PER_LEASE)
            known = self._beginning | self._attempts.keys()
            with outlived("looking for unattended executions"):
                async with self._database.read() as tx:
                    strays = await workers.running(tx, self._lease.id) - known
                strays -= self._beginning | self._attempts.keys()
                if strays:
                    _log.warning("given back, begun and not attended to: %s", ", ".join(map(str, strays)))
                    async with self._database.write() as tx:
                        await attempts.give_back(tx, self._rules, self._lease.id, list(strays))

    def _cancel(self, execution_ids: Sequence[UUID]) -> None:
        for ident in execution_ids:
            attempt = self._attempts.get(ident)
            if attempt is not None and not attempt.cancelled:
                attempt.cancelled = True
                attempt.stop()

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
