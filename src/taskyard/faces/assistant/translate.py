"""From the house's words to D4's."""

from taskyard.domain.actors import Principal, Role, Tenant, User
from taskyard.domain.credentials import ApiKey
from taskyard.faces.assistant.schemas import identity as schemas
from taskyard.services.identity import SignedIn
from taskyard.services.keys import NewKey


def registered(user: User, tenant: Tenant, role: Role) -> schemas.Registered:
    """A user with their new tenant."""
    return schemas.Registered(
        id=user.id,
        email=user.email,
        full_name=user.full_name,
        role=role.value,
        tenant_id=tenant.id,
        created_at=user.created_at,
    )


def token(signed_in: SignedIn) -> schemas.Token:
    """A fresh token."""
    return schemas.Token(access_token=signed_in.token, expires_in=signed_in.expires_in)


def me(caller: Principal) -> schemas.Me:
    """The caller, in the tenant its credential means."""
    actor = caller.default
    return schemas.Me(
        id=caller.user.id,
        email=caller.user.email,
        full_name=caller.user.full_name,
        tenant_id=actor.tenant_id,
        role=actor.role.value,
        permissions=sorted(permission.value for permission in actor.permissions),
        created_at=caller.user.created_at,
    )


def key(found: ApiKey) -> schemas.Key:
    """A key without the key."""
    return schemas.Key(
        id=found.id,
        name=found.name,
        prefix=found.prefix,
        user_id=found.user_id,
        created_at=found.created_at,
        last_used_at=found.last_used_at,
        revoked_at=found.revoked_at,
    )


def made_key(made: NewKey) -> schemas.MadeKey:
    """A key with the key, this once."""
    return schemas.MadeKey(**key(made.key).model_dump(), key=made.secret)
