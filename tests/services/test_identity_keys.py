"""API keys: whose they are, what they open, and that only their owner ever sees them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import datetime

import pytest
from sqlalchemy.engine import make_url

from taskyard.domain.actors import Issuer, Role, system
from taskyard.domain.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from taskyard.domain.ids import new_id
from taskyard.domain.rules import Rules
from taskyard.services import accounts, keys
from taskyard.store import tenants
from taskyard.store.database import BUSY_TIMEOUT_MS
from tests.processes import eventually
from tests.services.identity_world import Somebody, World, colleague, open_world, operator, register

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as opened:
        yield opened


async def create(world: World, of: Somebody, name: str = "a key") -> keys.NewKey:
    """A key of their own."""
    async with world.database.write() as tx:
        return await keys.create(tx, of.actor, name)


async def last_used(world: World, of: Somebody) -> datetime | None:
    """When their only key was used."""
    async with world.database.read() as tx:
        [key] = await keys.list_keys(tx, of.actor)
    return key.last_used_at


async def test_a_key_opens_every_door_to_its_tenant(world: World) -> None:
    ann = await register(world, "ann")
    made = await create(world, ann)
    assert made.secret.startswith(made.key.prefix)
    assert made.secret.startswith("ty_")
    assert len(made.secret) == 11 + 43
    for way in (world.identity.authenticate_key, world.identity.authenticate_bearer):
        principal = await way(made.secret)
        assert principal.user == ann.user
        assert principal.default == ann.actor
        assert principal.issuer is Issuer.API_KEY


async def test_a_key_opens_no_other_tenant_of_its_user(world: World) -> None:
    ann, bob = await register(world, "ann"), await register(world, "bob")
    async with world.database.write() as tx:
        await tenants.add_member(tx, bob.tenant.id, ann.user.id, Role.VIEWER)
    made = await create(world, ann)
    principal = await world.identity.authenticate_key(made.secret)
    assert set(principal.actors) == {ann.tenant.id}
    async with world.database.write() as tx:
        for account in (bob.tenant.id, new_id()):
            with pytest.raises(Forbidden):
                await accounts.claim(tx, principal, account, Rules())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_key_is_good_while_nobody_can_write(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskyard.services.identity.NOTING_SECONDS", 0.05)
    ann = await register(world, "ann")
    made = await create(world, ann)
    path = make_url(world.database.url).database
    assert path is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(BUSY_TIMEOUT_MS / 2000):
            assert (await world.identity.authenticate_key(made.secret)).user == ann.user
        assert await last_used(world, ann) is None

    async def noted() -> bool:
        return await last_used(world, ann) is not None

    await eventually(noted)


async def test_a_key_is_no_session_and_no_refresh(world: World) -> None:
    made = await create(world, await register(world, "ann"))
    for way in (world.identity.authenticate_session, world.identity.refresh):
        with pytest.raises(Unauthenticated, match="Invalid token"):
            await way(made.secret)
    with pytest.raises(Invalid, match="revoked"):
        await world.identity.sign_out(made.secret)


async def test_what_is_not_quite_the_key_opens_nothing(world: World) -> None:
    made = await create(world, await register(world, "ann"))
    secret = made.secret
    wrong = (
        secret[:-1],
        secret + "x",
        secret + "\n",
        secret.upper(),
        made.key.prefix,
        made.key.prefix + "%",
        keys.hash_key(secret),
        "ty_",
        "ty_\ud800",
        "ty_\x00",
        "x" * 100_000,
        "' OR 1=1 --",
    )
    for attempt in wrong:
        with pytest.raises(Unauthenticated, match="Invalid API key"):
            await world.identity.authenticate_key(attempt)
        with pytest.raises(Unauthenticated, match="Invalid"):
            await world.identity.authenticate_bearer(attempt)


async def test_a_revoked_key_is_refused(world: World) -> None:
    ann = await register(world, "ann")
    made, other = await create(world, ann), await create(world, ann)
    async with world.database.write() as tx:
        await keys.revoke(tx, ann.actor, made.key.id)
        await keys.revoke(tx, ann.actor, made.key.id)
    with pytest.raises(Unauthenticated, match="Token was revoked"):
        await world.identity.authenticate_key(made.secret)
    await world.identity.authenticate_key(other.secret)


async def test_another_tenants_keys_are_out_of_reach(world: World) -> None:
    ann, bob = await register(world, "ann"), await register(world, "bob")
    made = await create(world, ann)
    async with world.database.write() as tx:
        assert await keys.list_keys(tx, bob.actor) == []
        with pytest.raises(NotFound):
            await keys.revoke(tx, bob.actor, made.key.id)
        with pytest.raises(NotFound):
            await keys.create(tx, bob.actor, "theirs", user_id=ann.user.id)
    await world.identity.authenticate_key(made.secret)


async def test_members_have_their_own_keys_and_an_admin_has_all(world: World) -> None:
    ann = await register(world, "ann")
    dev = await colleague(world, ann, "dev", Role.DEVELOPER)
    viewer = await colleague(world, ann, "viewer", Role.VIEWER)
    of_ann, of_dev = await create(world, ann), await create(world, dev)
    with pytest.raises(Forbidden):
        await create(world, viewer)
    async with world.database.write() as tx:
        with pytest.raises(Forbidden):
            await keys.create(tx, dev.actor, "not mine", user_id=viewer.user.id)
        with pytest.raises(NotFound):
            await keys.revoke(tx, dev.actor, of_ann.key.id)
        for_viewer = await keys.create(tx, ann.actor, "for the viewer", user_id=viewer.user.id)
        assert await keys.list_keys(tx, dev.actor) == [of_dev.key]
        assert await keys.list_keys(tx, viewer.actor) == [for_viewer.key]
        assert await keys.list_keys(tx, ann.actor) == [of_ann.key, of_dev.key, for_viewer.key]
        await keys.revoke(tx, ann.actor, of_dev.key.id)
    assert (await world.identity.authenticate_key(for_viewer.secret)).default == viewer.actor


async def test_a_key_needs_a_name_and_a_user(world: World) -> None:
    ann = await register(world, "ann")
    for name in ("", "x" * 256, "a\x00b", keys.SETTING_NAME, f" {keys.SETTING_NAME} "):
        with pytest.raises(Invalid) as caught:
            await create(world, ann, name)
        assert caught.value.field == "name"
    async with world.database.write() as tx:
        with pytest.raises(Invalid) as caught:
            await keys.create(tx, system(ann.tenant.id), "nobody's")
        made = await keys.create(tx, system(ann.tenant.id), "ann's", user_id=ann.user.id)
    assert (await world.identity.authenticate_key(made.secret)).user == ann.user


async def test_use_is_noted_once_a_minute(world: World) -> None:
    ann = await register(world, "ann")
    made = await create(world, ann)
    assert await last_used(world, ann) is None
    await world.identity.authenticate_key(made.secret)
    first = world.clock.now
    world.clock.advance(seconds=59)
    await world.identity.authenticate_key(made.secret)
    assert await last_used(world, ann) == first
    world.clock.advance(seconds=1)
    await asyncio.gather(*(world.identity.authenticate_key(made.secret) for _ in range(4)))
    assert await last_used(world, ann) == world.clock.now


async def test_the_key_of_the_settings_replaces_the_one_before(world: World) -> None:
    owner = await operator(world)
    by_hand = await create(world, owner)

    async def ensure(secret: str | None) -> None:
        async with world.database.write() as tx:
            key = await keys.ensure(tx, owner.actor, secret)
        assert (key is None) == (secret is None)
        assert key is None or (key.name == keys.SETTING_NAME and key.revoked_at is None)

    async def opens(secret: str) -> bool:
        try:
            principal = await world.identity.authenticate_key(secret)
        except Unauthenticated:
            return False
        assert principal.default == owner.actor
        return await world.identity.authenticate_bearer(secret) == principal

    first, second = "the first key of the settings", "short"
    await ensure(first)
    await ensure(first)
    assert (await opens(first), await opens(second)) == (True, False)
    await ensure(second)
    assert (await opens(first), await opens(second)) == (False, True)
    await ensure(first)
    assert (await opens(first), await opens(second)) == (True, False)
    await ensure(None)
    assert (await opens(first), await opens(second)) == (False, False)
    assert await opens(by_hand.secret)
    async with world.database.read() as tx:
        shown = {key.prefix for key in await keys.list_keys(tx, owner.actor) if key.name == keys.SETTING_NAME}
    assert shown == {"the ", "s"}


async def test_the_setting_cannot_take_anothers_key(world: World) -> None:
    owner, ann = await operator(world), await register(world, "ann")
    made = await create(world, ann)
    for wrong, expected in ((made.secret, Conflict), ("eyJ.looks.signed", Invalid)):
        with pytest.raises(expected):
            async with world.database.write() as tx:
                await keys.ensure(tx, owner.actor, wrong)
    assert (await world.identity.authenticate_key(made.secret)).user == ann.user


async def test_many_starts_at_once_ensure_one_key(world: World) -> None:
    owner = await operator(world)

    async def start() -> object:
        async with world.database.write() as tx:
            return await keys.ensure(tx, owner.actor, "the key of the settings")

    made = await asyncio.gather(*(start() for _ in range(5)))
    assert len(set(made)) == 1
