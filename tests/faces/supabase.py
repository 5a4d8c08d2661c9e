"""Tokens as an outside issuer signs them."""

import time
from uuid import UUID, uuid4

from joserfc import jwt
from joserfc.jwk import OctKey

from tests.faces.conftest import SUPABASE_SECRET


def outside_token(subject: UUID | None = None) -> str:
    """A good token of a user of Supabase."""
    claims = {
        "sub": str(subject or uuid4()),
        "aud": "authenticated",
        "exp": int(time.time()) + 3600,
        "role": "authenticated",
    }
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SUPABASE_SECRET))
