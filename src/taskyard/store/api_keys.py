"""API keys at rest: hashes only."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, or_, select, update

from taskyard.domain.credentials import ApiKey
from taskyard.store.database import Tx
from taskyard.store.newcomers import add_new
from taskyard.store.tables import api_keys

_SHOWN = tuple(column for column in api_keys.c if column.name != "key_hash")


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(**row)


async def add(tx: Tx, key: ApiKey, key_hash: str) -> bool:
    """Store a new key; False when that key is there already."""
    row = {column.name: getattr(key, column.name) for column in _SHOWN}
    return await add_new(tx, api_keys, ["key_hash"], row | {"key_hash": key_hash})


async def list_for(tx: Tx, tenant_id: UUID, user_id: UUID | None) -> list[ApiKey]:
    """The tenant's keys, revoked ones too, oldest first; those of one user when named."""
    where: list[ColumnElement[bool]] = [api_keys.c.tenant_id == tenant_id]
    if user_id is not None:
        where.append(api_keys.c.user_id == user_id)
    query = select(*_SHOWN).where(*where).order_by(api_keys.c.created_at, api_keys.c.id)
    return [_key(row) for row in (await tx.connection.execute(query)).mappings()]


async def get(tx: Tx, tenant_id: UUID, key_id: UUID) -> ApiKey | None:
    """The tenant's key with that id."""
    query = select(*_SHOWN).where(api_keys.c.tenant_id == tenant_id, api_keys.c.id == key_id)
    row = (await tx.connection.execute(query)).mappings().first()
    return None if row is None else _key(row)


async def by_hash(tx: Tx, key_hash: str) -> ApiKey | None:
    """The key with that hash, whichever tenant's it is."""
    row = (await tx.connection.execute(select(*_SHOWN).where(api_keys.c.key_hash == key_hash))).mappings().first()
    return None if row is None else _key(row)


async def revoke(tx: Tx, tenant_id: UUID, key_id: UUID) -> None:
    """End the tenant's key now, unless it ended before."""
    await _revoke(tx, api_keys.c.tenant_id == tenant_id, api_keys.c.id == key_id)


async def revoke_named(tx: Tx, tenant_id: UUID, name: str, *, but: str | None) -> None:
    """End all keys of that name in the tenant, except the one with the hash `but`."""
    named = (api_keys.c.tenant_id == tenant_id, api_keys.c.name == name)
    await _revoke(tx, *named, *(() if but is None else (api_keys.c.key_hash != but,)))


async def revoke_all(tx: Tx, user_id: UUID) -> None:
    """End all keys of a user, in every tenant."""
    await _revoke(tx, api_keys.c.user_id == user_id)


async def restore(tx: Tx, tenant_id: UUID, key_id: UUID) -> None:
    """Let a revoked key of the tenant work again."""
    where = (api_keys.c.tenant_id == tenant_id, api_keys.c.id == key_id)
    await tx.connection.execute(update(api_keys).where(*where).values(revoked_at=None))


async def note_use(tx: Tx, key_id: UUID, unless_since: datetime) -> None:
    """Remember that the key was used now, unless a use after `unless_since` is known."""
    stale = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= unless_since)
    await tx.connection.execute(update(api_keys).where(api_keys.c.id == key_id, stale).values(last_used_at=tx.now))


async def _revoke(tx: Tx, *where: ColumnElement[bool]) -> None:
    living = update(api_keys).where(*where, api_keys.c.revoked_at.is_(None))
    await tx.connection.execute(living.values(revoked_at=tx.now))
