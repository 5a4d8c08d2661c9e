"""Subscriptions: telling the yard where to deliver a tenant's events (/api/v1/webhooks)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from taskyard.domain.actors import Actor, Permission
from taskyard.domain.errors import Conflict, Invalid, NotFound
from taskyard.domain.events import Event, Fact, checked_patterns
from taskyard.domain.executions import Execution
from taskyard.domain.ids import new_id
from taskyard.domain.subscriptions import MAX_URL_LENGTH, Subscription, check_secret, new_secret
from taskyard.domain.texts import check_text
from taskyard.domain.urls import check_url, without_secrets
from taskyard.services import events
from taskyard.store import subscriptions as store
from taskyard.store.database import Tx

MAX_SUBSCRIPTIONS = 100
_CHANGEABLE = frozenset({"url", "event_types", "description", "is_active"})


async def create(
    tx: Tx,
    actor: Actor,
    *,
    url: str,
    event_types: Sequence[str],
    secret: str | None = None,
    description: str | None = None,
    is_active: bool = True,
) -> Subscription:
    """Subscribe `url` to the tenant's events. Without a secret one is made; it is in the answer, this once."""
    actor.require(Permission.WRITE)
    _, total = await store.page(tx, actor.tenant_id, skip=0, limit=1)
    if total >= MAX_SUBSCRIPTIONS:
        raise Conflict(f"A tenant has at most {MAX_SUBSCRIPTIONS} webhooks")
    made = Subscription(
        id=new_id(),
        tenant_id=actor.tenant_id,
        url=check_url(url, limit=MAX_URL_LENGTH),
        event_types=tuple(checked_patterns(event_types)),
        secret=new_secret() if secret is None else check_secret(secret),
        description=None if description is None else check_text(description, "description"),
        is_active=is_active,
        created_at=tx.now,
        updated_at=tx.now,
    )
    await store.add(tx, made)
    await events.append(tx, [_told(made, "webhook.created", actor)])
    return made


async def get(tx: Tx, actor: Actor, subscription_id: UUID) -> Subscription:
    """One subscription. Raises `NotFound`."""
    actor.require(Permission.READ)
    return await _found(tx, actor, subscription_id)


async def _found(tx: Tx, actor: Actor, subscription_id: UUID, *, lock: bool = False) -> Subscription:
    found = await store.get(tx, actor.tenant_id, subscription_id, lock=lock)
    if found is None:
        raise NotFound("webhook", subscription_id)
    return found


async def page(tx: Tx, actor: Actor, *, skip: int = 0, limit: int = 50) -> tuple[list[Subscription], int]:
    """Subscriptions, newest first, and how many there are in all."""
    actor.require(Permission.READ)
    return await store.page(tx, actor.tenant_id, skip=skip, limit=limit)


async def update(tx: Tx, actor: Actor, subscription_id: UUID, changes: Mapping[str, Any]) -> Subscription:
    """Change url, event_types, description or is_active; switching on forgets earlier failures. Raises `Invalid`."""
    actor.require(Permission.WRITE)
    wanted = dict(changes)
    if not _CHANGEABLE.issuperset(wanted):
        field = min(set(wanted) - _CHANGEABLE)
        raise Invalid(f"{field} cannot be changed", field=field)
    if wanted.get("description") is not None:
        _ = check_text(wanted["description"], "description")
    if "url" in wanted:
        wanted["url"] = check_url(wanted["url"], limit=MAX_URL_LENGTH)
    if "event_types" in wanted:
        wanted["event_types"] = tuple(checked_patterns(wanted["event_types"]))
    if wanted.get("is_active"):
        wanted |= {"failing_since": None, "disabled_reason": None}
    changed = replace(await _found(tx, actor, subscription_id, lock=True), **wanted, updated_at=tx.now)
    await store.put(tx, changed)
    await events.append(tx, [_told(changed, "webhook.updated", actor)])
    return changed


async def rotate_secret(tx: Tx, actor: Actor, subscription_id: UUID, secret: str | None = None) -> Subscription:
    """Sign with another secret from now on, a fresh one unless given; it is in the answer, this once."""
    actor.require(Permission.WRITE)
    fresh = new_secret() if secret is None else check_secret(secret)
    changed = replace(await _found(tx, actor, subscription_id, lock=True), secret=fresh, updated_at=tx.now)
    await store.put(tx, changed)
    await events.append(tx, [_told(changed, "webhook.updated", actor)])
    return changed


async def delete(tx: Tx, actor: Actor, subscription_id: UUID) -> None:
    """End a subscription; what is under way to it is dropped."""
    actor.require(Permission.WRITE)
    gone = await _found(tx, actor, subscription_id, lock=True)
    await store.remove(tx, actor.tenant_id, subscription_id)
    await events.append(tx, [_told(gone, "webhook.deleted", actor)])


async def test(tx: Tx, actor: Actor, subscription_id: UUID) -> Execution:
    """Send a `webhook.test` event to this subscription alone, whatever it subscribes to."""
    actor.require(Permission.WRITE)
    receiver = await get(tx, actor, subscription_id)
    if not receiver.is_active:
        raise Conflict("The webhook is switched off")
    trial = Event(
        id=new_id(),
        tenant_id=actor.tenant_id,
        seq=await events.head(tx, actor.tenant_id),
        type="webhook.test",
        time=tx.now,
        data={"webhook_id": str(receiver.id), "message": "A trial delivery from Taskyard"},
        actor=actor.name,
    )
    delivery = events.delivery(tx, trial, receiver.id)
    await events.queue_deliveries(tx, [delivery])
    return delivery


def _told(subscription: Subscription, event_type: str, actor: Actor) -> Fact:
    data = {
        "webhook_id": str(subscription.id),
        "url": without_secrets(subscription.url),
        "event_types": list(subscription.event_types),
        "is_active": subscription.is_active,
    }
    return Fact(subscription.tenant_id, event_type, data, actor=actor.name)
