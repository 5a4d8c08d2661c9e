"""The first start, on both databases."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from taskyard.services import accounts, first_start, jobs, keys
from taskyard.services.identity import Identity
from taskyard.services.transactions import Database
from taskyard.settings import Settings
from taskyard.store import migrate
from taskyard.store.vault import Vault

pytestmark = pytest.mark.anyio

EMAIL = "owner@yard.test"


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    opened = Database(database_url, Vault("a secret of this test"))
    await migrate.upgrade(opened)
    yield opened
    await opened.close()


async def test_starting_twice_at_once_makes_one_owner_and_one_job(database: Database) -> None:
    starts = [first_start.open_yard(database, email=EMAIL, password=None, api_key=None) for _ in range(2)]
    opened = [each for each in await asyncio.gather(*starts) if each is not None]
    assert len(opened) == 1
    assert opened[0].password is not None
    assert opened[0].password not in repr(opened[0])
    identity = Identity(database, "a secret of this test", None, Settings.model_validate({}).rules)
    assert (await identity.sign_in(EMAIL, opened[0].password)).user.email == EMAIL
    async with database.read() as tx:
        owner = await accounts.find_operator(tx)
        assert owner is not None
        known, total = await jobs.page(tx, owner)
    assert total == 1
    assert (known[0].name, known[0].schedule) == ("hello", "* * * * *")
    assert known[0].next_run_at is not None


async def test_the_api_key_follows_its_setting_from_start_to_start(database: Database) -> None:
    identity = Identity(database, "a secret of this test", None, Settings.model_validate({}).rules)
    for setting in ("the first key of all", "the second key of all", None):
        opened = await first_start.open_yard(database, email=EMAIL, password="long enough", api_key=setting)
        if opened is not None:
            assert opened.password is None
        if setting is not None:
            assert (await identity.authenticate_key(setting)).user.email == EMAIL
    async with database.read() as tx:
        owner = await accounts.find_operator(tx)
        assert owner is not None
        listed = await keys.list_keys(tx, owner)
    assert all(each.revoked_at is not None for each in listed)
    assert len(listed) == 2
