"""Fixtures of the faces' tests: a whole yard on a real database, and callers who knock at its door."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from starlette.types import ASGIApp

from taskyard.adapters.bus.local import LocalBus
from taskyard.domain.actors import Actor, Principal
from taskyard.domain.rules import Rules
from taskyard.faces import door
from taskyard.faces.kit.hub import Hub
from taskyard.faces.kit.limits import Limiter, LimitNumbers
from taskyard.faces.kit.yard import Yard
from taskyard.services import accounts
from taskyard.services.identity import Identity
from taskyard.store import migrate
from taskyard.store.database import Database
from taskyard.store.vault import Vault
from tests.servers import MakeDatabase

SECRET_KEY = "a secret key of thirty-two bytes."
SUPABASE_SECRET = "a supabase secret that is long enough"
# Argon2 is slow on purpose; users who never type a password need no real hash.
NO_HASH = "$argon2id$none"


@dataclass
class World:
    """A running yard without its server."""

    yard: Yard
    door: ASGIApp
    people: int = field(default=0)

    async def user(self, email: str | None = None) -> "Person":
        """A new user with a tenant of their own, signed in."""
        self.people += 1
        async with self.yard.database.write() as tx:
            user, tenant, _ = await accounts.register(
                tx,
                email=email or f"user{self.people}@example.com",
                full_name=f"User {self.people}",
                password_hash=NO_HASH,
                tenant_name=f"Tenant {self.people}",
            )
        return await self.known(self.yard.identity.issue(user.id, tenant.id))

    async def operator(self) -> "Person":
        """The owner of the operator's tenant."""
        async with self.yard.database.write() as tx:
            made = await accounts.first_owner(tx, "owner@example.com", NO_HASH, "Owner")
        assert made is not None
        return await self.known(self.yard.identity.issue(made[0].id, made[1].id))

    async def known(self, token: str) -> "Person":
        principal = await self.yard.identity.authenticate_bearer(token)
        return Person(token, principal, self.client({"Authorization": f"Bearer {token}"}))

    def client(self, headers: dict[str, str] | None = None, address: str = "192.0.2.1") -> httpx2.AsyncClient:
        """A caller at the door, over no network."""
        transport = httpx2.ASGITransport(self.door, client=(address, 1), raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)


@dataclass
class Person:
    token: str
    principal: Principal
    http: httpx2.AsyncClient

    @property
    def actor(self) -> Actor:
        return self.principal.default

    @property
    def account(self) -> str:
        return str(self.actor.tenant_id)


async def migrated(url: str) -> None:
    """Bring an empty database up to this version."""
    database = Database(url, Vault("k"))
    await migrate.upgrade(database)
    await database.close()


@asynccontextmanager
async def open_world(url: str, **facts: Any) -> AsyncGenerator[World]:
    """A yard on a migrated database, with facts of the test's choice."""
    database = Database(url, Vault("k"))
    known: dict[str, Any] = {"numbers": LimitNumbers(), "version": "9.9.9", "cors_origins": ("https://ui.example",)}
    rules = facts.pop("rules", Rules())
    bus = LocalBus()
    hub = facts.pop("hub", None) or Hub(database, bus)
    limiter = facts.pop("limiter", None) or Limiter(enabled=False)
    identity = Identity(database, SECRET_KEY, SUPABASE_SECRET, rules)
    yard = Yard(
        database=database,
        identity=identity,
        rules=rules,
        bus=bus,
        hub=hub,
        limiter=limiter,
        **(known | facts),
    )
    with database.listening(bus.publish):
        await hub.start()
        try:
            yield World(yard, door.build(yard))
        finally:
            await hub.close()
            await limiter.close()
            await database.close()


@pytest.fixture
def sqlite_url(fresh_database: MakeDatabase) -> str:
    """The address of a fresh SQLite database."""
    return fresh_database("sqlite", "faces", migrated)


@pytest.fixture(params=["sqlite", "postgres"])
def yard_url(request: pytest.FixtureRequest, fresh_database: MakeDatabase) -> str:
    """The address of a fresh database, once per kind."""
    return fresh_database(request.param, "faces", migrated)


@pytest.fixture
async def world(sqlite_url: str) -> AsyncGenerator[World]:
    """A yard without rate limits, on SQLite."""
    async with open_world(sqlite_url) as made:
        yield made


@pytest.fixture
async def each_world(yard_url: str) -> AsyncGenerator[World]:
    """A yard without rate limits, on SQLite and on PostgreSQL."""
    async with open_world(yard_url) as made:
        yield made


MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def make_world(sqlite_url: str) -> AsyncGenerator[MakeWorld]:
    """Makes a yard with facts of the test's choice, once."""
    async with AsyncExitStack() as stack:

        async def make(**facts: Any) -> World:
            return await stack.enter_async_context(open_world(sqlite_url, **facts))

        yield make
