"""Who asks, and what they may do: tenants, users, roles, permissions (RULINGS §4, §5 D3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from taskyard.domain.errors import Forbidden

COMMANDS_FORBIDDEN = "This tenant may not run commands; the operator can allow it with `taskyard tenant allow-commands`"


class Permission(StrEnum):
    """What an actor may do within its tenant; `execute` is the running of commands on the operator's machines."""

    READ = "read"
    WRITE = "write"
    EXECUTE = "execute"
    ADMIN = "admin"


class Role(StrEnum):
    """A member's part in a tenant."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"


class Issuer(StrEnum):
    """Who vouches for a principal: the house (its tokens and cookies), Supabase, or an API key."""

    HOUSE = "house"
    SUPABASE = "supabase"
    API_KEY = "api_key"


PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.ADMIN: frozenset(Permission),
    Role.DEVELOPER: frozenset({Permission.READ, Permission.WRITE, Permission.EXECUTE}),
    Role.VIEWER: frozenset({Permission.READ}),
}


@dataclass(frozen=True, slots=True)
class Tenant:
    """An account whose members see only what is its own. The operator's own tenant may run commands and call
    private addresses; tenants made by open registration may not, unless the operator says so.
    """

    id: UUID
    name: str
    is_operator: bool
    commands_allowed: bool
    private_network_allowed: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """A person. `password_hash` is None for users known only through an outside issuer."""

    id: UUID
    email: str
    full_name: str
    is_active: bool
    created_at: datetime
    last_login_at: datetime | None = None
    password_hash: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Membership:
    """A tenant as one of its members sees it."""

    tenant: Tenant
    role: Role


@dataclass(frozen=True, slots=True)
class Member:
    """A user as their tenant sees them."""

    user: User
    role: Role


@dataclass(frozen=True, slots=True)
class Person:
    """A user with all their memberships, oldest first."""

    user: User
    memberships: tuple[Membership, ...]


@dataclass(frozen=True, slots=True)
class Actor:
    """A user (or the yard itself, `user_id` None) acting within one tenant."""

    tenant_id: UUID
    role: Role
    permissions: frozenset[Permission]
    user_id: UUID | None = None
    name: str = "taskyard"
    of_operator: bool = False

    def require(self, permission: Permission) -> None:
        """Raises `Forbidden` when the actor lacks `permission`, in a sentence that says what to do."""
        if permission in self.permissions:
            return
        if permission is Permission.EXECUTE and permission in PERMISSIONS[self.role]:
            raise Forbidden(COMMANDS_FORBIDDEN)
        raise Forbidden(f"Role {self.role.value} lacks the permission {permission.value!r}")

    def operates(self) -> bool:
        """Whether the actor administers the operator's own tenant, and with it the yard."""
        return self.of_operator and Permission.ADMIN in self.permissions

    def require_operator(self) -> None:
        """Raises `Forbidden` unless the actor operates the yard."""
        if not self.operates():
            raise Forbidden("Only the operator of this yard may do this")

    def require_power_over(self, role: Role) -> None:
        """Raises `Forbidden` when a member of `role` is above the actor: only owners make, disable or act as owners."""
        if role is Role.OWNER and self.role is not Role.OWNER:
            raise Forbidden("Only an owner may do this to an owner")


@dataclass(frozen=True, slots=True)
class Principal:
    """A proven credential: its user and an actor for every tenant it opens; `default` is the one meant unless named."""

    user: User
    default: Actor
    actors: Mapping[UUID, Actor]
    issuer: Issuer = Issuer.HOUSE

    def within(self, tenant_id: UUID) -> Actor:
        """The actor of this principal in `tenant_id`. Raises `Forbidden` for a tenant it doesn't open."""
        actor = self.actors.get(tenant_id)
        if actor is None:
            raise Forbidden("You have no access to this account")
        return actor


def member(tenant: Tenant, user: User, role: Role) -> Actor:
    """`user` acting in `tenant` as `role`."""
    permissions = PERMISSIONS[role]
    if not tenant.commands_allowed:
        permissions = permissions - {Permission.EXECUTE}
    return Actor(tenant.id, role, permissions, user.id, user.email, tenant.is_operator)


def principal(person: Person, *, issuer: Issuer = Issuer.HOUSE, default: UUID | None = None) -> Principal:
    """What a proven credential of `person` opens: every tenant of theirs; `default` (else the oldest) unless named.

    Raises `Forbidden` when they belong to no tenant, or not to `default`.
    """
    actors = {held.tenant.id: member(held.tenant, person.user, held.role) for held in person.memberships}
    chosen = next(iter(actors), None) if default is None else default
    if chosen is None or chosen not in actors:
        raise Forbidden("You belong to no account here; ask the operator for access")
    return Principal(person.user, actors[chosen], actors, issuer)


def system(tenant_id: UUID) -> Actor:
    """The yard acting by itself in `tenant_id`: the clock, a worker, the reaper."""
    return Actor(tenant_id, Role.OWNER, frozenset(Permission), of_operator=True)


VEIL = "***"


def veiled(values: Mapping[str, str], actor: Actor) -> dict[str, str]:
    """Values that may be keys (headers, query, environment): as they are for those who could have written them."""
    return dict(values) if Permission.WRITE in actor.permissions else dict.fromkeys(values, VEIL)
