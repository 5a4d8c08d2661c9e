"""A process with the wrong key says so when it starts, not with every execution it meets."""

from dataclasses import replace

import pytest

from taskyard.domain.errors import Unavailable
from taskyard.store import seals
from taskyard.store.database import Database
from taskyard.store.vault import Vault
from tests.services.world import FakeClock, Yard, open_yard

pytestmark = pytest.mark.anyio


@pytest.fixture
async def yard(database: Database, now: FakeClock) -> Yard:
    """An empty yard on each kind of database."""
    return await open_yard(database, now)


async def check(yard: Yard, key: str | None = None) -> None:
    """Ask with the yard's key, or another."""
    async with yard.database.read() as tx:
        await seals.check(tx if key is None else replace(tx, vault=Vault(key)))


async def test_an_empty_yard_takes_any_key(yard: Yard) -> None:
    await check(yard, "any")


@pytest.mark.parametrize("sealed", ["call", "subscription", "command"])
async def test_another_key_is_refused_as_soon_as_something_is_sealed(yard: Yard, sealed: str) -> None:
    match sealed:
        case "call":
            await yard.http_job()
        case "subscription":
            await yard.subscribe(None, "job.*")
        case _:
            await yard.command_job()
    await check(yard)
    with pytest.raises(Unavailable) as refused:
        await check(yard, "another")
    assert refused.value.code == "SECRET_KEY_MISMATCH"
