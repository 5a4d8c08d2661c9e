"""People: a user with all memberships and their tenants, in one statement, found by whatever proves who they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, RowMapping, and_, exists, select

from taskyard.domain.actors import Membership, Person, Role
from taskyard.store.database import Tx
from taskyard.store.tables import (
    api_keys,
    identities,
    login_sessions,
    memberships,
    revoked_tokens,
    tenants,
    users,
)
from taskyard.store.tenants import TENANT, tenant_of
from taskyard.store.users import USER, user_of


@dataclass(frozen=True, slots=True)
class Held:
    """A stored credential with its person. `expires_at` and `used_at` are None where it knows no such thing."""

    person: Person
    id: UUID
    revoked: bool
    expires_at: datetime | None = None
    used_at: datetime | None = None


async def by_id(tx: Tx, user_id: UUID) -> Person | None:
    """The person with that user id."""
    return _person(await _rows(tx, users, users.c.id == user_id))


async def by_email(tx: Tx, email: str) -> Person | None:
    """The person with that address, as `checked_email` wrote it."""
    return _person(await _rows(tx, users, users.c.email == email))


async def by_identity(tx: Tx, issuer: str, subject: str) -> Person | None:
    """The person an outside issuer knows as `subject`."""
    source = identities.join(users, users.c.id == identities.c.user_id)
    return _person(await _rows(tx, source, identities.c.issuer == issuer, identities.c.subject == subject))


async def by_token(tx: Tx, user_id: UUID, jti: str) -> tuple[Person, bool] | None:
    """The person, and whether the house token `jti` was revoked."""
    revoked = exists().where(revoked_tokens.c.jti == jti).label("revoked")
    rows = await _rows(tx, users, users.c.id == user_id, extra=(revoked,))
    person = _person(rows)
    return None if person is None else (person, bool(rows[0]["revoked"]))


async def by_session(tx: Tx, token_hash: str) -> Held | None:
    """The holder of a login session, ended ones too."""
    extra = (login_sessions.c.id, login_sessions.c.revoked_at, login_sessions.c.expires_at)
    source = login_sessions.join(users, users.c.id == login_sessions.c.user_id)
    rows = await _rows(tx, source, login_sessions.c.token_hash == token_hash, extra=extra)
    person = _person(rows)
    if person is None:
        return None
    return Held(person, rows[0]["id"], rows[0]["revoked_at"] is not None, expires_at=rows[0]["expires_at"])


async def by_key(tx: Tx, key_hash: str) -> Held | None:
    """The holder of an API key, revoked ones too, with the key's own tenant as their only membership."""
    extra = (api_keys.c.id, api_keys.c.revoked_at, api_keys.c.last_used_at)
    source = api_keys.join(users, users.c.id == api_keys.c.user_id)
    # The user may have left the tenant since; then there is no row, and no other tenant takes its place.
    own_tenant = memberships.c.tenant_id == api_keys.c.tenant_id
    rows = await _rows(tx, source, api_keys.c.key_hash == key_hash, own_tenant, extra=extra)
    person = _person(rows)
    if person is None:
        return None
    return Held(person, rows[0]["id"], rows[0]["revoked_at"] is not None, used_at=rows[0]["last_used_at"])


async def _rows(
    tx: Tx, source: FromClause, *where: ColumnElement[bool], extra: Sequence[ColumnElement[Any]] = ()
) -> Sequence[RowMapping]:
    joined = source.outerjoin(memberships, memberships.c.user_id == users.c.id).outerjoin(
        tenants, tenants.c.id == memberships.c.tenant_id
    )
    query = (
        select(*USER, memberships.c.role, *TENANT, *extra)
        .select_from(joined)
        .where(and_(*where))
        .order_by(memberships.c.created_at, tenants.c.id)
    )
    return (await tx.connection.execute(query)).mappings().all()


def _person(rows: Sequence[RowMapping]) -> Person | None:
    if not rows:
        return None
    held = (Membership(tenant_of(row), Role(row["role"])) for row in rows if row["role"] is not None)
    return Person(user_of(rows[0]), tuple(held))
