"""What the tests of jobs, executions and events share: two tenants that must not see each other, and short ways to
make jobs, fire them, and let workers begin and end what is queued.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from taskyard.domain.actors import PERMISSIONS, Actor, Permission, Role
from taskyard.domain.events import Event
from taskyard.domain.executions import Execution, Status
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Command, Job, Kind
from taskyard.domain.rules import Rules
from taskyard.domain.runs import Cause, Outcome, Verdict
from taskyard.domain.subscriptions import Subscription
from taskyard.services import attempts, calls, clock, events, executions, jobs, subscriptions, workers
from taskyard.services.attempts import Begun, Finished
from taskyard.services.clock import Fired
from taskyard.services.identity import Identity
from taskyard.store.database import Database
from tests.services.identity_world import World, operator, register

VAULT_KEY = "the vault's key"
EVERY_MINUTE = "* * * * *"
GOOD = Outcome(Verdict.SUCCEEDED)
REFUSED = Outcome.failed(Cause.CONNECT_ERROR, "connection refused")


class FakeClock:
    """A database's time: `at`, until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **by: float) -> datetime:
        """Let time pass: `advance(minutes=5)`."""
        self.at += timedelta(**by)
        return self.at


@dataclass(frozen=True)
class Yard:
    """One yard: Alice owns the operator's tenant, Bob one he registered himself."""

    database: Database
    now: FakeClock
    alice: Actor
    bob: Actor
    rules: Rules = field(default_factory=Rules)

    async def job(self, actor: Actor | None = None, /, **fields: Any) -> Job:
        """A new job, Alice's unless said otherwise, without a call."""
        owner = actor or self.alice
        made = Job(new_id(), owner.tenant_id, fields.pop("name", "a job"), **fields)
        async with self.database.write() as tx:
            return await jobs.create(tx, owner, made)

    async def http_job(self, actor: Actor | None = None, /, **fields: Any) -> Job:
        """A new job with one call."""
        owner = actor or self.alice
        made = await self.job(owner, **fields)
        async with self.database.write() as tx:
            await calls.create(tx, owner, made.id, url="http://127.0.0.1:9/hook", method="POST")
        return made

    async def command_job(self, line: str = "true", **fields: Any) -> Job:
        """A new job of Alice's with a command."""
        return await self.job(kind=Kind.COMMAND, command=Command(line), **fields)

    async def fire(self) -> Fired:
        """One pass of the clock."""
        async with self.database.write() as tx:
            return await clock.fire_due(tx)

    async def run_now(self, job: Job, actor: Actor | None = None) -> Execution:
        """Queue a run by hand."""
        async with self.database.write() as tx:
            return await jobs.run_now(tx, actor or self.alice, job.id)

    async def worker(self, lease_seconds: float = 15) -> UUID:
        """A worker whose lease has just begun."""
        async with self.database.write() as tx:
            return await workers.register(tx, "worker", lease_seconds)

    async def begin(self, worker_id: UUID, execution_ids: Sequence[UUID]) -> list[Begun]:
        """What the worker gets to run."""
        async with self.database.write() as tx:
            return (await attempts.begin(tx, self.rules, worker_id, execution_ids)).begun

    async def finish(self, worker_id: UUID, execution: Execution, outcome: Outcome = GOOD) -> bool:
        """Whether the worker's word was accepted."""
        async with self.database.write() as tx:
            done = await attempts.finish(tx, self.rules, worker_id, [Finished(execution, outcome)])
        return execution.id in done

    async def end(self, execution_id: UUID, outcome: Outcome = GOOD) -> Execution:
        """Begin and finish under a worker of its own; the execution as it is then."""
        worker_id = await self.worker()
        begun = await self.begin(worker_id, [execution_id])
        assert [each.execution.id for each in begun] == [execution_id]
        assert await self.finish(worker_id, begun[0].execution, outcome)
        return await self.execution(begun[0].execution.id, begun[0].execution.tenant_id)

    async def dead_letter(self, job: Job) -> Execution:
        """A run of the job that has failed for good."""
        queued = await self.run_now(job)
        return await self.end(queued.id, Outcome.failed(Cause.NOT_RUNNABLE, "not like this"))

    async def reap(self) -> int:
        """One pass of the reaper."""
        async with self.database.write() as tx:
            return await attempts.reap(tx, self.rules)

    async def execution(self, execution_id: UUID, tenant_id: UUID | None = None) -> Execution:
        """One execution as it stands, Alice's unless said otherwise."""
        actor = self.alice if tenant_id in (None, self.alice.tenant_id) else self.bob
        async with self.database.read() as tx:
            return await executions.get(tx, actor, execution_id)

    async def history(self, job: Job) -> list[Execution]:
        """All executions of the job, oldest first."""
        actor = self.alice if job.tenant_id == self.alice.tenant_id else self.bob
        async with self.database.read() as tx:
            found, total = await executions.page(tx, actor, job_id=job.id, limit=100_000)
        assert len(found) == total
        return found[::-1]

    async def history_of(self, run_id: UUID) -> list[Execution]:
        """All attempts of one run of Alice's, oldest first."""
        async with self.database.read() as tx:
            found, _ = await executions.page(tx, self.alice, run_id=run_id)
        return found[::-1]

    async def statuses(self, job: Job) -> list[Status]:
        """How the job's executions stand, by due time, retries after what they retry."""
        found = sorted(await self.history(job), key=lambda each: (each.due_at or each.created_at, each.attempt))
        return [each.status for each in found]

    async def events(self, actor: Actor | None = None, after: int = 0) -> list[Event]:
        """The tenant's history."""
        async with self.database.read() as tx:
            return await events.history(tx, actor or self.alice, after=after, limit=100_000)

    async def told(self, after: int = 0) -> list[str]:
        """The types of Alice's events."""
        return [event.type for event in await self.events(after=after)]

    async def tickets(self) -> set[UUID]:
        """What the engine would hand out, now or later."""
        async with self.database.read() as tx:
            keys = await tx.connection.execute(text("SELECT dedupe_key FROM pgqueuer WHERE status = 'queued'"))
            return {UUID(key) for key in keys.scalars()}

    async def subscribe(self, actor: Actor | None = None, *types: str, **more: Any) -> Subscription:
        """A subscription to everything unless said otherwise."""
        fields: dict[str, Any] = {"url": "http://127.0.0.1:9/events", "event_types": types or ("*",)} | more
        async with self.database.write() as tx:
            return await subscriptions.create(tx, actor or self.alice, **fields)


async def open_yard(database: Database, now: FakeClock) -> Yard:
    """A yard with its two tenants in an empty database."""
    people = World(database, now, Identity(database, "secret", None, Rules()))  # pyright: ignore[reportArgumentType]
    return Yard(database, now, (await operator(people)).actor, (await register(people, "bob")).actor)


def in_role(actor: Actor, role: Role) -> Actor:
    """The same person in another role."""
    allowed = PERMISSIONS[role]
    return replace(actor, role=role, permissions=allowed if actor.of_operator else allowed - {Permission.EXECUTE})
