"""Who is asking: every credential of the house, from any face, to a `Principal`; signing in and out.

One person, one account (RULINGS §1): a token, a cookie and an API key lead to the same user. What is wrong with a
credential is said in a few plain messages, none of which tells whether a person is known here.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from taskyard.domain.actors import Issuer, Person, Principal, Role, Tenant, User, principal
from taskyard.domain.credentials import checked_email, checked_name
from taskyard.domain.errors import Forbidden, Invalid, Unauthenticated, Unavailable
from taskyard.domain.rules import Rules
from taskyard.services import accounts, keys, logins, passwords, supabase, tokens
from taskyard.services.tokens import EXPIRED, INVALID, MISSING, REVOKED, HouseToken, SupabaseToken
from taskyard.services.transactions import Database
from taskyard.store import api_keys, people, users
from taskyard.store import logins as stored_logins

INVALID_KEY = "Invalid API key"
WRONG_PASSWORD = "Incorrect email or password"  # noqa: S105 - said to people, no secret
DISABLED = "Account is disabled"
REGISTRATION_CLOSED = "Registration is closed here; ask the operator for an account (taskyard user create)"

KEY_USE_NOTED_EVERY = timedelta(minutes=1)
NOTING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A proven person with a fresh credential: a house token, or a session's token. `expires_in` is in seconds."""

    token: str
    expires_in: int
    user: User
    principal: Principal

    def __repr__(self) -> str:
        return f"SignedIn(user={self.user!r}, expires_in={self.expires_in})"


class Identity:
    """Proves credentials. Nothing is remembered between calls, so what is revoked is refused at once, everywhere."""

    def __init__(
        self,
        database: Database,
        secret_key: str,
        supabase_jwt_secret: str | None,
        rules: Rules,
        *,
        token_seconds: int = tokens.LIFETIME_SECONDS,
    ) -> None:
        """`token_seconds` is the life of a house token. Raises `ValueError` for a Supabase secret that is no secret."""
        self._database = database
        self._house_key = tokens.house_key(secret_key)
        self._supabase_key = tokens.supabase_key(supabase_jwt_secret) if supabase_jwt_secret else None
        self._rules = rules
        self._noting: asyncio.Task[None] | None = None
        self._token_seconds = token_seconds

    async def authenticate_bearer(self, token: str) -> Principal:
        """Whose a house token, a Supabase token or an API key is. Raises `Unauthenticated`; `Forbidden` for a person
        without any tenant.
        """
        if not token:
            raise Unauthenticated(MISSING)
        if not tokens.looks_signed(token):
            return await self._by_key(token, INVALID_KEY if token.startswith(keys.PREFIX) else INVALID)
        now = self._database.clock()
        house = tokens.read_house(self._house_key, token, now)
        if house is not None:
            return await self._by_house_token(house)
        outside = None if self._supabase_key is None else tokens.read_supabase(self._supabase_key, token, now)
        if outside is not None:
            return await self._by_supabase_token(outside)
        raise Unauthenticated(INVALID)

    async def authenticate_key(self, key: str) -> Principal:
        """Whose an API key is, in that key's tenant alone. Raises `Unauthenticated`."""
        if not key:
            raise Unauthenticated(MISSING)
        return await self._by_key(key, INVALID_KEY)

    async def authenticate_session(self, token: str) -> Principal:
        """Whose a login session is. Raises `Unauthenticated`."""
        if not token:
            raise Unauthenticated(MISSING)
        async with self._database.read() as tx:
            held = await people.by_session(tx, logins.hash_token(token))
        if held is None or held.expires_at is None:
            raise Unauthenticated(INVALID)
        person = _active(held.person)
        if held.revoked:
            raise Unauthenticated(REVOKED)
        if held.expires_at <= tx.now:
            raise Unauthenticated(EXPIRED)
        return principal(person)

    async def register(
        self, *, email: str, password: str, full_name: str, tenant_name: str
    ) -> tuple[User, Tenant, Role]:
        """A new user with a tenant of their own. Raises `Invalid`, `Conflict` EMAIL_TAKEN, `Forbidden` where the
        operator has closed registration.
        """
        if not self._rules.open_registration:
            raise Forbidden(REGISTRATION_CLOSED)
        # Hashing costs; what cannot succeed is refused before.
        checked_email(email)
        checked_name(full_name, "full_name")
        checked_name(tenant_name, "tenant_name")
        password_hash = await passwords.hash_password(password)
        async with self._database.write() as tx:
            return await accounts.register(
                tx, email=email, full_name=full_name, password_hash=password_hash, tenant_name=tenant_name
            )

    async def sign_in(self, email: str, password: str) -> SignedIn:
        """A house token for the right password. Raises `Unauthenticated`, code ACCOUNT_DISABLED for a disabled user
        who knows theirs.
        """
        proven = principal(await self._prove(email, password))
        async with self._database.write() as tx:
            await users.note_login(tx, proven.user.id, tx.now)
        return self._signed_in(proven, proven.default.tenant_id)

    async def open_session(self, email: str, password: str) -> SignedIn:
        """A login session, for a cookie, for the right password. Raises as `sign_in` does."""
        proven = principal(await self._prove(email, password))
        async with self._database.write() as tx:
            await users.note_login(tx, proven.user.id, tx.now)
            token = await logins.begin(tx, proven.user.id)
        return SignedIn(token, int(logins.LIFETIME.total_seconds()), proven.user, proven)

    async def refresh(self, token: str) -> SignedIn:
        """A fresh house token for one that is still good, and stays so (RULINGS §5 D1). Raises `Unauthenticated`."""
        house = self._read_house(token)
        return self._signed_in(await self._by_house_token(house), house.tenant_id)

    async def sign_out(self, token: str) -> None:
        """Refuse a house token or a login session from now on. Repeatable. Raises `Unauthenticated` for a token that
        is none of ours, `Invalid` for an API key, which is revoked instead.
        """
        if token.startswith(keys.PREFIX):
            raise Invalid("An API key is not signed out but revoked", field="token")
        if not tokens.looks_signed(token):
            async with self._database.write() as tx:
                await logins.end(tx, token)
            return
        house = self._read_house(token)
        async with self._database.write() as tx:
            await stored_logins.revoke_token(tx, house.id, house.expires_at)

    def issue(self, user_id: UUID, tenant_id: UUID, *, lifetime_seconds: int | None = None) -> str:
        """A house token for a user the caller vouches for: the operator, at the command line."""
        return tokens.issue(
            self._house_key,
            user_id=user_id,
            tenant_id=tenant_id,
            now=self._database.clock(),
            lifetime_seconds=lifetime_seconds or self._token_seconds,
        )

    def _signed_in(self, proven: Principal, tenant_id: UUID) -> SignedIn:
        return SignedIn(self.issue(proven.user.id, tenant_id), self._token_seconds, proven.user, proven)

    def _read_house(self, token: str) -> HouseToken:
        if not token:
            raise Unauthenticated(MISSING)
        house = tokens.read_house(self._house_key, token, self._database.clock())
        if house is None:
            raise Unauthenticated(INVALID)
        return house

    async def _prove(self, email: str, password: str) -> Person:
        person = None
        try:
            address = checked_email(email)
        except Invalid:
            address = None
        if address is not None:
            async with self._database.read() as tx:
                person = await people.by_email(tx, address)
        # Unknown or not, the same work follows (see `passwords.verify`).
        right = await passwords.verify(password, None if person is None else person.user.password_hash)
        if person is None or not right:
            raise Unauthenticated(WRONG_PASSWORD)
        return _active(person)

    async def _by_house_token(self, token: HouseToken) -> Principal:
        async with self._database.read() as tx:
            found = await people.by_token(tx, token.user_id, token.id)
        if found is None:
            raise Unauthenticated(INVALID)
        person, revoked = found
        _active(person)
        if revoked:
            raise Unauthenticated(REVOKED)
        if all(held.tenant.id != token.tenant_id for held in person.memberships):
            # Another tenant of theirs must not silently take the place of the one the token was made for.
            raise Unauthenticated(INVALID)
        return principal(person, default=token.tenant_id)

    async def _by_supabase_token(self, token: SupabaseToken) -> Principal:
        async with self._database.read() as tx:
            person = await supabase.find(tx, token)
        if person is None:
            async with self._database.write() as tx:
                person = await supabase.welcome(tx, token, self._rules)
        if person is None:
            raise Unauthenticated(INVALID)
        return principal(_active(person), issuer=Issuer.SUPABASE)

    async def _by_key(self, key: str, unknown: str) -> Principal:
        async with self._database.read() as tx:
            held = await people.by_key(tx, keys.hash_key(key))
        if held is None:
            raise Unauthenticated(unknown)
        person = _active(held.person)
        if held.revoked:
            raise Unauthenticated(REVOKED)
        if held.used_at is None or tx.now - held.used_at >= KEY_USE_NOTED_EVERY:
            await self._note_key_use(held.id)
        return principal(person, issuer=Issuer.API_KEY)

    async def _note_key_use(self, key_id: UUID) -> None:
        # A database that cannot be written can still be read: a note is worth neither a refusal nor a long wait.
        if self._noting is None or self._noting.done():
            self._noting = asyncio.create_task(self._store_key_use(key_id))
            await asyncio.wait({self._noting}, timeout=NOTING_SECONDS)

    async def _store_key_use(self, key_id: UUID) -> None:
        with suppress(Unavailable):
            async with self._database.write() as tx:
                await api_keys.note_use(tx, key_id, tx.now - KEY_USE_NOTED_EVERY)


def _active(person: Person) -> Person:
    if not person.user.is_active:
        raise Unauthenticated(DISABLED, code="ACCOUNT_DISABLED")
    return person
