"""Signed tokens: the house's own, and those of Supabase (RULINGS §5 D3). JWT (RFC 7519) under HS256, nothing else.

The algorithm and the key are ours to choose, never the token's: `alg` must be HS256, and `kid`, `jku` or `jwk` in a
header change nothing (RFC 8725 §3.1, §3.10). A token is read only after its signature has been verified.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, cast
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jwt import JWTClaimsRegistry

from taskyard.domain.errors import Unauthenticated
from taskyard.domain.ids import new_id

LIFETIME_SECONDS = 86_400
"""How long a house token is good unless said otherwise: 24 hours (RULINGS §5 D4)."""

MISSING = "Missing credentials"
INVALID = "Invalid token"
EXPIRED = "Token has expired"
REVOKED = "Token was revoked"

_ALGORITHM = "HS256"
_HOUSE = "taskyard"
_SUPABASE_AUDIENCE = "authenticated"
# Clocks of several machines differ a little: `iat` and `nbf` may lie this far ahead. `exp` is taken at its word.
_SKEW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class HouseToken:
    """What a house token says: whose it is, and which tenant is meant unless another is named."""

    id: str
    user_id: UUID
    tenant_id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SupabaseToken:
    """What a Supabase token says of its user; `email` and `full_name` are as claimed there, unchecked."""

    subject: UUID
    email: str | None
    full_name: str | None


def house_key(secret_key: str) -> OctKey:
    """The key of house tokens, derived from `SECRET_KEY` apart from its other uses, 256 bits whatever its length."""
    return OctKey.import_key(sha256(b"taskyard.tokens.1\0" + secret_key.encode()).digest())


def supabase_key(secret: str) -> OctKey:
    """The key Supabase signs with, `SUPABASE_JWT_SECRET` as it is. Raises `ValueError` for an empty or a public key."""
    return OctKey.import_key(secret.encode())


def issue(
    key: OctKey, *, user_id: UUID, tenant_id: UUID, now: datetime, lifetime_seconds: int = LIFETIME_SECONDS
) -> str:
    """A fresh house token."""
    issued = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": _HOUSE,
        "aud": _HOUSE,
        "sub": str(user_id),
        "tid": str(tenant_id),
        "iat": issued,
        "exp": issued + lifetime_seconds,
        "jti": str(new_id()),
    }
    return jwt.encode({"alg": _ALGORITHM}, claims, key, algorithms=[_ALGORITHM])


def looks_signed(text: str) -> bool:
    """Whether `text` has the form of a signed token: three parts, the first a JSON object in base64."""
    return text.startswith("ey") and text.count(".") == 2


def read_house(key: OctKey, token: str, now: datetime) -> HouseToken | None:
    """What the token says, or None when it was not signed with `key`.

    Raises `Unauthenticated` when it was, and has expired or is no house token. Revocation is not looked at.
    """
    claims = _signed_claims(key, token)
    if claims is None:
        return None
    rules = JWTClaimsRegistry(
        int(now.timestamp()),
        _SKEW_SECONDS,
        iss={"essential": True, "value": _HOUSE},
        aud={"essential": True, "value": _HOUSE},
        sub={"essential": True},
        tid={"essential": True},
        iat={"essential": True},
        exp={"essential": True},
        jti={"essential": True},
    )
    _check(rules, claims, now)
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    return HouseToken(claims["jti"], _uuid(claims["sub"]), _uuid(claims["tid"]), expires_at)


def read_supabase(key: OctKey, token: str, now: datetime) -> SupabaseToken | None:
    """What the token says, or None when it was not signed with `key`.

    Raises `Unauthenticated` when it was, and has expired, or is not meant for signed-in users.
    """
    claims = _signed_claims(key, token)
    if claims is None:
        return None
    rules = JWTClaimsRegistry(
        int(now.timestamp()),
        _SKEW_SECONDS,
        aud={"essential": True, "value": _SUPABASE_AUDIENCE},
        sub={"essential": True},
        exp={"essential": True},
    )
    _check(rules, claims, now)
    about = claims.get("user_metadata")
    full_name = cast("dict[str, Any]", about).get("full_name") if isinstance(about, dict) else None
    return SupabaseToken(_uuid(claims["sub"]), _text(claims.get("email")), _text(full_name))


def _signed_claims(key: OctKey, token: str) -> dict[str, Any] | None:
    try:
        return jwt.decode(token, key, algorithms=[_ALGORITHM]).claims
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        # Anyone can send anything; whatever the parser stumbles over was not signed by us.
        return None


def _check(rules: JWTClaimsRegistry, claims: dict[str, Any], now: datetime) -> None:
    try:
        rules.validate(claims)
    except JoseError as error:
        raise Unauthenticated(EXPIRED if error.error == "expired_token" else INVALID) from None
    if claims["exp"] <= now.timestamp():
        raise Unauthenticated(EXPIRED)


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise Unauthenticated(INVALID) from None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
