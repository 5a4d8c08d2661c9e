"""What the identity tests share: a database whose clock they move, people in it, and tokens of every making."""

import base64
import hmac
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import text

from taskyard.domain.actors import Actor, Role, Tenant, User, member
from taskyard.domain.rules import Rules
from taskyard.services import accounts
from taskyard.services.identity import Identity
from taskyard.store import migrate, users
from taskyard.store.database import Database
from taskyard.store.vault import Vault

SECRET_KEY = "the house's secret"
SUPABASE_SECRET = "a-supabase-secret-of-more-than-32-bytes"
NO_PASSWORD = "no hash at all"


class Clock:
    """The time of a database under test."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        """Let time pass."""
        self.now += timedelta(**by)


@dataclass(frozen=True)
class World:
    """One yard."""

    database: Database
    clock: Clock
    identity: Identity

    async def everything_stored(self) -> str:
        """Every value of every table, for looking what is not in there."""
        async with self.database.read() as tx:
            query = (
                "SELECT name FROM sqlite_master WHERE type = 'table'"
                if tx.is_sqlite
                else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            )
            names = (await tx.connection.execute(text(query))).scalars().all()
            rows = [
                repr(row)
                for name in names
                for row in (await tx.connection.execute(text(f'SELECT * FROM "{name}"'))).all()  # noqa: S608
            ]
        return "\n".join(rows)


@asynccontextmanager
async def open_world(url: str, rules: Rules | None = None) -> AsyncGenerator[World]:
    """A yard in an empty database."""
    clock = Clock()
    database = Database(url, Vault("k"), clock=clock)
    try:
        await migrate.upgrade(database)
        yield World(database, clock, Identity(database, SECRET_KEY, SUPABASE_SECRET, rules or Rules()))
    finally:
        await database.close()


@dataclass(frozen=True)
class Somebody:
    """A user with their tenant."""

    user: User
    tenant: Tenant
    role: Role

    @property
    def actor(self) -> Actor:
        """Them, acting."""
        return member(self.tenant, self.user, self.role)


async def register(world: World, name: str, *, password_hash: str = NO_PASSWORD) -> Somebody:
    """Somebody who registered by themselves."""
    async with world.database.write() as tx:
        found = await accounts.register(
            tx, email=f"{name}@example.com", full_name=name, password_hash=password_hash, tenant_name=f"{name}'s"
        )
    return Somebody(*found)


async def operator(world: World, *, password_hash: str = NO_PASSWORD) -> Somebody:
    """The owner of the operator's tenant."""
    async with world.database.write() as tx:
        made = await accounts.first_owner(tx, "owner@example.com", password_hash, "Owner")
    assert made is not None
    return Somebody(*made, Role.OWNER)


async def colleague(world: World, of: Somebody, name: str, role: Role) -> Somebody:
    """Another user of the same tenant."""
    async with world.database.write() as tx:
        user = await accounts.add_user(
            tx, of.actor, email=f"{name}@example.com", full_name=name, password_hash=NO_PASSWORD, role=role
        )
    return Somebody(user, of.tenant, role)


async def disable(world: World, user_id: UUID) -> None:
    """Switch a user off, and only that."""
    async with world.database.write() as tx:
        await users.set_active(tx, user_id, active=False)


def encode_part(value: Any) -> str:
    """A part of a JWT; text and bytes as they are, anything else as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hand_made(claims: Any, key: bytes, header: Any = None, digest: str = "sha256") -> str:
    """A JWT signed by HMAC, made without any library that would refuse to."""
    head = {"alg": "HS256", "typ": "JWT"} if header is None else header
    signed = f"{encode_part(head)}.{encode_part(claims)}"
    return f"{signed}.{encode_part(hmac.new(key, signed.encode(), digest).digest())}"


def house_secret(secret_key: str = SECRET_KEY) -> bytes:
    """The bytes that sign house tokens."""
    return sha256(b"taskyard.tokens.1\0" + secret_key.encode()).digest()


def supabase_claims(subject: object, now: datetime, **more: Any) -> dict[str, Any]:
    """What Supabase says of a signed-in user; None leaves a claim out."""
    claims: Mapping[str, Any] = {
        "iss": "https://project.supabase.co/auth/v1",
        "aud": "authenticated",
        "sub": str(subject),
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + 3600,
        "role": "authenticated",
        **more,
    }
    return {name: value for name, value in claims.items() if value is not None}


def supabase_token(subject: object, now: datetime, **more: Any) -> str:
    """A token as Supabase makes it."""
    header = {"alg": "HS256", "kid": "Xy/1", "typ": "JWT"}
    return hand_made(supabase_claims(subject, now, **more), SUPABASE_SECRET.encode(), header)
