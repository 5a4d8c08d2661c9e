"""Executions and dead letters as users see them: reading, cancelling, running again."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from taskyard.domain.actors import Actor, Permission
from taskyard.domain.errors import Conflict, Invalid, NotFound
from taskyard.domain.executions import ACTIVE, Execution, Status, replayed
from taskyard.domain.jobs import Kind
from taskyard.domain.queues import Queue, check_priority, check_queue
from taskyard.domain.texts import check_text
from taskyard.services import cancelling, dispatch, events
from taskyard.store import executions as store
from taskyard.store import jobs
from taskyard.store.database import Tx
from taskyard.store.queue import tickets

MAX_AT_ONCE = 1000


async def get(tx: Tx, actor: Actor, execution_id: UUID) -> Execution:
    """One execution. Raises `NotFound`."""
    actor.require(Permission.READ)
    execution = await store.get(tx, actor.tenant_id, execution_id)
    if execution is None:
        raise NotFound("execution", execution_id)
    return execution


async def page(
    tx: Tx,
    actor: Actor,
    *,
    job_id: UUID | None = None,
    run_id: UUID | None = None,
    status: Status | None = None,
    skip: int = 0,
    limit: int = 100,
) -> tuple[list[Execution], int]:
    """Executions without their results, newest first, and how many there are in all."""
    actor.require(Permission.READ)
    return await store.page(tx, actor.tenant_id, job_id=job_id, run_id=run_id, status=status, skip=skip, limit=limit)


async def cancel(tx: Tx, actor: Actor, execution_id: UUID, reason: str | None = None) -> Execution:
    """Stop an execution: at once while it waits; while it runs, its worker is asked and the answer still says running.

    Raises `NotFound`; `Conflict` when it is over; `Invalid` for a reason that cannot be stored.
    """
    actor.require(Permission.WRITE)
    if reason is not None:
        _ = check_text(reason, "reason")
    found = await get(tx, actor, execution_id)
    if found.status not in ACTIVE:
        raise Conflict(f"The execution is over: {found.status.value}", code="EXECUTION_OVER")
    serial = await jobs.lock_serial_of(tx, [found.job_id])
    told = await cancelling.stop(
        tx, actor.tenant_id, [execution_id], reason or f"cancelled by {actor.name}", actor.name
    )
    await dispatch.release(tx, list(serial))
    await events.append(tx, told)
    return await get(tx, actor, execution_id)


async def retry(tx: Tx, actor: Actor, execution_id: UUID) -> Execution:
    """Run an ended execution's work again, as a new run. Raises `NotFound`; `Conflict` while it is not over."""
    found = await get(tx, actor, execution_id)
    if found.status in ACTIVE:
        raise Conflict("The execution is not over yet", code="EXECUTION_ACTIVE")
    started = await _again(tx, actor, [found])
    return started[0]


async def dead_letters(
    tx: Tx, actor: Actor, *, job_id: UUID | None = None, skip: int = 0, limit: int = 100
) -> tuple[list[Execution], int]:
    """Last failed attempts that nobody has replayed or dismissed, newest first."""
    actor.require(Permission.READ)
    return await store.page(tx, actor.tenant_id, job_id=job_id, dead=True, skip=skip, limit=limit)


async def replay(
    tx: Tx, actor: Actor, *, ids: Sequence[UUID] | None = None, job_id: UUID | None = None
) -> list[Execution]:
    """Run dead letters again: those named, or all (of one job). Raises `NotFound` for an id that is none."""
    chosen = await _chosen_dead(tx, actor, ids, job_id)
    return await _again(tx, actor, await _claimed(tx, chosen, ids))


async def dismiss(tx: Tx, actor: Actor, ids: Sequence[UUID]) -> int:
    """Take dead letters off the list; their executions stay. Raises `NotFound` for an id that is none."""
    actor.require(Permission.WRITE)
    chosen = await _chosen_dead(tx, actor, ids, None)
    return len(await _claimed(tx, chosen, ids))


async def _chosen_dead(tx: Tx, actor: Actor, ids: Sequence[UUID] | None, job_id: UUID | None) -> list[Execution]:
    if ids is None:
        found, _ = await dead_letters(tx, actor, job_id=job_id, limit=MAX_AT_ONCE)
        return found
    if len(ids) > MAX_AT_ONCE:
        raise Invalid(f"At most {MAX_AT_ONCE} ids at once", field="ids")
    chosen = [await get(tx, actor, ident) for ident in dict.fromkeys(ids)]
    for execution in chosen:
        if not execution.dead:
            raise NotFound("dead letter", execution.id)
    return chosen


async def _claimed(tx: Tx, chosen: Sequence[Execution], ids: Sequence[UUID] | None) -> list[Execution]:
    """Those of the chosen that nobody else takes off the list at this moment; all of them when they were named."""
    buried = await store.bury(tx, [execution.id for execution in chosen])
    lost = [execution.id for execution in chosen if execution.id not in buried]
    if ids is not None and lost:
        raise NotFound("dead letter", lost[0])
    return [execution for execution in chosen if execution.id in buried]


async def _again(tx: Tx, actor: Actor, ended: Sequence[Execution]) -> list[Execution]:
    actor.require(Permission.WRITE)
    if any(execution.kind is Kind.COMMAND for execution in ended):
        actor.require(Permission.EXECUTE)
    if any(execution.kind is Kind.DELIVERY for execution in ended):
        # Its receiver knows it by its delivery id, which a new run would not have.
        raise Conflict("A delivery is sent again from its webhook", code="IS_DELIVERY")
    started = [replayed(execution, tx.now, actor.user_id) for execution in ended]
    await store.bury(tx, [execution.id for execution in ended])
    await events.append(tx, await dispatch.enter(tx, started, actor.name))
    return started


async def prioritise(tx: Tx, actor: Actor, ids: Sequence[UUID], queue: Queue, priority: int = 0) -> list[Execution]:
    """Move waiting executions to another queue or priority; those no longer waiting are left out of the answer."""
    actor.require(Permission.WRITE)
    _ = check_queue(queue)
    _ = check_priority(priority)
    found = await store.waiting(tx, actor.tenant_id, ids=ids)
    _ = await jobs.lock_serial_of(tx, found.values())
    waiting = await store.lock_waiting(tx, actor.tenant_id, list(found))
    moved = [execution.id for execution in waiting]
    await store.set_priority(tx, moved, queue, priority)
    await tickets.move(tx, moved, queue, priority)
    return [replace(execution, queue=queue, priority=priority) for execution in waiting]
