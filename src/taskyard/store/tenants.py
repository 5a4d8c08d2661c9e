"""Tenants at rest, and who belongs to them in which role."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import RowMapping, bindparam, select, update

from taskyard.domain.actors import Member, Membership, Role, Tenant
from taskyard.store.database import Tx
from taskyard.store.newcomers import add_new
from taskyard.store.tables import memberships, tenants, users
from taskyard.store.users import USER, user_of

TENANT = tuple(column.label(f"tenant_{column.name}") for column in tenants.c)


def tenant_of(row: RowMapping) -> Tenant:
    """The tenant in a row that selected `TENANT`."""
    return Tenant(**{column.name: row[f"tenant_{column.name}"] for column in tenants.c})


async def add(tx: Tx, tenant: Tenant) -> bool:
    """Store a new tenant; False when its id is taken."""
    row = {column.name: getattr(tenant, column.name) for column in tenants.c}
    return await add_new(tx, tenants, ["id"], row)


async def get(tx: Tx, tenant_id: UUID) -> Tenant | None:
    """The tenant with that id."""
    row = (await tx.connection.execute(select(*TENANT).where(tenants.c.id == tenant_id))).mappings().first()
    return None if row is None else tenant_of(row)


_BY_IDS = select(*TENANT).where(tenants.c.id.in_(bindparam("ids", expanding=True)))


async def by_ids(tx: Tx, tenant_ids: Iterable[UUID]) -> dict[UUID, Tenant]:
    """The tenants with those ids, for the worker that is about to run their executions."""
    rows = (await tx.connection.execute(_BY_IDS, {"ids": list(tenant_ids)})).mappings()
    found = [tenant_of(row) for row in rows]
    return {tenant.id: tenant for tenant in found}


async def list_all(tx: Tx) -> list[Tenant]:
    """Every tenant of the yard, oldest first."""
    query = select(*TENANT).order_by(tenants.c.created_at, tenants.c.id)
    return [tenant_of(row) for row in (await tx.connection.execute(query)).mappings()]


async def allow(tx: Tx, tenant_id: UUID, permits: Mapping[str, bool]) -> Tenant | None:
    """Set `commands_allowed` or `private_network_allowed`; the tenant as it is then, None when there is none."""
    statement = update(tenants).where(tenants.c.id == tenant_id).values(dict(permits)).returning(*TENANT)
    row = (await tx.connection.execute(statement)).mappings().first()
    return None if row is None else tenant_of(row)


async def add_member(tx: Tx, tenant_id: UUID, user_id: UUID, role: Role) -> bool:
    """Make the user a member; False when they are one already."""
    row = {"tenant_id": tenant_id, "user_id": user_id, "role": role.value, "created_at": tx.now}
    return await add_new(tx, memberships, ["tenant_id", "user_id"], row)


async def list_members(tx: Tx, tenant_id: UUID) -> list[Member]:
    """The tenant's members, oldest first."""
    query = (
        select(*USER, memberships.c.role)
        .join_from(memberships, users, users.c.id == memberships.c.user_id)
        .where(memberships.c.tenant_id == tenant_id)
        .order_by(memberships.c.created_at, users.c.id)
    )
    return [Member(user_of(row), Role(row["role"])) for row in (await tx.connection.execute(query)).mappings()]


async def get_membership(tx: Tx, tenant_id: UUID, user_id: UUID) -> Membership | None:
    """The user's place in the tenant."""
    query = (
        select(*TENANT, memberships.c.role)
        .join_from(memberships, tenants, tenants.c.id == memberships.c.tenant_id)
        .where(memberships.c.tenant_id == tenant_id, memberships.c.user_id == user_id)
    )
    row = (await tx.connection.execute(query)).mappings().first()
    return None if row is None else Membership(tenant_of(row), Role(row["role"]))


async def operator_owner(tx: Tx) -> tuple[Tenant, Member] | None:
    """The operator's own tenant and its first active owner."""
    query = (
        select(*TENANT, *USER, memberships.c.role)
        .join_from(memberships, tenants, tenants.c.id == memberships.c.tenant_id)
        .join(users, users.c.id == memberships.c.user_id)
        .where(tenants.c.is_operator, users.c.is_active, memberships.c.role == Role.OWNER.value)
        .order_by(memberships.c.created_at, users.c.id)
        .limit(1)
    )
    row = (await tx.connection.execute(query)).mappings().first()
    return None if row is None else (tenant_of(row), Member(user_of(row), Role(row["role"])))
