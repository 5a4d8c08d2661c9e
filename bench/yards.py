"""Yards to be measured: where they are, what is put into them, and what their history says afterwards."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, update

from taskyard import bootstrap
from taskyard.domain.actors import Actor
from taskyard.domain.executions import Status, Trigger, first_attempt
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Call, Job
from taskyard.services import accounts, dispatch, events, jobs
from taskyard.settings import Settings
from taskyard.store import calls as call_store
from taskyard.store import jobs as job_store
from taskyard.store import tables
from taskyard.store.database import Database, Tx
from tests.servers import PostgresServer, new_folder

ONCE_A_YEAR = "0 0 1 1 *"
EVENTS_EACH = 3
"""Queued, started, succeeded."""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Place:
    """Where a yard keeps its data. Contestants get it as two arguments; without a URL it is SQLite in the folder."""

    data_dir: str
    url: str = ""

    def arguments(self) -> tuple[str, str]:
        """For a contestant's command line."""
        return self.data_dir, self.url

    def settings(self) -> Settings:
        """Those of a yard as it comes."""
        return Settings.model_validate({"data_dir": self.data_dir, "database_url": self.url or None})


@contextmanager
def new_place(server: PostgresServer | None) -> Generator[Place]:
    """A fresh place, on `server` or on SQLite; gone after the block."""
    folder = str(new_folder("taskyard-bench-"))
    url = server.new_database() if server else ""
    try:
        yield Place(folder, url)
    finally:
        if server:
            server.drop_database(url)
        remove(Path(folder))


def remove(folder: Path) -> None:
    """Remove a folder of plain files."""
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


async def owner(database: Database) -> Actor:
    """The operator's owner, made when there is none."""
    async with database.write() as tx:
        await accounts.first_owner(tx, "owner@example.com", "$argon2id$none", "Owner")
        actor = await accounts.find_operator(tx)
    assert actor is not None
    return actor


async def add_jobs(place: Place, urls: list[str]) -> list[UUID]:
    """One job for each URL, that GETs it once a year; their ids."""
    async with bootstrap.base(place.settings()) as base:
        actor = await owner(base.database)
        made: list[UUID] = []
        for start in range(0, len(urls), _AT_ONCE):
            async with base.database.write() as tx:
                made += [await _add_job(tx, actor, url) for url in urls[start : start + _AT_ONCE]]
    return made


async def _add_job(tx: Tx, actor: Actor, url: str) -> UUID:
    # Straight into the store: filling is not measured, and thousands of jobs are to be made.
    job = Job(new_id(), actor.tenant_id, url, schedule=ONCE_A_YEAR, created_at=tx.now, updated_at=tx.now)
    await job_store.add(tx, job)
    call = Call(new_id(), actor.tenant_id, job.id, 1, url, "GET", None, None, None, tx.now, tx.now)
    await call_store.add(tx, call)
    return job.id


async def enqueue(place: Place, job_id: UUID, count: int) -> None:
    """Queue `count` executions of a job, with their rows, tickets and events."""
    async with bootstrap.base(place.settings()) as base:
        actor = await owner(base.database)
        for start in range(0, count, _AT_ONCE):
            async with base.database.write() as tx:
                job = await jobs.get(tx, actor, job_id)
                some = range(min(_AT_ONCE, count - start))
                entering = [first_attempt(job, Trigger.MANUAL, tx.now) for _ in some]
                await events.append(tx, await dispatch.enter(tx, entering))


async def make_due(place: Place, due_at: datetime) -> None:
    """Every job of the yard becomes due at that moment."""
    async with bootstrap.base(place.settings(), upgrade=False) as base, base.database.write() as tx:
        await tx.connection.execute(update(tables.jobs).values(next_run_at=due_at))


@dataclass(frozen=True, slots=True)
class History:
    """What a yard's tables tell: executions by status, and how many events there are of them."""

    by_status: dict[str, int]
    events: int

    @property
    def active(self) -> int:
        """Executions that are not over."""
        return self.by_status.get(Status.QUEUED.value, 0) + self.by_status.get(Status.RUNNING.value, 0)

    def require(self, succeeded: int) -> None:
        """Raises `RuntimeError` unless so many executions succeeded, none did anything else, and all is told."""
        expected = {Status.SUCCESS.value: succeeded}
        if self.by_status != expected or self.events != EVENTS_EACH * succeeded:
            raise RuntimeError(f"not a full history of {succeeded} successes: {self}")


async def history(place: Place) -> History:
    """The yard's history in numbers."""
    async with bootstrap.base(place.settings(), upgrade=False) as base, base.database.read() as tx:
        statuses = select(tables.executions.c.status, func.count()).group_by(tables.executions.c.status)
        by_status = {row[0]: row[1] for row in await tx.connection.execute(statuses)}
        told = select(func.count()).select_from(tables.events).where(tables.events.c.execution_id.is_not(None))
        return History(by_status, (await tx.connection.execute(told)).scalar_one())


async def started_at(place: Place, since: datetime) -> dict[UUID, tuple[datetime | None, datetime]]:
    """Of each execution made since then that has started: when it was due, and when it started."""
    ran = tables.executions
    query: Select[Any, Any, Any] = select(ran.c.id, ran.c.due_at, ran.c.started_at).where(
        ran.c.created_at >= since, ran.c.started_at.is_not(None)
    )
    async with bootstrap.base(place.settings(), upgrade=False) as base, base.database.read() as tx:
        return {row.id: (row.due_at, row.started_at) for row in await tx.connection.execute(query)}
