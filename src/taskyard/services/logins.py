"""Login sessions: the cookie of a browser. Kept on the server, so that signing out ends them."""

import secrets
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from taskyard.services.transactions import Tx
from taskyard.store import logins

PREFIX = "login_"
LIFETIME = timedelta(days=30)
"""RULINGS §5 D0."""


def hash_token(token: str) -> str:
    """What is stored of a session's token. The token is 256 random bits, so a fast hash gives nothing away."""
    return sha256(token.encode(errors="surrogatepass")).hexdigest()


async def begin(tx: Tx, user_id: UUID) -> str:
    """A new session of the user; the answer is its token, which is not kept."""
    token = PREFIX + secrets.token_urlsafe(32)
    await logins.add(tx, user_id, hash_token(token), tx.now + LIFETIME)
    return token


async def end(tx: Tx, token: str) -> None:
    """End the session with that token; an unknown or ended one needs nothing."""
    await logins.revoke(tx, hash_token(token))
