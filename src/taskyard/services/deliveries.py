"""Deliveries: what their endings say about the receiver, and their history."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from taskyard.domain.actors import Actor, Permission
from taskyard.domain.errors import Conflict, NotFound
from taskyard.domain.events import Fact
from taskyard.domain.executions import ACTIVE, Execution, Status, replayed
from taskyard.domain.jobs import Kind
from taskyard.domain.subscriptions import Subscription, disabling
from taskyard.domain.urls import without_secrets
from taskyard.services import events
from taskyard.store import executions, subscriptions
from taskyard.store.database import Tx


async def note(tx: Tx, ended: Sequence[Execution]) -> list[Fact]:
    """Remember which receivers answer; those gone or failing for too long are switched off, with an event."""
    seen = await subscriptions.by_ids(tx, {each.subscription_id for each in ended if each.subscription_id})
    moved = [ident for ident, receiver in _judged(tx, seen, ended).items() if receiver != seen[ident]]
    # Only receivers whose state changes are locked, and judged again: good ones never make their workers take turns.
    held = await subscriptions.by_ids(tx, moved, lock=True)
    facts: list[Fact] = []
    for ident, receiver in _judged(tx, held, ended).items():
        if receiver != held[ident]:
            await subscriptions.put(tx, receiver)
        if held[ident].is_active and not receiver.is_active:
            facts.append(disabled(receiver))
    return facts


def _judged(tx: Tx, receivers: Mapping[UUID, Subscription], ended: Sequence[Execution]) -> dict[UUID, Subscription]:
    """The receivers as they are after these endings."""
    judged = dict(receivers)
    for execution in ended:
        receiver = judged.get(execution.subscription_id) if execution.subscription_id else None
        if receiver is not None and receiver.is_active and execution.status is not Status.CANCELLED:
            judged[receiver.id] = _after(tx, receiver, execution)
    return judged


def _after(tx: Tx, receiver: Subscription, execution: Execution) -> Subscription:
    if execution.status is Status.SUCCESS:
        return replace(receiver, failing_since=None)
    why = disabling(receiver.failing_since, execution.response_code, tx.now)
    return replace(
        receiver,
        failing_since=receiver.failing_since or tx.now,
        is_active=why is None,
        disabled_reason=why,
    )


def disabled(subscription: Subscription) -> Fact:
    """The event that a subscription is off."""
    data = {
        "webhook_id": str(subscription.id),
        "url": without_secrets(subscription.url),
        "reason": subscription.disabled_reason,
    }
    return Fact(subscription.tenant_id, "webhook.disabled", data)


async def page(
    tx: Tx, actor: Actor, subscription_id: UUID, *, status: Status | None, skip: int, limit: int
) -> tuple[list[Execution], int]:
    """The tries to deliver to one subscription, newest first. Raises `NotFound`."""
    actor.require(Permission.READ)
    if await subscriptions.get(tx, actor.tenant_id, subscription_id) is None:
        raise NotFound("webhook", subscription_id)
    return await executions.page(
        tx, actor.tenant_id, subscription_id=subscription_id, kind=Kind.DELIVERY, status=status, skip=skip, limit=limit
    )


async def redeliver(tx: Tx, actor: Actor, subscription_id: UUID, execution_id: UUID) -> Execution:
    """Send an ended delivery once more, under the same delivery id. Raises `NotFound`, `Conflict`."""
    actor.require(Permission.WRITE)
    receiver = await subscriptions.get(tx, actor.tenant_id, subscription_id)
    if receiver is None:
        raise NotFound("webhook", subscription_id)
    first = await executions.get(tx, actor.tenant_id, execution_id, lock=True)
    if first is None or first.kind is not Kind.DELIVERY or first.subscription_id != subscription_id:
        raise NotFound("delivery", execution_id)
    if first.status in ACTIVE:
        raise Conflict("The delivery is still under way")
    if not receiver.is_active:
        raise Conflict("The webhook is switched off")
    again = replayed(first, tx.now, actor.user_id, same_run=True)
    await executions.bury(tx, [first.id])
    await events.queue_deliveries(tx, [again])
    return again
