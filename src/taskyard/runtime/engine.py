"""Handing out: PgQueuer's manager under a supervisor, feeding execution ids to one worker.

The engine's claim on a row lasts only until the execution has begun; from then on the worker's lease and the fence
decide. So the engine may die and be started again (its connections are not re-made after a database restart, PgQueuer
issue 224) without touching what runs.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from uuid import UUID

from pgqueuer.core.buffers import JobStatusLogBuffer
from pgqueuer.core.executors import AbstractEntrypointExecutor
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job
from pgqueuer.domain.types import JobId
from pgqueuer.ports import RepositoryPort
from pgqueuer.ports.repository import EntrypointExecutionParameter

from taskyard.domain.entrypoints import EVERY, of_commands, queue_of
from taskyard.domain.hints import Bus, QueuesChanged
from taskyard.domain.queues import Queue, read_payload
from taskyard.domain.rules import Rules
from taskyard.runtime.patience import outlived
from taskyard.services import queues
from taskyard.services.transactions import Database

_log = logging.getLogger(__name__)

BATCH = 100
CLAIMS = 2 * BATCH
"""Rows claimed and not yet begun; few, so that an idle neighbour finds work."""
POLL = timedelta(seconds=1)
LONGEST_PAUSE = 2.0
_BEATS_PER_LEASE = 5
_UNLIMITED = EntrypointExecutionParameter(concurrency_limit=0)


class PutBack(Exception):
    """The worker cannot begin this execution now; the engine is to hand it out again after `delay`."""

    def __init__(self, delay: timedelta) -> None:
        super().__init__()
        self.delay = delay


class Manager(QueueManager):
    """PgQueuer's manager, which leaves out paused queues, and claims commands only as far as there is room for them.

    A command that was claimed and could not begin would be kept from other workers, or have to be put back.
    """

    def __init__(self, repository: RepositoryPort, room_for_commands: Callable[[], int]) -> None:
        super().__init__(repository)
        self.paused: frozenset[Queue] = frozenset()
        self._room_for_commands = room_for_commands
        self._coming: set[JobId] = set()

    async def fetch_jobs(
        self, batch_size: int, global_concurrency_limit: int | None, heartbeat_timeout: timedelta
    ) -> AsyncGenerator[Job, None]:
        """Claim and yield until there are no more calls, with commands between the batches, so that neither starves."""
        first = True
        while not self.shutdown.is_set():
            calls = await self._claim(batch_size, global_concurrency_limit, heartbeat_timeout, commands=False)
            for job in calls:
                yield job
            if calls or first:
                for job in await self._claim(self._room(), None, heartbeat_timeout, commands=True):
                    self._coming.add(job.id)
                    yield job
            if not calls:
                return
            first = False

    async def _claim(self, size: int, limit: int | None, heartbeat_timeout: timedelta, *, commands: bool) -> list[Job]:
        names = [
            name
            for name in self.entrypoint_registry
            if of_commands(name) is commands and queue_of(name) not in self.paused
        ]
        if size < 1 or not names:
            return []
        return await self.queries.dequeue(
            batch_size=size,
            entrypoints=dict.fromkeys(names, _UNLIMITED),
            queue_manager_id=self.queue_manager_id,
            global_concurrency_limit=limit,
            heartbeat_timeout=heartbeat_timeout,
        )

    def _room(self) -> int:
        # Commands that have been claimed and not yet asked for their room still will.
        self._coming &= self.job_context.keys()
        return self._room_for_commands() - len(self._coming)

    def has_come(self, job: Job) -> None:
        """The claimed row is about to take its room."""
        self._coming.discard(job.id)

    async def log_failure(
        self, job: Job, executor: AbstractEntrypointExecutor, exc: Exception, jbuff: JobStatusLogBuffer
    ) -> None:
        """Leave a row that could neither be begun nor put back as it is: without heartbeat it is handed out again.

        PgQueuer would drop it.
        """
        del executor, jbuff
        _log.warning("row %d of the engine is left to lapse (%s: %s)", job.id, type(exc).__name__, exc)


class Engine:
    """Runs managers one after the other; `begin(kind, execution_id)` is awaited for each claimed row."""

    def __init__(
        self,
        database: Database,
        rules: Rules,
        bus: Bus,
        open_repository: Callable[[], AbstractAsyncContextManager[RepositoryPort]],
        begin: Callable[[str, UUID], Awaitable[None]],
        room_for_commands: Callable[[], int],
    ) -> None:
        self._database = database
        self._bus = bus
        self._open_repository = open_repository
        self._begin = begin
        self._room_for_commands = room_for_commands
        self._heartbeat = timedelta(seconds=rules.lease_seconds / _BEATS_PER_LEASE)
        self._manager: Manager | None = None
        self._stopping = False

    async def run(self) -> None:
        """Hand out until `stop`; a manager that fails is replaced after a pause that grows to two seconds."""
        pause = 0.05
        while not self._stopping:
            try:
                async with self._open_repository() as repository:
                    await self._run_manager(repository)
                pause = 0.05
            except Exception as error:
                _log.warning("the engine stopped (%s: %s); a fresh one starts", type(error).__name__, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what is claimed has been begun or put back."""
        self._stopping = True
        if self._manager is not None:
            self._manager.shutdown.set()

    async def _run_manager(self, repository: RepositoryPort) -> None:
        manager = self._manager = Manager(repository, self._room_for_commands)
        for name in EVERY:
            manager.entrypoint(name)(self._handle)
        await self._read_paused(manager)
        watching = asyncio.create_task(self._watch_paused(manager))
        try:
            if not self._stopping:
                await manager.run(
                    dequeue_timeout=POLL,
                    batch_size=BATCH,
                    max_concurrent_tasks=CLAIMS,
                    heartbeat_timeout=self._heartbeat,
                    shutdown_on_listener_failure=True,
                    log_aggregation_interval=timedelta(0),
                )
        finally:
            watching.cancel()

    async def _handle(self, job: Job) -> None:
        kind, execution_id = read_payload(job.payload)
        if self._manager is not None:
            self._manager.has_come(job)
        if self._stopping:
            raise RetryRequested(delay=timedelta(0), reason="the worker stops")
        try:
            await self._begin(kind, execution_id)
        except PutBack as later:
            raise RetryRequested(delay=later.delay, reason="put back") from None

    async def _watch_paused(self, manager: Manager) -> None:
        with self._bus.subscribe(QueuesChanged) as mailbox:
            while True:
                try:
                    async with asyncio.timeout(POLL.total_seconds()):
                        await mailbox.get()
                except TimeoutError:
                    pass
                await self._read_paused(manager)

    async def _read_paused(self, manager: Manager) -> None:
        with outlived("asking for paused queues"):
            async with self._database.read() as tx:
                manager.paused = frozenset(await queues.paused(tx))
