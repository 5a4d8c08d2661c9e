"""Registering, signing in and out, sessions, tokens, disabled users."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator

import pytest

from taskyard.domain.actors import Issuer, Permission, Role, system
from taskyard.domain.errors import Conflict, Forbidden, Invalid, NotFound, TaskyardError, Unauthenticated
from taskyard.domain.ids import new_id
from taskyard.services import accounts, keys, logins, passwords
from taskyard.store import logins as stored_logins
from taskyard.store import tenants
from tests.services.identity_world import Somebody, World, colleague, disable, open_world, operator, register

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as opened:
        yield opened


@pytest.fixture(scope="module")
def password_hash() -> str:
    """Made once: it takes a while, and is meant to."""
    return asyncio.run(passwords.hash_password(PASSWORD))


async def test_a_registered_user_signs_in_and_is_known(world: World) -> None:
    made, tenant, role = await world.identity.register(
        email=" Ann@Example.COM ", password=PASSWORD, full_name="Ann", tenant_name="Acme"
    )
    assert (made.email, tenant.name, role) == ("ann@example.com", "Acme", Role.ADMIN)
    assert (tenant.is_operator, tenant.commands_allowed, tenant.private_network_allowed) == (False, False, False)
    signed_in = await world.identity.sign_in("ANN@example.com", PASSWORD)
    assert signed_in.expires_in == 86_400
    principal = await world.identity.authenticate_bearer(signed_in.token)
    assert principal.issuer is Issuer.HOUSE
    assert principal.user.id == made.id
    assert principal.user.last_login_at == world.clock.now
    assert principal.actors == signed_in.principal.actors
    assert principal.default == principal.within(tenant.id)
    assert principal.default.role is Role.ADMIN
    assert Permission.EXECUTE not in principal.default.permissions
    assert not principal.default.of_operator


async def test_an_address_is_taken_in_any_spelling(world: World) -> None:
    await register(world, "ann")
    with pytest.raises(Conflict, match="Email already registered") as caught:
        async with world.database.write() as tx:
            await accounts.register(
                tx, email="ANN@example.com", full_name="Other", password_hash="-", tenant_name="Other"
            )
    assert caught.value.code == "EMAIL_TAKEN"
    async with world.database.read() as tx:
        assert len(await accounts.list_tenants(tx, system(new_id()))) == 1


async def test_of_two_who_register_one_address_at_once_one_succeeds(world: World) -> None:
    results = await asyncio.gather(*(register(world, "ann") for _ in range(6)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, BaseException)]
    assert len(refused) == 5
    assert {getattr(error, "code", error) for error in refused} == {"EMAIL_TAKEN"}


WRONG_REGISTRATIONS = (
    ("password", "7 chars"),
    ("password", "x" * 1025),
    ("password", "half a \ud800 character"),
    ("email", "nobody"),
    ("email", "a@b@c.example"),
    ("email", "nul\x00@example.com"),
    ("email", "half\ud800@example.com"),
    ("email", f"{'x' * 250}@example.com"),
    ("email", "0194d0a0-0000-7000-8000-000000000000@supabase.invalid"),
    ("full_name", "  "),
    ("full_name", "x" * 256),
    ("tenant_name", "a\x00b"),
    ("tenant_name", "half \ud800"),
)


async def test_a_wrong_registration_names_its_field_and_leaves_nothing(world: World) -> None:
    good = {"email": "a@example.com", "password": PASSWORD, "full_name": "Ann", "tenant_name": "Acme"}
    for field, value in WRONG_REGISTRATIONS:
        with pytest.raises(Invalid) as caught:
            await world.identity.register(**(good | {field: value}))
        assert caught.value.field == field, value
    async with world.database.read() as tx:
        assert await accounts.list_tenants(tx, system(new_id())) == []


async def test_who_may_not_sign_in_learns_nothing_else(world: World, password_hash: str) -> None:
    await register(world, "ann", password_hash=password_hash)
    gone = await register(world, "gone", password_hash=password_hash)
    await disable(world, gone.user.id)
    attempts = {
        "wrong password": ("ann@example.com", PASSWORD + "!"),
        "unknown": ("nobody@example.com", PASSWORD),
        "no address": ("x", PASSWORD),
        "nul": ("\x00@example.com", PASSWORD),
        "huge": ("ann@example.com", "x" * 100_000),
        "half a character": ("ann@example.com", "\ud800" * 10),
        "disabled, wrong password": ("gone@example.com", PASSWORD + "!"),
    }
    said: set[tuple[str, str, str]] = set()
    for email, password in attempts.values():
        for way in (world.identity.sign_in, world.identity.open_session):
            with pytest.raises(Unauthenticated) as caught:
                await way(email, password)
            said.add((caught.value.code, caught.value.message, str(caught.value.details)))
    assert said == {("UNAUTHORIZED", "Incorrect email or password", "{}")}


async def test_the_same_work_is_done_for_an_unknown_user(
    world: World, password_hash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(world, "ann", password_hash=password_hash)
    compared: list[str] = []
    matches = passwords._matches

    def spy(password: str, against: str) -> bool:
        compared.append(against)
        return matches(password, against)

    monkeypatch.setattr(passwords, "_matches", spy)
    for email in ("ann@example.com", "nobody@example.com", "no address"):
        with pytest.raises(Unauthenticated):
            await world.identity.sign_in(email, "wrong password")
    assert compared == [password_hash, passwords.DUMMY_HASH, passwords.DUMMY_HASH]


def test_the_dummy_costs_what_a_real_hash_costs(password_hash: str) -> None:
    parameters = password_hash.split("$")[:4]
    assert passwords.DUMMY_HASH.split("$")[:4] == parameters
    assert len(passwords.DUMMY_HASH) == len(password_hash)


async def test_no_password_opens_a_user_without_one() -> None:
    assert not await passwords.verify("", None)
    assert not await passwords.verify(PASSWORD, None)


async def test_a_disabled_user_is_refused_everywhere(world: World, password_hash: str) -> None:
    boss = await register(world, "boss")
    ann = await colleague(world, boss, "ann", Role.DEVELOPER)
    token = world.identity.issue(ann.user.id, ann.tenant.id)
    async with world.database.write() as tx:
        key = await keys.create(tx, ann.actor, "mine")
        session = await logins.begin(tx, ann.user.id)
    await world.identity.authenticate_bearer(token)
    await world.identity.authenticate_key(key.secret)
    await world.identity.authenticate_session(session)
    async with world.database.write() as tx:
        await accounts.disable_user(tx, boss.actor, ann.user.id)
    for refused in (
        world.identity.authenticate_bearer(token),
        world.identity.authenticate_bearer(key.secret),
        world.identity.authenticate_key(key.secret),
        world.identity.authenticate_session(session),
        world.identity.refresh(token),
    ):
        with pytest.raises(Unauthenticated, match="Account is disabled") as caught:
            await refused
        assert caught.value.code == "ACCOUNT_DISABLED"
    async with world.database.read() as tx:
        assert all(known.revoked_at for known in await keys.list_keys(tx, boss.actor))


async def test_a_disabled_user_with_the_right_password_is_told(world: World, password_hash: str) -> None:
    ann = await register(world, "ann", password_hash=password_hash)
    await disable(world, ann.user.id)
    with pytest.raises(Unauthenticated, match="Account is disabled"):
        await world.identity.sign_in("ann@example.com", PASSWORD)


async def test_a_signed_out_token_is_refused_and_another_is_not(world: World) -> None:
    ann = await register(world, "ann")
    first = world.identity.issue(ann.user.id, ann.tenant.id)
    second = (await world.identity.refresh(first)).token
    assert second != first
    await world.identity.sign_out(first)
    await world.identity.sign_out(first)
    for refused in (world.identity.authenticate_bearer, world.identity.refresh):
        with pytest.raises(Unauthenticated, match="Token was revoked"):
            await refused(first)
    assert (await world.identity.authenticate_bearer(second)).user == ann.user


async def test_a_refreshed_token_lives_on_and_the_old_one_to_its_own_end(world: World) -> None:
    ann = await register(world, "ann")
    first = world.identity.issue(ann.user.id, ann.tenant.id, lifetime_seconds=100)
    world.clock.advance(seconds=50)
    second = await world.identity.refresh(first)
    assert second.expires_in == 86_400
    await world.identity.authenticate_bearer(first)
    world.clock.advance(seconds=50)
    for refused in (world.identity.authenticate_bearer, world.identity.refresh):
        with pytest.raises(Unauthenticated, match="Token has expired"):
            await refused(first)
    await world.identity.authenticate_bearer(second.token)


async def test_a_token_does_not_slip_into_another_tenant(world: World) -> None:
    ann, bob = await register(world, "ann"), await register(world, "bob")
    for refused in (world.identity.authenticate_bearer, world.identity.refresh):
        with pytest.raises(Unauthenticated, match="Invalid token"):
            await refused(world.identity.issue(ann.user.id, bob.tenant.id))
        with pytest.raises(Unauthenticated, match="Invalid token"):
            await refused(world.identity.issue(new_id(), ann.tenant.id))


async def test_a_session_opens_ends_and_runs_out(world: World, password_hash: str) -> None:
    ann = await register(world, "ann", password_hash=password_hash)
    signed_in = await world.identity.open_session("ann@example.com", PASSWORD)
    assert signed_in.expires_in == 30 * 86_400
    async with world.database.write() as tx:
        other = await logins.begin(tx, ann.user.id)
    assert (await world.identity.authenticate_session(signed_in.token)).default == ann.actor
    await world.identity.sign_out(signed_in.token)
    await world.identity.sign_out(signed_in.token)
    with pytest.raises(Unauthenticated, match="Token was revoked"):
        await world.identity.authenticate_session(signed_in.token)
    world.clock.advance(days=30, seconds=-1)
    await world.identity.authenticate_session(other)
    world.clock.advance(seconds=1)
    with pytest.raises(Unauthenticated, match="Token has expired"):
        await world.identity.authenticate_session(other)


async def test_what_has_run_out_is_forgotten_and_nothing_else(world: World) -> None:
    ann = await register(world, "ann")
    short = world.identity.issue(ann.user.id, ann.tenant.id, lifetime_seconds=60)
    long = world.identity.issue(ann.user.id, ann.tenant.id)
    async with world.database.write() as tx:
        await logins.begin(tx, ann.user.id)
    await world.identity.sign_out(short)
    await world.identity.sign_out(long)
    world.clock.advance(seconds=61)
    async with world.database.write() as tx:
        assert await stored_logins.prune(tx, tx.now, 10) == 1
        living = await logins.begin(tx, ann.user.id)
    with pytest.raises(Unauthenticated, match="Token was revoked"):
        await world.identity.authenticate_bearer(long)
    world.clock.advance(days=30, seconds=-1)
    async with world.database.write() as tx:
        assert await stored_logins.prune(tx, tx.now, 10) == 2
    await world.identity.authenticate_session(living)


async def test_the_first_owner_operates_the_yard_and_is_made_once(world: World) -> None:
    async with world.database.read() as tx:
        assert await accounts.find_operator(tx) is None
    owner = await operator(world)
    assert owner.tenant.is_operator
    assert owner.actor.permissions == frozenset(Permission)
    async with world.database.write() as tx:
        assert await accounts.first_owner(tx, "second@example.com", "-", "Second") is None
        assert await accounts.find_operator(tx) == owner.actor


async def test_of_many_first_starts_one_makes_the_owner(world: World) -> None:
    async def start(number: int) -> object:
        async with world.database.write() as tx:
            return await accounts.first_owner(tx, f"owner{number}@example.com", "-", "Owner")

    made = await asyncio.gather(*(start(number) for number in range(6)))
    assert len([one for one in made if one is not None]) == 1


async def test_only_the_operator_sees_tenants_and_allows_them_things(world: World) -> None:
    owner, ann = await operator(world), await register(world, "ann")
    viewer = await colleague(world, owner, "viewer", Role.VIEWER)
    async with world.database.write() as tx:
        assert await accounts.list_tenants(tx, owner.actor) == [owner.tenant, ann.tenant]
        for nobody in (ann.actor, viewer.actor):
            for refused in (
                accounts.list_tenants(tx, nobody),
                accounts.allow_commands(tx, nobody, ann.tenant.id, allowed=True),
                accounts.allow_private_network(tx, nobody, ann.tenant.id, allowed=True),
            ):
                with pytest.raises(Forbidden):
                    await refused
        allowed = await accounts.allow_commands(tx, owner.actor, ann.tenant.id, allowed=True)
        assert (allowed.commands_allowed, allowed.private_network_allowed) == (True, False)
        allowed = await accounts.allow_private_network(tx, owner.actor, ann.tenant.id, allowed=True)
        assert (allowed.commands_allowed, allowed.private_network_allowed) == (True, True)
        with pytest.raises(NotFound):
            await accounts.allow_commands(tx, owner.actor, new_id(), allowed=True)
    principal = await world.identity.authenticate_bearer(world.identity.issue(ann.user.id, ann.tenant.id))
    assert Permission.EXECUTE in principal.default.permissions


async def test_users_are_added_and_listed_within_the_tenant(world: World) -> None:
    ann, bob = await register(world, "ann"), await register(world, "bob")
    dev = await colleague(world, ann, "dev", Role.DEVELOPER)
    async with world.database.read() as tx:
        assert [(one.user.email, one.role) for one in await accounts.list_users(tx, ann.actor)] == [
            ("ann@example.com", Role.ADMIN),
            ("dev@example.com", Role.DEVELOPER),
        ]
        assert [one.user for one in await accounts.list_users(tx, bob.actor)] == [bob.user]
        assert (await accounts.find_user(tx, ann.actor, "DEV@example.com")).user == dev.user
        for address in ("dev@example.com", "\x00", "nobody@example.com"):
            with pytest.raises(NotFound):
                await accounts.find_user(tx, bob.actor, address)
    with pytest.raises(Forbidden):
        await colleague(world, dev, "friend", Role.VIEWER)
    with pytest.raises(Conflict):
        await colleague(world, ann, "bob", Role.VIEWER)


async def test_an_address_is_found_however_its_letters_are_composed(world: World) -> None:
    decomposed = unicodedata.normalize("NFD", "jürgen@example.com")
    async with world.database.write() as tx:
        made, tenant, _ = await accounts.register(
            tx, email=decomposed, full_name="Jürgen", password_hash="-", tenant_name="Jürgen's"
        )
    actor = (await world.identity.authenticate_bearer(world.identity.issue(made.id, tenant.id))).default
    async with world.database.read() as tx:
        for spelling in (decomposed, "JÜRGEN@example.com"):
            assert (await accounts.find_user(tx, actor, spelling)).user.id == made.id


async def test_an_admin_gains_no_owners_power(world: World) -> None:
    owner = await operator(world)
    admin = await colleague(world, owner, "admin", Role.ADMIN)
    with pytest.raises(Forbidden, match="owner"):
        await colleague(world, admin, "puppet", Role.OWNER)
    async with world.database.write() as tx:
        with pytest.raises(Forbidden, match="owner"):
            await accounts.disable_user(tx, admin.actor, owner.user.id)
        with pytest.raises(Forbidden, match="owner"):
            await keys.create(tx, admin.actor, "puppet", user_id=owner.user.id)


async def test_who_may_disable_whom(world: World) -> None:
    owner, ann, bob = await operator(world), await register(world, "ann"), await register(world, "bob")
    dev = await colleague(world, ann, "dev", Role.DEVELOPER)

    async def attempt(by: Somebody, whom: Somebody) -> str:
        try:
            async with world.database.write() as tx:
                await accounts.disable_user(tx, by.actor, whom.user.id)
        except TaskyardError as error:
            return error.code
        return "disabled"

    assert await attempt(dev, ann) == "FORBIDDEN"
    assert await attempt(bob, dev) == "USER_NOT_FOUND"
    assert await attempt(ann, ann) == "USER_IS_YOURSELF"
    assert await attempt(ann, dev) == "disabled"
    async with world.database.write() as tx:
        for change in (
            accounts.enable_user(tx, bob.actor, dev.user.id),
            accounts.set_password(tx, bob.actor, dev.user.id, "x"),
        ):
            with pytest.raises(NotFound):
                await change
        await accounts.enable_user(tx, ann.actor, dev.user.id)
        await accounts.set_password(tx, ann.actor, dev.user.id, "x")
        with pytest.raises(Forbidden):
            await accounts.set_password(tx, dev.actor, ann.user.id, "x")
    assert await attempt(owner, bob) == "disabled"
    assert (await world.identity.authenticate_bearer(world.identity.issue(ann.user.id, ann.tenant.id))).user == ann.user


async def test_no_tenant_disables_a_user_whom_another_shares(world: World) -> None:
    owner, ann, bob = await operator(world), await register(world, "ann"), await register(world, "bob")
    async with world.database.write() as tx:
        await tenants.add_member(tx, ann.tenant.id, bob.user.id, Role.VIEWER)
        with pytest.raises(Forbidden, match="other accounts"):
            await accounts.disable_user(tx, ann.actor, bob.user.id)
    principal = await world.identity.authenticate_bearer(world.identity.issue(bob.user.id, bob.tenant.id))
    assert set(principal.actors) == {ann.tenant.id, bob.tenant.id}
    assert principal.default == bob.actor
    async with world.database.write() as tx:
        await accounts.disable_user(tx, owner.actor, bob.user.id)


async def test_nothing_is_asked_of_an_empty_credential(world: World) -> None:
    for way in (
        world.identity.authenticate_bearer,
        world.identity.authenticate_key,
        world.identity.authenticate_session,
        world.identity.refresh,
    ):
        with pytest.raises(Unauthenticated, match="Missing credentials"):
            await way("")
