"""Queues: seeing, pausing, resuming, clearing. They are the whole yard's, so switching them is the operator's."""

from taskyard.domain.actors import Actor, Permission
from taskyard.domain.events import Fact
from taskyard.domain.hints import QueuesChanged, WorkQueued
from taskyard.domain.queues import Queue, QueueState
from taskyard.domain.texts import check_text
from taskyard.services import cancelling, dispatch, events
from taskyard.store import executions, jobs, queue_states
from taskyard.store.database import Tx

_BATCH = 1000


async def states(tx: Tx, actor: Actor) -> list[QueueState]:
    """Every queue as it stands, over all tenants: numbers only."""
    actor.require(Permission.READ)
    return await queue_states.states(tx)


async def paused(tx: Tx) -> set[Queue]:
    """Which queues hand out nothing; for the workers."""
    return await queue_states.paused(tx)


async def pause(tx: Tx, actor: Actor, queue: Queue, reason: str | None = None) -> None:
    """Hand out nothing of `queue` from now on; what runs goes on. Raises `Forbidden`, `Invalid`."""
    actor.require_operator()
    if reason is not None:
        _ = check_text(reason, "reason")
    await queue_states.set_paused(tx, queue, pause=True, reason=reason)
    await events.append(tx, [_told(actor, "queue.paused", queue, reason)])
    tx.hint(QueuesChanged())


async def resume(tx: Tx, actor: Actor, queue: Queue) -> None:
    """Hand out `queue` again. Raises `Forbidden`."""
    actor.require_operator()
    await queue_states.set_paused(tx, queue, pause=False, reason=None)
    await events.append(tx, [_told(actor, "queue.resumed", queue, None)])
    tx.hint(QueuesChanged())
    tx.hint(WorkQueued())


async def clear(tx: Tx, actor: Actor, queue: Queue) -> int:
    """Cancel all that the actor's tenant has waiting in `queue` at this moment; how many it was."""
    actor.require(Permission.ADMIN)
    cleared = 0
    told: list[Fact] = []
    reason = f"queue {queue.value} was cleared by {actor.name}"
    found = await executions.waiting(tx, actor.tenant_id, queue=queue)
    serial = await jobs.lock_serial_of(tx, found.values())
    ids = list(found)
    for start in range(0, len(ids), _BATCH):
        some = ids[start : start + _BATCH]
        waiting = await executions.lock_waiting(tx, actor.tenant_id, some, queue=queue)
        told += await cancelling.end_waiting(tx, waiting, reason, actor.name)
        cleared += len(waiting)
    # A job's later executions may be held in another queue, waiting for what has just been cancelled.
    await dispatch.release(tx, list(serial))
    await events.append(tx, [*told, _told(actor, "queue.cleared", queue, None, cleared=cleared)])
    return cleared


def _told(actor: Actor, event_type: str, queue: Queue, reason: str | None, **more: object) -> Fact:
    data = {"queue": queue.value, "reason": reason} | more
    return Fact(actor.tenant_id, event_type, data, actor=actor.name)
