"""Forged, stolen and misplaced credentials against a yard with people in it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from taskyard.domain.errors import Unauthenticated
from taskyard.services import keys, logins, passwords
from tests.services.identity_world import (
    SECRET_KEY,
    SUPABASE_SECRET,
    Somebody,
    World,
    encode_part,
    hand_made,
    house_secret,
    open_world,
    register,
    supabase_claims,
    supabase_token,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as opened:
        yield opened


def claims_of(world: World, victim: Somebody, **more: Any) -> dict[str, Any]:
    """What a house token of the victim would say."""
    start = int(world.clock.now.timestamp())
    return {
        "iss": "taskyard",
        "aud": "taskyard",
        "sub": str(victim.user.id),
        "tid": str(victim.tenant.id),
        "iat": start,
        "exp": start + 3600,
        "jti": "1",
        **more,
    }


async def test_forged_tokens_open_nothing(world: World) -> None:
    ann = await register(world, "ann")
    claims, now = claims_of(world, ann), world.clock.now
    real = world.identity.issue(ann.user.id, ann.tenant.id)
    header, payload, signature = real.split(".")
    assert (await world.identity.authenticate_bearer(hand_made(claims, house_secret()))).user == ann.user
    forged = (
        f"{encode_part({'alg': 'none'})}.{payload}.",
        f"{encode_part({'alg': 'none'})}.{payload}.{signature}",
        f"{header}.{encode_part(claims)}.{signature}",
        f"{header}.{payload}.",
        hand_made(claims, b"another key of some length"),
        hand_made(claims, SECRET_KEY.encode()),
        hand_made(claims, SUPABASE_SECRET.encode()),
        hand_made(claims, b"own key of some length", {"alg": "HS256", "kid": "../../dev/null"}),
        hand_made(claims, b"own key of some length", {"alg": "HS256", "jku": "https://attacker.example/jwks.json"}),
        hand_made(claims_of(world, ann, aud="authenticated"), house_secret()),
        hand_made(claims_of(world, ann, iss="supabase"), house_secret()),
        hand_made(supabase_claims(ann.user.id, now), house_secret()),
        hand_made(supabase_claims(ann.user.id, now, aud="taskyard", iss="taskyard"), SUPABASE_SECRET.encode()),
        "ey..",
        "ey.\ud800.",
    )
    for token in forged:
        for way in (world.identity.authenticate_bearer, world.identity.refresh, world.identity.sign_out):
            with pytest.raises(Unauthenticated) as caught:
                await way(token)
            assert (caught.value.message, caught.value.code) == ("Invalid token", "UNAUTHORIZED")
    assert (await world.identity.authenticate_bearer(real)).user == ann.user


async def test_a_supabase_subject_that_equals_a_house_id_is_somebody_else(world: World) -> None:
    ann = await register(world, "ann")
    principal = await world.identity.authenticate_bearer(supabase_token(ann.user.id, world.clock.now))
    assert principal.user.id != ann.user.id
    assert ann.tenant.id not in principal.actors


async def test_one_kind_of_credential_is_not_another(world: World) -> None:
    ann = await register(world, "ann")
    token = world.identity.issue(ann.user.id, ann.tenant.id)
    async with world.database.write() as tx:
        session = await logins.begin(tx, ann.user.id)
    misplaced = (
        (world.identity.authenticate_session, token),
        (world.identity.authenticate_key, token),
        (world.identity.authenticate_bearer, session),
        (world.identity.authenticate_key, session),
        (world.identity.refresh, session),
    )
    for way, credential in misplaced:
        with pytest.raises(Unauthenticated, match="Invalid"):
            await way(credential)


async def test_a_session_cannot_be_guessed_from_what_is_stored(world: World) -> None:
    ann = await register(world, "ann")
    async with world.database.write() as tx:
        session = await logins.begin(tx, ann.user.id)
    for attempt in (logins.hash_token(session), session[:-1], session + " ", "\ud800", "\x00", "' OR 1=1 --", "%"):
        with pytest.raises(Unauthenticated, match="Invalid token"):
            await world.identity.authenticate_session(attempt)


async def test_nothing_stored_opens_a_door(world: World) -> None:
    password = "a password nobody else has"
    await world.identity.register(email="ann@example.com", password=password, full_name="Ann", tenant_name="Acme")
    token = (await world.identity.sign_in("ann@example.com", password)).token
    session = (await world.identity.open_session("ann@example.com", password)).token
    principal = await world.identity.authenticate_bearer(token)
    async with world.database.write() as tx:
        key = await keys.create(tx, principal.default, "a key")
    await world.identity.authenticate_key(key.secret)
    await world.identity.sign_out(token)
    stored = await world.everything_stored()
    assert "ann@example.com" in stored
    assert key.key.prefix in stored
    secrets = (password, session, session[-20:], key.secret, key.secret[11:], token, token.rpartition(".")[2])
    for secret in secrets:
        assert secret not in stored


async def test_secrets_are_not_in_what_is_printed(world: World) -> None:
    password_hash = await passwords.hash_password("a password for printing")
    ann = await register(world, "ann", password_hash=password_hash)
    async with world.database.write() as tx:
        key = await keys.create(tx, ann.actor, "a key")
    signed_in = await world.identity.sign_in("ann@example.com", "a password for printing")
    printed = repr((ann, key, signed_in, signed_in.principal, world.identity))
    for secret in (password_hash, key.secret, signed_in.token, SECRET_KEY, SUPABASE_SECRET):
        assert secret not in printed


async def test_an_ended_token_stays_ended_whatever_is_asked_of_it(world: World) -> None:
    ann = await register(world, "ann")
    token = hand_made(claims_of(world, ann, jti=str(uuid4())), house_secret())
    await world.identity.authenticate_bearer(token)
    world.clock.advance(seconds=3600)
    for way in (world.identity.authenticate_bearer, world.identity.refresh, world.identity.sign_out):
        with pytest.raises(Unauthenticated, match="Token has expired"):
            await way(token)
    world.clock.now -= timedelta(seconds=1)
    assert (await world.identity.authenticate_bearer(token)).user == ann.user
