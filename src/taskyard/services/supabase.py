"""Users whom Supabase vouches for (RULINGS §5 D3): known by its issuer and their subject there, by nothing else.

An address in a token is a claim, not a proof: it never leads to a user the house knows already, or anyone who can sign
up at Supabase under somebody's address would own that somebody's account here.
"""

from taskyard.domain.actors import Person, User
from taskyard.domain.credentials import checked_email, checked_name, placeholder_email
from taskyard.domain.errors import Invalid
from taskyard.domain.ids import new_id
from taskyard.domain.rules import Rules
from taskyard.services.accounts import claim_tenant
from taskyard.services.tokens import SupabaseToken
from taskyard.services.transactions import Tx
from taskyard.store import people, users

ISSUER = "supabase"


async def find(tx: Tx, token: SupabaseToken) -> Person | None:
    """The person the token speaks of, if they have been here before."""
    return await people.by_identity(tx, ISSUER, str(token.subject))


async def welcome(tx: Tx, token: SupabaseToken, rules: Rules) -> Person | None:
    """The person the token speaks of, made known on first sight, with an account of their own if the rules let
    outside users have one. Two first requests at once make one user.
    """
    known = await find(tx, token)
    if known is not None:
        return known
    user = await _add_user(tx, token)
    if not await users.add_identity(tx, ISSUER, str(token.subject), user.id):
        await users.remove(tx, user.id)
    elif rules.create_unknown_accounts:
        await claim_tenant(tx, new_id(), user)
    return await find(tx, token)


async def _add_user(tx: Tx, token: SupabaseToken) -> User:
    address = _usable_email(token.email)
    placeholder = placeholder_email(token.subject, ISSUER)
    user = User(new_id(), address or placeholder, _usable_name(token, address), True, tx.now)
    if address is not None and await users.add(tx, user):
        return user
    # A request of the same user that runs beside this one may hold the placeholder; a fresh one never collides.
    for email in (placeholder, placeholder_email(user.id, ISSUER)):
        user = User(user.id, email, user.full_name, True, tx.now)
        if await users.add(tx, user):
            break
    return user


def _usable_email(claimed: str | None) -> str | None:
    try:
        return checked_email(claimed or "")
    except Invalid:
        return None


def _usable_name(token: SupabaseToken, address: str | None) -> str:
    try:
        return checked_name(token.full_name or "", "full_name")
    except Invalid:
        return address.partition("@")[0] if address else "Supabase user"
