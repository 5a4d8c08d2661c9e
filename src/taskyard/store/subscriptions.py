"""Subscriptions at rest, their addresses and secrets sealed."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, bindparam, delete, func, insert, select, update

from taskyard.domain.subscriptions import Subscription
from taskyard.store.database import Tx
from taskyard.store.tables import subscriptions


def _row(tx: Tx, subscription: Subscription) -> dict[str, Any]:
    return {
        "id": subscription.id,
        "tenant_id": subscription.tenant_id,
        "event_types": list(subscription.event_types),
        "sealed": tx.vault.seal({"url": subscription.url, "secret": subscription.secret}),
        "description": subscription.description,
        "is_active": subscription.is_active,
        "disabled_reason": subscription.disabled_reason,
        "failing_since": subscription.failing_since,
        "created_at": subscription.created_at,
        "updated_at": subscription.updated_at,
    }


def _subscription(tx: Tx, row: RowMapping) -> Subscription:
    facts = dict(row)
    facts["event_types"] = tuple(row["event_types"])
    secrets = tx.vault.open(facts.pop("sealed"))
    return Subscription(**facts, **secrets)


async def add(tx: Tx, subscription: Subscription) -> None:
    """Store a new subscription."""
    await tx.connection.execute(insert(subscriptions).values(_row(tx, subscription)))


async def put(tx: Tx, subscription: Subscription) -> None:
    """Store every field of an existing subscription of this tenant."""
    mine = (subscriptions.c.tenant_id == subscription.tenant_id, subscriptions.c.id == subscription.id)
    await tx.connection.execute(update(subscriptions).where(*mine).values(_row(tx, subscription)))


async def get(tx: Tx, tenant_id: UUID, subscription_id: UUID, *, lock: bool = False) -> Subscription | None:
    """The tenant's subscription, locked until the end of the transaction when asked."""
    mine = (subscriptions.c.tenant_id == tenant_id, subscriptions.c.id == subscription_id)
    query = select(subscriptions).where(*mine)
    row = (await tx.connection.execute(query.with_for_update() if lock else query)).mappings().first()
    return None if row is None else _subscription(tx, row)


async def remove(tx: Tx, tenant_id: UUID, subscription_id: UUID) -> None:
    """Delete one subscription; its deliveries stay as history."""
    mine = (subscriptions.c.tenant_id == tenant_id, subscriptions.c.id == subscription_id)
    await tx.connection.execute(delete(subscriptions).where(*mine))


async def page(tx: Tx, tenant_id: UUID, *, skip: int, limit: int) -> tuple[list[Subscription], int]:
    """The tenant's subscriptions, newest first, and how many there are in all."""
    mine = subscriptions.c.tenant_id == tenant_id
    total = (await tx.connection.execute(select(func.count()).select_from(subscriptions).where(mine))).scalar_one()
    query = select(subscriptions).where(mine).order_by(subscriptions.c.created_at.desc(), subscriptions.c.id.desc())
    rows = (await tx.connection.execute(query.offset(skip).limit(limit))).mappings()
    return [_subscription(tx, row) for row in rows], total


async def by_ids(tx: Tx, ids: Iterable[UUID], *, lock: bool = False) -> dict[UUID, Subscription]:
    """Subscriptions of any tenant, for the worker that delivers; locked against a change meanwhile when asked."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    query = select(subscriptions).where(subscriptions.c.id.in_(wanted)).order_by(subscriptions.c.id)
    rows = (await tx.connection.execute(query.with_for_update() if lock else query)).mappings()
    return {row["id"]: _subscription(tx, row) for row in rows}


_WANTING = (
    select(subscriptions.c.tenant_id, subscriptions.c.id, subscriptions.c.event_types)
    .where(subscriptions.c.tenant_id.in_(bindparam("ids", expanding=True)), subscriptions.c.is_active)
    .order_by(subscriptions.c.id)
)


async def wanting(tx: Tx, tenant_ids: Iterable[UUID]) -> dict[UUID, list[tuple[UUID, tuple[str, ...]]]]:
    """Per tenant, the active subscriptions and the event types they want."""
    found: dict[UUID, list[tuple[UUID, tuple[str, ...]]]] = {}
    for tenant_id, ident, types in await tx.connection.execute(_WANTING, {"ids": list(tenant_ids)}):
        found.setdefault(tenant_id, []).append((ident, tuple(types)))
    return found
