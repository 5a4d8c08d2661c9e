"""Executions entering the yard: the row, the engine's ticket and the event, all in one transaction."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from taskyard.domain.events import Fact
from taskyard.domain.executions import Execution, Status, ticket, told
from taskyard.store import executions
from taskyard.store.database import Tx
from taskyard.store.queue import tickets


async def enter(tx: Tx, entering: Sequence[Execution], actor: str | None = None) -> list[Fact]:
    """Store executions and give those that are queued and not held to the engine; answers the events to append."""
    await executions.add(tx, entering)
    ready = [execution for execution in entering if execution.status is Status.QUEUED and not execution.held]
    await hand_over(tx, ready)
    return told(entering, actor)


async def hand_over(tx: Tx, ready: Sequence[Execution]) -> None:
    """Give queued executions to the engine."""
    await tickets.enqueue(tx, [ticket(execution) for execution in ready])


async def release(tx: Tx, job_ids: Sequence[UUID]) -> None:
    """Let the oldest held execution of each job go, if nothing else of the job is left. The jobs must be locked."""
    freed = await executions.to_release(tx, job_ids)
    if freed:
        await executions.release(tx, [execution.id for execution in freed])
        await hand_over(tx, [replace(execution, held=False, available_at=tx.now) for execution in freed])
