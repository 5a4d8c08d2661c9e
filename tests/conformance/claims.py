"""The engine's port as its manager uses it, to stand in for a manager that claims and then dies."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

from pgqueuer.domain.models import Job
from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId
from pgqueuer.ports import RepositoryPort
from pgqueuer.ports.repository import EntrypointExecutionParameter

from taskyard.domain.queues import Queue, read_payload
from taskyard.store.database import Database
from taskyard.store.queue.engine import open_repository

ALL = tuple(Queue)
NEVER_STALE = timedelta(hours=1)


class Claimer:
    """One manager's hold on the engine."""

    def __init__(self, repository: RepositoryPort) -> None:
        self.repository = repository
        self.id = QueueManagerId(uuid4())

    async def claim(
        self, size: int = 10, *, queues: tuple[Queue, ...] = ALL, most: int = 1000, stale: timedelta = NEVER_STALE
    ) -> list[Job]:
        entrypoints = {QueueEntrypoint(queue.value): EntrypointExecutionParameter(0) for queue in queues}
        return await self.repository.dequeue(size, entrypoints, self.id, most, stale)

    async def done(self, *jobs: Job) -> None:
        await self.repository.log_jobs([(job, "successful", None) for job in jobs])


@asynccontextmanager
async def claimer(database: Database) -> AsyncGenerator[Claimer]:
    """A fresh manager's hold on the engine of `database`."""
    async with open_repository(database) as repository:
        yield Claimer(repository)


def ids(jobs: list[Job]) -> list[UUID]:
    """The executions the claims are for, in the order they were handed out."""
    return [read_payload(job.payload)[1] for job in jobs]
