"""Signed tokens, and everything that is not quite one (RFC 8725)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import RSAKey

from taskyard.domain.errors import Unauthenticated
from taskyard.services import tokens
from tests.services.identity_world import (
    SUPABASE_SECRET,
    encode_part,
    hand_made,
    house_secret,
    supabase_claims,
    supabase_token,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "s"
KEY = tokens.house_key(SECRET)
RAW = house_secret(SECRET)
SUPABASE = tokens.supabase_key(SUPABASE_SECRET)
USER, TENANT = uuid4(), uuid4()


def issued(**options: Any) -> str:
    """A good house token."""
    return tokens.issue(KEY, user_id=USER, tenant_id=TENANT, now=NOW, **options)


def house_claims(**more: Any) -> dict[str, Any]:
    """The claims of a good house token, changed; None leaves one out."""
    start = int(NOW.timestamp())
    claims: dict[str, Any] = {
        "iss": "taskyard",
        "aud": "taskyard",
        "sub": str(USER),
        "tid": str(TENANT),
        "iat": start,
        "exp": start + 60,
        "jti": "1",
        **more,
    }
    return {name: value for name, value in claims.items() if value is not None}


def test_what_was_issued_is_read_back() -> None:
    token = tokens.read_house(KEY, issued(lifetime_seconds=90), NOW)
    assert token is not None
    assert (token.user_id, token.tenant_id, token.expires_at) == (USER, TENANT, NOW + timedelta(seconds=90))
    again = tokens.read_house(KEY, issued(), NOW)
    assert again is not None
    assert again.id != token.id
    assert again.expires_at == NOW + timedelta(hours=24)


def test_hand_made_claims_are_a_good_token() -> None:
    """Without this, the refusals below could all be for another reason."""
    assert tokens.read_house(KEY, hand_made(house_claims(), RAW), NOW) is not None
    assert tokens.read_supabase(SUPABASE, supabase_token(USER, NOW), NOW) is not None


def test_a_token_ends_at_its_very_second() -> None:
    token = issued(lifetime_seconds=10)
    assert tokens.read_house(KEY, token, NOW + timedelta(seconds=9.9)) is not None
    for late in (10, 10.1, 59, 100_000):
        with pytest.raises(Unauthenticated, match="Token has expired"):
            tokens.read_house(KEY, token, NOW + timedelta(seconds=late))


def test_a_clock_that_is_a_little_behind_accepts_a_fresh_token() -> None:
    assert tokens.read_house(KEY, issued(), NOW - timedelta(seconds=30)) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"iss": None},
        {"iss": ["taskyard"]},
        {"aud": "authenticated"},
        {"aud": None},
        {"aud": []},
        {"sub": None},
        {"sub": "root"},
        {"sub": 7},
        {"tid": None},
        {"tid": "*"},
        {"jti": None},
        {"jti": 5},
        {"iat": None},
        {"iat": int(NOW.timestamp()) + 3600},
        {"nbf": int(NOW.timestamp()) + 3600},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": [9999999999]},
    ],
    ids=str,
)
def test_a_signed_token_with_wrong_claims_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated, match="Invalid token"):
        tokens.read_house(KEY, hand_made(house_claims(**changes), RAW), NOW)


@pytest.mark.parametrize("claims", [[], "text", 5, None, b"not json", b"[" * 100_000])
def test_a_signed_token_that_holds_no_claims_is_refused(claims: object) -> None:
    assert tokens.read_house(KEY, hand_made(claims, RAW), NOW) is None


def _none(name: str) -> str:
    return f"{encode_part({'alg': name})}.{encode_part(house_claims())}."


def _public_key_as_secret() -> str:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hand_made(house_claims(), public)


def _signed_by_rsa(algorithm: str) -> str:
    key = RSAKey.generate_key(2048)
    return jwt.encode({"alg": algorithm}, house_claims(), key, algorithms=[algorithm])


def _tampered() -> str:
    header, _, signature = issued().split(".")
    return f"{header}.{encode_part(house_claims(sub=str(uuid4())))}.{signature}"


def _other_header() -> str:
    _, payload, signature = issued().split(".")
    return f"{encode_part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'x'})}.{payload}.{signature}"


def _embedded_key(header: dict[str, Any]) -> str:
    return hand_made(house_claims(), b"attacker's own key, long enough", {"alg": "HS256", **header})


FORGERIES: dict[str, Callable[[], str]] = {
    "alg none": lambda: _none("none"),
    "alg None": lambda: _none("None"),
    "alg nOnE with a signature": lambda: hand_made(house_claims(), RAW, {"alg": "nOnE"}),
    "alg none with a signature": lambda: hand_made(house_claims(), RAW, {"alg": "none"}),
    "no alg": lambda: hand_made(house_claims(), RAW, {"typ": "JWT"}),
    "alg a list": lambda: hand_made(house_claims(), RAW, {"alg": ["HS256"]}),
    "alg an object": lambda: hand_made(house_claims(), RAW, {"alg": {"HS256": 1}}),
    "alg null": lambda: hand_made(house_claims(), RAW, {"alg": None}),
    "HS512 with the right key": lambda: hand_made(house_claims(), RAW, {"alg": "HS512"}, "sha512"),
    "HS384 with the right key": lambda: hand_made(house_claims(), RAW, {"alg": "HS384"}, "sha384"),
    "RS256": lambda: _signed_by_rsa("RS256"),
    "PS256": lambda: _signed_by_rsa("PS256"),
    "a public key as secret": _public_key_as_secret,
    "another key": lambda: hand_made(house_claims(), house_secret("another")),
    "the secret itself as key": lambda: hand_made(house_claims(), SECRET.encode()),
    "an empty key": lambda: hand_made(house_claims(), b""),
    "other claims": _tampered,
    "another header": _other_header,
    "kid of a file": lambda: _embedded_key({"kid": "../../../../dev/null"}),
    "kid of an injection": lambda: _embedded_key({"kid": "x' UNION SELECT 'key"}),
    "jku": lambda: _embedded_key({"jku": "https://attacker.example/keys.json"}),
    "x5u": lambda: _embedded_key({"x5u": "https://attacker.example/cert.pem"}),
    "jwk": lambda: _embedded_key({"jwk": {"kty": "oct", "k": encode_part(b"attacker's own key, long enough")}}),
    "crit": lambda: hand_made(house_claims(), RAW, {"alg": "HS256", "crit": ["exp"]}),
    "unencoded payload": lambda: hand_made(house_claims(), RAW, {"alg": "HS256", "b64": False, "crit": ["b64"]}),
    "an encrypted token": lambda: f"{encode_part({'alg': 'dir', 'enc': 'A128GCM'})}..x.y.z",
    "no signature": lambda: issued().rpartition(".")[0] + ".",
    "half a signature": lambda: issued()[:-20],
    "a signature with more behind it": lambda: issued() + "AAAA",
    "padding": lambda: issued() + "=",
    "a line break": lambda: issued() + "\n",
    "four parts": lambda: issued() + ".x",
    "two parts": lambda: issued().rpartition(".")[0],
    "header a text": lambda: hand_made(house_claims(), RAW, "alg"),
    "header a list": lambda: hand_made(house_claims(), RAW, ["alg"]),
    "header a number": lambda: hand_made(house_claims(), RAW, 5),
    "header not JSON": lambda: hand_made(house_claims(), RAW, b"{alg}"),
    "header of many brackets": lambda: hand_made(house_claims(), RAW, b"[" * 100_000),
    "half a character": lambda: issued() + "\ud800",
    "other letters": lambda: "ey\u0435.\u0435.\u0435",
    "dots": lambda: "..",
    "nothing": lambda: "",
    "a megabyte": lambda: "ey" + "A" * 1_000_000 + "..",
    "nul": lambda: "ey\x00.\x00.\x00",
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_what_we_did_not_sign_is_not_read(forgery: Callable[[], str]) -> None:
    assert tokens.read_house(KEY, forgery(), NOW) is None


@pytest.mark.parametrize(
    "header", [{"kid": "x"}, {"jku": "https://attacker.example/"}, {"jwk": {"kty": "oct", "k": "AA"}}]
)
def test_headers_that_name_a_key_change_nothing(header: dict[str, Any]) -> None:
    token = tokens.read_house(KEY, hand_made(house_claims(), RAW, {"alg": "HS256", **header}), NOW)
    assert token is not None
    assert token.user_id == USER


def test_the_two_issuers_do_not_read_each_others_tokens() -> None:
    assert tokens.read_supabase(SUPABASE, issued(), NOW) is None
    assert tokens.read_house(KEY, supabase_token(USER, NOW), NOW) is None


def test_one_secret_for_both_still_makes_two_keys() -> None:
    both = "one and the same secret, used twice by an operator"
    house, outside = tokens.house_key(both), tokens.supabase_key(both)
    ours = tokens.issue(house, user_id=USER, tenant_id=TENANT, now=NOW)
    theirs = hand_made(supabase_claims(USER, NOW), both.encode())
    assert tokens.read_supabase(outside, ours, NOW) is None
    assert tokens.read_house(house, theirs, NOW) is None
    assert tokens.read_supabase(outside, theirs, NOW) is not None


def test_a_supabase_token_tells_of_its_user() -> None:
    subject = UUID("8c9a4d5e-0000-4000-8000-000000000001")
    about = {"email": "a@example.com", "user_metadata": {"full_name": "Ann"}}
    token = tokens.read_supabase(SUPABASE, supabase_token(subject, NOW, **about), NOW)
    assert token == tokens.SupabaseToken(subject, "a@example.com", "Ann")
    odd = {"email": ["a@example.com"], "user_metadata": "Ann"}
    token = tokens.read_supabase(SUPABASE, supabase_token(str(subject).upper(), NOW, **odd), NOW)
    assert token == tokens.SupabaseToken(subject, None, None)


def test_one_of_several_audiences_is_enough() -> None:
    token = supabase_token(USER, NOW, aud=["other", "authenticated"])
    assert tokens.read_supabase(SUPABASE, token, NOW) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "anon"},
        {"aud": ["anon"]},
        {"aud": None},
        {"aud": {"authenticated": True}},
        {"aud": ["authenticated", 5]},
        {"aud": "authenticated-not"},
        {"exp": None},
        {"exp": "tomorrow"},
        {"sub": None},
        {"sub": "not-a-uuid"},
        {"sub": ""},
        {"nbf": int(NOW.timestamp()) + 3600},
    ],
    ids=str,
)
def test_a_supabase_token_with_wrong_claims_is_refused(changes: dict[str, Any]) -> None:
    token = supabase_token(USER, NOW, **changes)
    with pytest.raises(Unauthenticated, match="Invalid token"):
        tokens.read_supabase(SUPABASE, token, NOW)


def test_an_expired_supabase_token_is_refused() -> None:
    token = supabase_token(USER, NOW, exp=int(NOW.timestamp()))
    with pytest.raises(Unauthenticated, match="Token has expired"):
        tokens.read_supabase(SUPABASE, token, NOW)


def test_a_public_key_is_no_supabase_secret() -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for secret in (public, ""):
        with pytest.raises(ValueError, match="must not be"):
            tokens.supabase_key(secret)
