"""API keys: made, listed and revoked by their users; an administrator does so for the whole tenant."""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from taskyard.domain.actors import Actor, Permission
from taskyard.domain.credentials import ApiKey, checked_name
from taskyard.domain.errors import Conflict, Invalid, NotFound
from taskyard.domain.ids import new_id
from taskyard.services.tokens import looks_signed
from taskyard.services.transactions import Tx
from taskyard.store import api_keys, people

PREFIX = "ty_"
SETTING_NAME = "API_KEY setting"
"""The name of the key that the setting `API_KEY` gives; no other key may have it."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `secret` is shown this once and never stored."""

    key: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"NewKey(key={self.key!r})"


def hash_key(secret: str) -> str:
    """What is stored of a key. A key we make has 256 random bits, which no guessing reaches: slow hashing would only
    slow down every request. The operator's own `API_KEY` is as strong as the operator chose it.
    """
    return sha256(secret.encode(errors="surrogatepass")).hexdigest()


async def create(tx: Tx, actor: Actor, name: str, *, user_id: UUID | None = None) -> NewKey:
    """A new key of the actor, or of `user_id`, a member of the actor's tenant.

    Raises `Forbidden` (own keys need `write`, others' `admin`), `NotFound` for no such member, `Conflict`
    USER_DISABLED, `Invalid`.
    """
    holder = user_id or actor.user_id
    if holder is None:
        raise Invalid("Say whose key it is to be", field="user_id")
    actor.require(Permission.WRITE if holder == actor.user_id else Permission.ADMIN)
    person = await people.by_id(tx, holder)
    memberships = person.memberships if person is not None else ()
    membership = next((held for held in memberships if held.tenant.id == actor.tenant_id), None)
    if person is None or membership is None:
        raise NotFound("user", holder)
    if not person.user.is_active:
        raise Conflict("The user is switched off", code="USER_DISABLED")
    # A key acts as its user, so it must not lend an administrator an owner's power.
    actor.require_power_over(membership.role)
    title = checked_name(name, "name")
    if title == SETTING_NAME:
        raise Invalid("This name is kept for the key of the settings", field="name")
    shown = PREFIX + secrets.token_urlsafe(6)
    secret = shown + secrets.token_urlsafe(32)
    key = ApiKey(new_id(), actor.tenant_id, holder, title, shown, tx.now)
    await api_keys.add(tx, key, hash_key(secret))
    return NewKey(key, secret)


async def list_keys(tx: Tx, actor: Actor) -> list[ApiKey]:
    """The actor's own keys in this tenant, all of the tenant's for an administrator; revoked ones too."""
    actor.require(Permission.READ)
    everyone = Permission.ADMIN in actor.permissions
    if not everyone and actor.user_id is None:
        return []
    return await api_keys.list_for(tx, actor.tenant_id, None if everyone else actor.user_id)


async def revoke(tx: Tx, actor: Actor, key_id: UUID) -> None:
    """End a key now, one's own or, for an administrator, any of the tenant. Raises `NotFound`; repeatable."""
    key = await api_keys.get(tx, actor.tenant_id, key_id)
    if key is None or (key.user_id != actor.user_id and Permission.ADMIN not in actor.permissions):
        raise NotFound("API key", key_id)
    await api_keys.revoke(tx, actor.tenant_id, key_id)


async def ensure(tx: Tx, owner: Actor, secret: str | None) -> ApiKey | None:
    """Let `secret`, the setting `API_KEY`, be the owner's key, in place of what that setting was before; None takes it
    away. Repeatable. Raises `Invalid` for one that could be taken for a signed token, `Conflict` for another's key.
    """
    owner.require(Permission.ADMIN)
    if owner.user_id is None:
        raise Invalid("Say whose key it is to be", field="user_id")
    if not secret:
        await api_keys.revoke_named(tx, owner.tenant_id, SETTING_NAME, but=None)
        return None
    if looks_signed(secret):
        raise Invalid("API_KEY looks like a signed token; choose another", field="API_KEY")
    key_hash = hash_key(secret)
    await api_keys.revoke_named(tx, owner.tenant_id, SETTING_NAME, but=key_hash)
    shown = secret[: min(4, len(secret) // 4)]
    await api_keys.add(tx, ApiKey(new_id(), owner.tenant_id, owner.user_id, SETTING_NAME, shown, tx.now), key_hash)
    known = await api_keys.by_hash(tx, key_hash)
    if known is None or (known.tenant_id, known.user_id) != (owner.tenant_id, owner.user_id):
        raise Conflict("API_KEY is somebody else's key; choose another")
    await api_keys.restore(tx, owner.tenant_id, known.id)
    return await api_keys.get(tx, owner.tenant_id, known.id)
