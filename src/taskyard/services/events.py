"""The history: appending facts, and reading on from a number."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from taskyard.domain import events as rules
from taskyard.domain.actors import Actor, Permission
from taskyard.domain.events import Event, Fact
from taskyard.domain.executions import Execution, Status, Trigger, ticket
from taskyard.domain.hints import EventsAppended
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Kind
from taskyard.domain.queues import Queue
from taskyard.domain.subscriptions import payload
from taskyard.store import events as store
from taskyard.store import executions, subscriptions
from taskyard.store.database import Tx
from taskyard.store.queue import tickets


async def append(tx: Tx, facts: Sequence[Fact]) -> list[Event]:
    """Number the facts in their tenants' histories and queue a delivery for each subscription that wants one.

    Call it as late as possible in the transaction: from here on other writers of the same tenant wait.
    """
    appended: list[Event] = []
    heard: set[UUID] = set()
    # In the order of ids, so that two transactions with several tenants cannot wait for each other.
    for tenant_id in sorted({fact.tenant_id for fact in facts}):
        mine = [fact for fact in facts if fact.tenant_id == tenant_id]
        first, is_heard = await store.take_numbers(tx, tenant_id, len(mine))
        if is_heard:
            heard.add(tenant_id)
        appended += [_numbered(tx, fact, first + place) for place, fact in enumerate(mine)]
        tx.hint(EventsAppended(tenant_id, first + len(mine) - 1))
    await store.add(tx, appended)
    if heard:
        await _deliver(tx, [event for event in appended if event.tenant_id in heard])
    return appended


def _numbered(tx: Tx, fact: Fact, seq: int) -> Event:
    return Event(
        id=new_id(),
        tenant_id=fact.tenant_id,
        seq=seq,
        type=fact.type,
        time=tx.now,
        data=fact.data,
        job_id=fact.job_id,
        execution_id=fact.execution_id,
        actor=fact.actor,
    )


async def _deliver(tx: Tx, appended: Iterable[Event]) -> None:
    events = list(appended)
    wanting = await subscriptions.wanting(tx, {event.tenant_id for event in events})
    if not wanting:
        return
    deliveries = [
        delivery(tx, event, subscription_id)
        for event in events
        for subscription_id, types in wanting.get(event.tenant_id, [])
        if rules.matches(types, event.type)
    ]
    await queue_deliveries(tx, deliveries)


def delivery(tx: Tx, event: Event, subscription_id: UUID) -> Execution:
    """The execution that brings `event` to one subscription."""
    ident = new_id()
    return Execution(
        id=ident,
        run_id=ident,
        tenant_id=event.tenant_id,
        subscription_id=subscription_id,
        kind=Kind.DELIVERY,
        trigger=Trigger.EVENT,
        status=Status.QUEUED,
        queue=Queue.DELIVERIES,
        created_at=tx.now,
        available_at=tx.now,
        spec={"payload": payload(event, subscription_id, ident)},
    )


async def queue_deliveries(tx: Tx, deliveries: Sequence[Execution]) -> None:
    """Queue deliveries, silently: a delivery that made events would deliver those too, without end."""
    await executions.add(tx, deliveries)
    await tickets.enqueue(tx, [ticket(each) for each in deliveries])


async def after(tx: Tx, tenant_id: UUID, seq: int, limit: int = 500) -> list[Event]:
    """The tenant's events numbered higher than `seq`, in order."""
    return await store.after(tx, tenant_id, seq, limit)


async def head(tx: Tx, tenant_id: UUID) -> int:
    """The number of the tenant's latest event, 0 when there is none."""
    return await store.head(tx, tenant_id)


async def history(
    tx: Tx, actor: Actor, *, after: int = 0, limit: int = 100, types: Sequence[str] = (), job_id: UUID | None = None
) -> list[Event]:
    """What the actor may read of its tenant's history, from number `after` on."""
    actor.require(Permission.READ)
    return await store.after(tx, actor.tenant_id, after, limit, types=types, job_id=job_id)
