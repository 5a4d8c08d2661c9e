"""Events at rest, numbered per tenant by a counter in the same transaction.

A sequence would commit out of order and leave gaps, so it could not serve as a cursor; a counter row makes the
writers of one tenant take turns for the short end of their transactions.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import ModuleType
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, bindparam, delete, exists, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from taskyard.domain.events import Event
from taskyard.store.database import Tx
from taskyard.store.tables import event_counters, events, subscriptions


def _take_numbers(dialect: ModuleType) -> Any:
    taken = dialect.insert(event_counters).values(tenant_id=bindparam("tenant"), seq=bindparam("count"))
    raised = {"seq": event_counters.c.seq + taken.excluded.seq}
    heard = exists().where(subscriptions.c.tenant_id == bindparam("tenant"), subscriptions.c.is_active)
    taken = taken.on_conflict_do_update(index_elements=["tenant_id"], set_=raised)
    return taken.returning(event_counters.c.seq, heard.label("heard"))


_TAKE_ON_SQLITE = _take_numbers(sqlite)
_TAKE_ON_POSTGRESQL = _take_numbers(postgresql)


async def take_numbers(tx: Tx, tenant_id: UUID, count: int) -> tuple[int, bool]:
    """Reserve `count` consecutive numbers for the tenant: the first of them, and whether anybody subscribes."""
    statement = _TAKE_ON_SQLITE if tx.is_sqlite else _TAKE_ON_POSTGRESQL
    row = (await tx.connection.execute(statement, {"tenant": tenant_id, "count": count})).mappings().one()
    return row["seq"] - count + 1, bool(row["heard"])


_ADD = insert(events)


async def add(tx: Tx, added: Sequence[Event]) -> None:
    """Store numbered events."""
    rows: list[Mapping[str, Any]] = [
        {
            "tenant_id": event.tenant_id,
            "seq": event.seq,
            "id": event.id,
            "type": event.type,
            "time": event.time,
            "actor": event.actor,
            "job_id": event.job_id,
            "execution_id": event.execution_id,
            "data": dict(event.data),
        }
        for event in added
    ]
    if rows:
        await tx.connection.execute(_ADD, rows)


async def after(
    tx: Tx, tenant_id: UUID, seq: int, limit: int, *, types: Sequence[str] = (), job_id: UUID | None = None
) -> list[Event]:
    """The tenant's events numbered higher than `seq`, in order; `types` may end in ".*"."""
    query = select(events).where(events.c.tenant_id == tenant_id, events.c.seq > seq)
    if job_id is not None:
        query = query.where(events.c.job_id == job_id)
    exact = [name for name in types if not name.endswith("*")]
    prefixes = [name[:-1] for name in types if name.endswith("*")]
    if types:
        wanted = events.c.type.in_(exact)
        for prefix in prefixes:
            wanted = wanted | events.c.type.startswith(prefix, autoescape=True)
        query = query.where(wanted)
    rows = (await tx.connection.execute(query.order_by(events.c.seq).limit(limit))).mappings()
    return [_event(row) for row in rows]


async def head(tx: Tx, tenant_id: UUID) -> int:
    """The number of the tenant's latest event, 0 when there is none."""
    query = select(event_counters.c.seq).where(event_counters.c.tenant_id == tenant_id)
    return (await tx.connection.execute(query)).scalar() or 0


async def count(tx: Tx, tenant_id: UUID) -> int:
    """How many of the tenant's events are kept."""
    query = select(func.count()).select_from(events).where(events.c.tenant_id == tenant_id)
    return (await tx.connection.execute(query)).scalar_one()


async def prune(tx: Tx, before: datetime, limit: int) -> int:
    """Delete events older than `before`; how many went. Numbers are never used again."""
    old = select(events.c.id).where(events.c.time < before).limit(limit)
    return (await tx.connection.execute(delete(events).where(events.c.id.in_(old), events.c.time < before))).rowcount


def _event(row: RowMapping) -> Event:
    return Event(**row)
