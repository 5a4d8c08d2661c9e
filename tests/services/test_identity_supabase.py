"""Users of Supabase: known on first sight, linked to nobody, owners of the accounts they name first (RULINGS §5 D3)."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from taskyard.domain.actors import Actor, Issuer, Permission, Principal, Role, system
from taskyard.domain.errors import Forbidden, LimitExceeded, TaskyardError, Unauthenticated
from taskyard.domain.ids import new_id
from taskyard.domain.rules import Rules
from taskyard.services import accounts, keys
from taskyard.services.identity import Identity
from tests.services.identity_world import (
    SECRET_KEY,
    SUPABASE_SECRET,
    World,
    disable,
    open_world,
    register,
    supabase_token,
)

pytestmark = pytest.mark.anyio

CLOSED = Rules(create_unknown_accounts=False)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as opened:
        yield opened


async def arrive(world: World, subject: UUID, **claims: object) -> Principal:
    """A request with a Supabase token."""
    return await world.identity.authenticate_bearer(supabase_token(subject, world.clock.now, **claims))


async def claim(world: World, principal: Principal, account_id: UUID, rules: Rules | None = None) -> Actor:
    """Name an account, as the scheduler's requests do."""
    async with world.database.write() as tx:
        return await accounts.claim(tx, principal, account_id, rules or Rules())


async def test_a_user_is_known_on_first_sight_and_the_same_ever_after(world: World) -> None:
    subject = uuid4()
    first = await arrive(world, subject, email="Sue@example.com", user_metadata={"full_name": "Sue"})
    assert (first.user.email, first.user.full_name, first.user.password_hash) == ("sue@example.com", "Sue", None)
    assert first.issuer is Issuer.SUPABASE
    assert (first.default.role, first.default.of_operator) == (Role.OWNER, False)
    assert Permission.EXECUTE not in first.default.permissions
    world.clock.advance(hours=2)
    again = await arrive(world, subject, email="renamed@example.com")
    assert again == first
    other = await arrive(world, uuid4())
    assert other.user.id != first.user.id
    assert set(other.actors).isdisjoint(first.actors)


async def test_an_address_never_leads_to_a_user_the_house_knows(world: World) -> None:
    ann = await register(world, "ann")
    subject = uuid4()
    thief = await arrive(world, subject, email="ANN@example.com")
    assert thief.user.id != ann.user.id
    assert thief.user.email == f"{subject}@supabase.invalid"
    assert ann.tenant.id not in thief.actors
    with pytest.raises(Forbidden):
        await claim(world, thief, ann.tenant.id)
    second = await arrive(world, uuid4(), email="ann@example.com")
    assert second.user.id not in (ann.user.id, thief.user.id)


async def test_two_subjects_with_one_address_are_two_users(world: World) -> None:
    first, second = [await arrive(world, uuid4(), email="sue@example.com") for _ in range(2)]
    assert first.user.id != second.user.id
    assert set(first.actors).isdisjoint(second.actors)


@pytest.mark.parametrize("email", [None, "", "nonsense", "nul\x00@example.com", 5, "\ud800@example.com"])
async def test_an_unusable_address_does_no_harm(world: World, email: object) -> None:
    subject = uuid4()
    principal = await arrive(world, subject, email=email, user_metadata={"full_name": "a\x00b"})
    assert principal.user.email == f"{subject}@supabase.invalid"
    assert principal.user.full_name == "Supabase user"


async def test_nobody_can_sit_on_anothers_placeholder(world: World) -> None:
    victim = uuid4()
    squatter = await arrive(world, uuid4(), email=f"{victim}@supabase.invalid")
    assert squatter.user.email != f"{victim}@supabase.invalid"
    principal = await arrive(world, victim)
    assert principal.user.email == f"{victim}@supabase.invalid"


@pytest.mark.parametrize("claims", [{}, {"email": "sue@example.com"}], ids=["no address", "address"])
async def test_many_first_requests_at_once_make_one_user(world: World, claims: dict[str, object]) -> None:
    subject = uuid4()
    principals = await asyncio.gather(*(arrive(world, subject, **claims) for _ in range(8)))
    assert len({principal.user.id for principal in principals}) == 1
    assert len({principal.default.tenant_id for principal in principals}) == 1
    async with world.database.read() as tx:
        assert len(await accounts.list_tenants(tx, system(new_id()))) == 1
        members = await accounts.list_users(tx, principals[0].default)
    assert [member.user for member in members] == [principals[0].user]
    assert (await world.everything_stored()).count(str(subject)) == (2 if not claims else 1)


async def test_a_disabled_user_stays_out(world: World) -> None:
    subject = uuid4()
    await disable(world, (await arrive(world, subject)).user.id)
    with pytest.raises(Unauthenticated, match="Account is disabled"):
        await arrive(world, subject)


async def test_an_unseen_account_belongs_to_who_names_it_first(world: World) -> None:
    sue, tom = await arrive(world, uuid4()), await arrive(world, uuid4())
    account = uuid4()
    actor = await claim(world, sue, account)
    assert (actor.tenant_id, actor.role, actor.user_id) == (account, Role.OWNER, sue.user.id)
    assert not actor.of_operator
    assert Permission.EXECUTE not in actor.permissions
    assert await claim(world, sue, account) == actor
    with pytest.raises(Forbidden) as caught:
        await claim(world, tom, account)
    assert caught.value.message == "You have no access to this account"
    again = await world.identity.authenticate_bearer(world.identity.issue(sue.user.id, account))
    assert again.actors[account] == actor


async def test_of_two_who_name_an_account_at_once_one_owns_it(world: World) -> None:
    principals = [await arrive(world, uuid4()) for _ in range(4)]
    account = uuid4()
    # PostgreSQL runs all of them side by side; SQLite has one writer, so there the others wait for their turn.
    together = asyncio.Barrier(1 if world.database.is_sqlite else 8)

    async def race(principal: Principal) -> Actor:
        async with world.database.write() as tx:
            assert await accounts.list_users(tx, principal.default)
            await together.wait()
            return await accounts.claim(tx, principal, account, Rules())

    racing = [race(principal) for principal in principals for _ in range(2)]
    results = await asyncio.gather(*racing, return_exceptions=True)
    actors = [result for result in results if isinstance(result, Actor)]
    assert len(actors) == 2, "both requests of the winner, none of the others"
    assert len(set(actors)) == 1
    assert all(isinstance(result, Actor | Forbidden) for result in results)
    async with world.database.read() as tx:
        assert len(await accounts.list_users(tx, actors[0])) == 1


async def test_a_tenant_that_exists_is_claimed_by_nobody(world: World) -> None:
    ann, sue = await register(world, "ann"), await arrive(world, uuid4())
    async with world.database.write() as tx:
        assert not await accounts.claim_tenant(tx, ann.tenant.id, sue.user)
        assert [member.user for member in await accounts.list_users(tx, ann.actor)] == [ann.user]


async def test_only_supabase_users_make_accounts_by_naming_them(world: World) -> None:
    ann = await register(world, "ann")
    house = await world.identity.authenticate_bearer(world.identity.issue(ann.user.id, ann.tenant.id))
    sue = await arrive(world, uuid4())
    async with world.database.write() as tx:
        made = await keys.create(tx, sue.default, "sue's key")
    key = await world.identity.authenticate_key(made.secret)
    account = uuid4()
    for principal in (house, key):
        with pytest.raises(Forbidden):
            await claim(world, principal, account)
    await claim(world, sue, account)
    with pytest.raises(Forbidden):
        await claim(world, key, account)
    assert await claim(world, house, ann.tenant.id) == ann.actor


async def test_the_operator_can_keep_strangers_without_accounts(world: World) -> None:
    closed = Identity(world.database, SECRET_KEY, SUPABASE_SECRET, CLOSED)
    subject = uuid4()
    for _ in range(2):
        with pytest.raises(Forbidden, match="no account"):
            await closed.authenticate_bearer(supabase_token(subject, world.clock.now))
    sue = await arrive(world, uuid4())
    with pytest.raises(Forbidden):
        await claim(world, sue, uuid4(), CLOSED)
    assert await claim(world, sue, sue.default.tenant_id, CLOSED) == sue.default
    async with world.database.read() as tx:
        assert len(await accounts.list_tenants(tx, system(new_id()))) == 1


async def test_claims_end_somewhere(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MAX_CLAIMED", 2)
    subject = uuid4()
    mine = uuid4()
    await claim(world, await arrive(world, subject), mine)
    full = await arrive(world, subject)
    with pytest.raises(LimitExceeded) as caught:
        await claim(world, full, uuid4())
    assert caught.value.code == "ACCOUNT_LIMIT"
    assert (await claim(world, full, mine)).tenant_id == mine


async def test_a_supabase_token_is_no_house_token(world: World) -> None:
    token = supabase_token(uuid4(), world.clock.now)
    await world.identity.authenticate_bearer(token)
    for way in (world.identity.refresh, world.identity.sign_out):
        with pytest.raises(Unauthenticated, match="Invalid token"):
            await way(token)
    without = Identity(world.database, SECRET_KEY, None, Rules())
    with pytest.raises(Unauthenticated, match="Invalid token"):
        await without.authenticate_bearer(token)


async def test_a_refused_token_leaves_no_trace(world: World) -> None:
    subject = uuid4()
    now = world.clock.now
    wrong = ({"aud": "anon"}, {"exp": int(now.timestamp()) - 1}, {"exp": None})
    for changes in wrong:
        with pytest.raises(TaskyardError):
            await arrive(world, subject, **changes)
    assert str(subject) not in await world.everything_stored()
