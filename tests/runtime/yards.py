"""Yards for tests of the engine and the loops: a migrated database, an operator, jobs, and workers over fake runners.

Only the outside world is faked (what a run does); database, engine, services and loops are the real ones.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from taskyard.adapters.bus.local import LocalBus
from taskyard.domain.actors import Actor
from taskyard.domain.executions import Execution, Status, Trigger, first_attempt
from taskyard.domain.hints import Bus, Hint
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Command, Job, Kind
from taskyard.domain.rules import Rules
from taskyard.domain.runs import CommandRun, HttpRun, Outcome, Output, Run, Runner, Verdict
from taskyard.runtime.lease import Lease
from taskyard.runtime.patience import patiently
from taskyard.runtime.worker import Capacity, Worker
from taskyard.services import accounts, calls, dispatch, events, jobs
from taskyard.services.telemetry import Telemetry
from taskyard.store import executions as executions_store
from taskyard.store import jobs as jobs_store
from taskyard.store import migrate
from taskyard.store.database import Database, Tx
from taskyard.store.queue.engine import open_repository
from taskyard.store.vault import Vault
from tests.processes import eventually

VAULT = Vault("a secret key of thirty-two bytes.")
RULES = Rules(lease_seconds=2, retry_base_seconds=0.01)
SUCCEEDED = Outcome(Verdict.SUCCEEDED)


async def prepare(url: str) -> None:
    """Bring an empty database up to date and make the operator's account."""
    database = Database(url, VAULT)
    try:
        await migrate.upgrade(database)
        async with database.write() as tx:
            await accounts.first_owner(tx, "owner@example.com", "$argon2id$none", "Owner")
    finally:
        await database.close()


class MovableClock:
    """The real time plus what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def advance(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


class DeafBus(LocalBus):
    """A bus that loses everything."""

    def publish(self, hints: Sequence[Hint]) -> None:
        """Lose `hints`."""


@dataclass
class Stage:
    """The outside world as one runner: what ran and is running; how it goes is the test's to say.

    A run whose job name begins with "hold" goes on until `finish` or its cancellation.
    """

    script: Callable[[Run, Output], Awaitable[Outcome]] | None = None
    begun: list[str] = field(default_factory=list[str])
    running: list[str] = field(default_factory=list[str])
    cancelled: list[str] = field(default_factory=list[str])
    most_at_once: int = 0
    _doors: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])

    def door(self, name: str) -> asyncio.Event:
        return self._doors.setdefault(name, asyncio.Event())

    def finish(self, name: str) -> None:
        """Let the held runs of that name end well."""
        self.door(name).set()

    async def run(self, run: Run, output: Output) -> Outcome:
        name = name_of(run)
        self.begun.append(name)
        self.running.append(name)
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            if name.startswith("hold"):
                await self.door(name).wait()
            if self.script is not None:
                return await self.script(run, output)
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        finally:
            self.running.remove(name)
        return SUCCEEDED


def name_of(run: Run) -> str:
    """The job's name, which the fakes know a run by."""
    if isinstance(run, HttpRun):
        return str(run.context["job"]["name"])
    assert isinstance(run, CommandRun)
    return run.command


@dataclass
class Yard:
    """One database with an operator, and what tests do with it."""

    url: str
    database: Database
    actor: Actor
    clock: MovableClock
    bus: LocalBus
    rules: Rules = RULES

    async def job(self, name: str, kind: Kind = Kind.HTTP, **fields: Any) -> Job:
        """A job of that name that can run: with a call, or as a command whose line is the name."""
        async with self.database.write() as tx:
            return await self.make_job(tx, name, kind, **fields)

    async def make_job(self, tx: Tx, name: str, kind: Kind = Kind.HTTP, **fields: Any) -> Job:
        command = Command(name) if kind is Kind.COMMAND else None
        blank = Job(id=new_id(), tenant_id=self.actor.tenant_id, name=name, kind=kind, command=command)
        job = await jobs.create(tx, self.actor, replace(blank, **fields))
        if kind is Kind.HTTP:
            await calls.create(tx, self.actor, job.id, url="http://127.0.0.1:9/", method="POST")
        return job

    async def run(self, job: Job, count: int = 1) -> list[UUID]:
        """Queue `count` runs of `job`; their ids in order."""

        async def ask() -> list[UUID]:
            async with self.database.write() as tx:
                return [(await jobs.run_now(tx, self.actor, job.id)).id for _ in range(count)]

        return await patiently(ask)

    async def enter(self, job: Job, **fields: Any) -> UUID:
        """Queue one execution of `job` with `fields` of its own, as the services do."""
        async with self.database.write() as tx:
            return await self.make_execution(tx, job, **fields)

    async def make_execution(self, tx: Tx, job: Job, **fields: Any) -> UUID:
        made = first_attempt(job, Trigger.MANUAL, tx.now, **fields)
        await events.append(tx, await dispatch.enter(tx, [made]))
        return made.id

    async def make_due(self, *due: Job, ago: float = 0.0) -> None:
        """Let the jobs have been due `ago` seconds before now."""
        async with self.database.write() as tx:
            at = tx.now - timedelta(seconds=ago)
            await jobs_store.advance(tx, [(job.id, at, None) for job in due])

    async def get(self, execution_id: UUID) -> Execution:
        async def read() -> Execution | None:
            async with self.database.read() as tx:
                return await executions_store.get(tx, self.actor.tenant_id, execution_id)

        found = await patiently(read)
        assert found is not None
        return found

    async def attempts(self, run_id: UUID) -> list[Execution]:
        """All attempts of a run, the first one first."""

        async def read() -> list[Execution]:
            async with self.database.read() as tx:
                return (await executions_store.page(tx, self.actor.tenant_id, run_id=run_id))[0]

        return sorted(await patiently(read), key=lambda each: each.attempt)

    async def of_job(self, job: Job) -> list[Execution]:
        async with self.database.read() as tx:
            found, _ = await executions_store.page(tx, self.actor.tenant_id, job_id=job.id, limit=10_000)
        return found[::-1]

    async def becomes(self, execution_id: UUID, *statuses: Status, timeout: float = 10) -> Execution:
        """Wait until the execution has one of `statuses`."""

        async def look() -> Execution | None:
            found = await self.get(execution_id)
            return found if found.status in statuses else None

        return await eventually(look, timeout, f"{execution_id} to be one of {statuses}")

    async def run_to_end(self, run_id: UUID, timeout: float = 10) -> list[Execution]:
        """Wait until no attempt of the run is left to be made; all its attempts."""

        async def look() -> list[Execution] | None:
            found = await self.attempts(run_id)
            over = all(each.status not in (Status.QUEUED, Status.RUNNING) for each in found)
            return found if over else None

        return await eventually(look, timeout, f"the end of run {run_id}")


@dataclass
class Hand:
    """One working process, as far as tests go: its own database pool, lease and worker."""

    database: Database
    lease: Lease
    worker: Worker
    stage: Stage
    telemetry: Telemetry
    clock: MovableClock
    working: asyncio.Task[None]

    async def retire(self) -> None:
        """Stop in good order."""
        self.worker.stop()
        await asyncio.wait_for(asyncio.shield(self.working), 20)


class _Late:
    """Calls through to the worker, which is made after the lease that calls it."""

    worker: Worker | None = None

    def drop_everything(self) -> None:
        assert self.worker is not None
        self.worker.drop_everything()


@asynccontextmanager
async def hand(
    yard: Yard,
    stage: Stage | None = None,
    *,
    bus: Bus | None = None,
    capacity: Capacity | None = None,
    keep_lease: bool = True,
    runners: Mapping[type[Run], Runner[Any]] | None = None,
    vault: Vault = VAULT,
) -> AsyncGenerator[Hand]:
    """A worker at work on the yard's database through a pool of its own; stopped at the end of the block."""
    acting = stage or Stage()
    clock = MovableClock()
    telemetry = Telemetry()
    the_bus: Bus = bus or yard.bus
    async with AsyncExitStack() as stack:
        database = Database(yard.url, vault, clock=clock)
        stack.push_async_callback(database.close)
        stack.enter_context(database.listening(the_bus.publish))
        late = _Late()
        lease = Lease(database, yard.rules, "worker", late.drop_everything)
        await lease.take()
        worker = late.worker = Worker(
            database,
            yard.rules,
            the_bus,
            telemetry,
            runners or {HttpRun: acting, CommandRun: acting},
            lambda: open_repository(database),
            lease,
            capacity or Capacity(grace_seconds=5),
        )
        working = asyncio.create_task(worker.run())
        keeping = [asyncio.create_task(lease.keep())] if keep_lease else []
        try:
            yield Hand(database, lease, worker, acting, telemetry, clock, working)
        finally:
            worker.stop()
            for name in set(acting.running):
                acting.finish(name)
            await asyncio.gather(working, return_exceptions=True)
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)


@asynccontextmanager
async def open_yard(url: str, rules: Rules = RULES) -> AsyncGenerator[Yard]:
    """The yard on a database made by `prepare`."""
    clock = MovableClock()
    bus = LocalBus()
    database = Database(url, VAULT, clock=clock)
    try:
        with database.listening(bus.publish):
            async with database.read() as tx:
                actor = await accounts.find_operator(tx)
            assert actor is not None
            yield Yard(url, database, actor, clock, bus, rules)
    finally:
        await database.close()


@asynccontextmanager
async def background(*loops: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Loops that run within the block."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def statuses(of: Iterable[Execution]) -> list[Status]:
    return [execution.status for execution in of]
