"""Executions entering the yard: the row, the engine's ticket and the event, all in one transaction."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from taskyard.domain.events import SILENT_KINDS, Fact
from taskyard.domain.executions import Execution, Status, facts, ticket
from taskyard.services import events
from taskyard.store import executions
from taskyard.store.database import Tx
from taskyard.store.queue import tickets

_EVENT_OF = {
    Status.QUEUED: "execution.queued",
    Status.RUNNING: "execution.started",
    Status.SUCCESS: "execution.succeeded",
    Status.FAILURE: "execution.failed",
    Status.TIMED_OUT: "execution.timed_out",
    Status.CANCELLED: "execution.cancelled",
    Status.DEAD_LETTER: "execution.dead_lettered",
    Status.SKIPPED: "execution.skipped",
    Status.MISSED: "execution.missed",
}


def fact(execution: Execution, actor: str | None = None, **more: object) -> Fact:
    """The event that tells of the execution's present status."""
    return Fact(
        tenant_id=execution.tenant_id,
        type=_EVENT_OF[execution.status],
        data=facts(execution) | {name: value for name, value in more.items() if value is not None},
        job_id=execution.job_id,
        execution_id=execution.id,
        actor=actor,
    )


async def enter(tx: Tx, entering: Sequence[Execution], actor: str | None = None) -> list[Fact]:
    """Store executions and give those that are queued and not held to the engine; answers the events to append."""
    await executions.add(tx, entering)
    ready = [execution for execution in entering if execution.status is Status.QUEUED and not execution.held]
    await hand_over(tx, ready)
    return told([fact(execution, actor) for execution in entering])


async def hand_over(tx: Tx, ready: Sequence[Execution]) -> None:
    """Give queued executions to the engine."""
    await tickets.enqueue(tx, [ticket(execution) for execution in ready])


def told(facts_: Sequence[Fact]) -> list[Fact]:
    """Those facts of which events are made."""
    return [each for each in facts_ if each.data.get("kind") not in SILENT_KINDS]


async def tell(tx: Tx, facts_: Sequence[Fact]) -> None:
    """Append the events of executions, leaving out the silent kinds."""
    await events.append(tx, told(facts_))


async def release(tx: Tx, job_ids: Sequence[UUID]) -> None:
    """Let the oldest held execution of each job go, if nothing else of the job is left. The jobs must be locked."""
    freed = await executions.to_release(tx, job_ids)
    if freed:
        await executions.release(tx, [execution.id for execution in freed])
        await hand_over(tx, [replace(execution, held=False, available_at=tx.now) for execution in freed])
