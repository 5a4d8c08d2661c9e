"""Accounts: tenants, the users who belong to them, and what the operator allows them."""

from uuid import UUID

from taskyard.domain.actors import Actor, Issuer, Member, Permission, Person, Principal, Role, Tenant, User, member
from taskyard.domain.credentials import checked_email, checked_name, normalized_email
from taskyard.domain.errors import Conflict, Forbidden, LimitExceeded, NotFound
from taskyard.domain.ids import new_id
from taskyard.domain.rules import Rules
from taskyard.services.transactions import Tx
from taskyard.store import api_keys, logins, people, tenants, users

OPERATOR_TENANT = "Operator"
MAX_CLAIMED = 1000
"""Accounts one outside user may have: every request reads them all, so somebody could else claim the yard slow."""


async def register(
    tx: Tx, *, email: str, full_name: str, password_hash: str, tenant_name: str
) -> tuple[User, Tenant, Role]:
    """A new user with a tenant of their own, open to anyone: without commands and private addresses (RULINGS §4).

    They are its admin (RULINGS §5 D4). Raises `Conflict` EMAIL_TAKEN, `Invalid`.
    """
    user = await _add_user(tx, email, full_name, password_hash)
    tenant = await _found(tx, new_id(), checked_name(tenant_name, "tenant_name"), user, Role.ADMIN)
    return user, tenant, Role.ADMIN


async def first_owner(tx: Tx, email: str, password_hash: str, full_name: str) -> tuple[User, Tenant] | None:
    """The operator's tenant and its owner, on an empty database; None when there is any user already."""
    if await users.any_known(tx):
        return None
    user = await _add_user(tx, email, full_name, password_hash)
    tenant = await _found(tx, new_id(), OPERATOR_TENANT, user, Role.OWNER, of_operator=True)
    return user, tenant


async def find_operator(tx: Tx) -> Actor | None:
    """The owner of the operator's tenant, in whose name the settings speak; None on an empty database."""
    found = await tenants.operator_owner(tx)
    return None if found is None else member(found[0], found[1].user, found[1].role)


async def add_user(tx: Tx, actor: Actor, *, email: str, full_name: str, password_hash: str, role: Role) -> User:
    """A new user in the actor's tenant. Raises `Forbidden`, `Conflict` EMAIL_TAKEN, `Invalid`."""
    actor.require(Permission.ADMIN)
    actor.require_power_over(role)
    user = await _add_user(tx, email, full_name, password_hash)
    await tenants.add_member(tx, actor.tenant_id, user.id, role)
    return user


async def list_users(tx: Tx, actor: Actor) -> list[Member]:
    """The members of the actor's tenant, oldest first."""
    actor.require(Permission.READ)
    return await tenants.list_members(tx, actor.tenant_id)


async def find_user(tx: Tx, actor: Actor, email: str) -> Person:
    """The person with that address, among the members of the actor's tenant or, for the operator, everybody.

    Raises `NotFound`.
    """
    actor.require(Permission.READ)
    address = normalized_email(email)
    return _within_reach(actor, await people.by_email(tx, address) if address.isprintable() else None, email)


async def disable_user(tx: Tx, actor: Actor, user_id: UUID) -> None:
    """Switch a user off: all their tokens, sessions and keys stop working at once. Raises as `_require_charge` does,
    and `Conflict` for oneself.
    """
    await _require_charge(tx, actor, user_id)
    if user_id == actor.user_id:
        raise Conflict("You cannot disable yourself", code="USER_IS_YOURSELF")
    await users.set_active(tx, user_id, active=False)
    await logins.revoke_all(tx, user_id)
    await api_keys.revoke_all(tx, user_id)


async def enable_user(tx: Tx, actor: Actor, user_id: UUID) -> None:
    """Switch a user on again. Their keys and sessions stay ended. Raises as `_require_charge` does."""
    await _require_charge(tx, actor, user_id)
    await users.set_active(tx, user_id, active=True)


async def set_password(tx: Tx, actor: Actor, user_id: UUID, password_hash: str) -> None:
    """Give a user who lost theirs another password and end their sessions. Raises as `_require_charge` does."""
    await _require_charge(tx, actor, user_id)
    await users.set_password(tx, user_id, password_hash)
    await logins.revoke_all(tx, user_id)


async def _require_charge(tx: Tx, actor: Actor, user_id: UUID) -> None:
    """Raises `NotFound`; `Forbidden` unless the actor may decide about this user: no tenant may shut or open another
    one's door, so beyond those who belong to the actor's alone only the operator may.
    """
    actor.require(Permission.ADMIN)
    person = _within_reach(actor, await people.by_id(tx, user_id), user_id)
    for held in person.memberships:
        if held.tenant.id == actor.tenant_id:
            actor.require_power_over(held.role)
    if not actor.operates() and len(person.memberships) > 1:
        raise Forbidden("This user belongs to other accounts as well; only the operator can change them")


async def list_tenants(tx: Tx, actor: Actor) -> list[Tenant]:
    """Every tenant of the yard, for the operator. Raises `Forbidden`."""
    actor.require_operator()
    return await tenants.list_all(tx)


async def allow_commands(tx: Tx, actor: Actor, tenant_id: UUID, *, allowed: bool) -> Tenant:
    """Let a tenant run commands on the yard's machines, or not (RULINGS §4). Raises `Forbidden`, `NotFound`."""
    return await _allow(tx, actor, tenant_id, "commands_allowed", allowed=allowed)


async def allow_private_network(tx: Tx, actor: Actor, tenant_id: UUID, *, allowed: bool) -> Tenant:
    """Let a tenant call private and loopback addresses, or not (RULINGS §4). Raises `Forbidden`, `NotFound`."""
    return await _allow(tx, actor, tenant_id, "private_network_allowed", allowed=allowed)


async def claim(tx: Tx, principal: Principal, account_id: UUID, rules: Rules) -> Actor:
    """The principal acting in the tenant `account_id`, which is made and theirs when nobody has ever named it.

    Only a Supabase user makes accounts so, and only if the operator lets them (RULINGS §5 D3). Of two who claim an id
    at once one becomes its owner. Raises `Forbidden` otherwise, `LimitExceeded` ACCOUNT_LIMIT.
    """
    known = principal.actors.get(account_id)
    if known is not None:
        return known
    if principal.issuer is not Issuer.SUPABASE:
        return principal.within(account_id)
    if rules.create_unknown_accounts and await tenants.get(tx, account_id) is None:
        if len(principal.actors) >= MAX_CLAIMED:
            raise LimitExceeded(f"You have {MAX_CLAIMED} accounts, which is the most", code="ACCOUNT_LIMIT")
        await claim_tenant(tx, account_id, principal.user)
    # Another request of the same user may have made it since they were authenticated.
    membership = await tenants.get_membership(tx, account_id, principal.user.id)
    if membership is None:
        return principal.within(account_id)
    return member(membership.tenant, principal.user, membership.role)


async def claim_tenant(tx: Tx, tenant_id: UUID, user: User) -> bool:
    """Make the tenant with that id, owned by `user`; False when somebody was first."""
    tenant = Tenant(tenant_id, user.full_name, False, False, False, tx.now)
    added = await tenants.add(tx, tenant)
    return added and await tenants.add_member(tx, tenant_id, user.id, Role.OWNER)


async def _add_user(tx: Tx, email: str, full_name: str, password_hash: str) -> User:
    name = checked_name(full_name, "full_name")
    user = User(new_id(), checked_email(email), name, True, tx.now, password_hash=password_hash)
    if not await users.add(tx, user):
        raise Conflict("Email already registered", code="EMAIL_TAKEN")
    return user


async def _found(tx: Tx, tenant_id: UUID, name: str, user: User, role: Role, *, of_operator: bool = False) -> Tenant:
    tenant = Tenant(tenant_id, name, of_operator, of_operator, of_operator, tx.now)
    await tenants.add(tx, tenant)
    await tenants.add_member(tx, tenant.id, user.id, role)
    return tenant


def _within_reach(actor: Actor, person: Person | None, asked: object) -> Person:
    if person is None:
        raise NotFound("user", asked)
    if not actor.operates() and all(held.tenant.id != actor.tenant_id for held in person.memberships):
        raise NotFound("user", asked)
    return person


async def _allow(tx: Tx, actor: Actor, tenant_id: UUID, permit: str, *, allowed: bool) -> Tenant:
    actor.require_operator()
    tenant = await tenants.allow(tx, tenant_id, {permit: allowed})
    if tenant is None:
        raise NotFound("tenant", tenant_id)
    return tenant
