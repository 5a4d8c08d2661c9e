"""Login sessions (hashes only) and revoked house tokens at rest."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, insert, select, update

from taskyard.domain.ids import new_id
from taskyard.store.database import Tx
from taskyard.store.newcomers import add_new
from taskyard.store.tables import login_sessions, revoked_tokens


async def add(tx: Tx, user_id: UUID, token_hash: str, expires_at: datetime) -> None:
    """Store a new session."""
    row = {
        "id": new_id(),
        "user_id": user_id,
        "token_hash": token_hash,
        "created_at": tx.now,
        "expires_at": expires_at,
    }
    await tx.connection.execute(insert(login_sessions).values(row))


async def revoke(tx: Tx, token_hash: str) -> None:
    """End a session; an unknown or ended one stays as it is."""
    await _revoke(tx, login_sessions.c.token_hash == token_hash)


async def revoke_all(tx: Tx, user_id: UUID) -> None:
    """End all sessions of a user."""
    await _revoke(tx, login_sessions.c.user_id == user_id)


async def revoke_token(tx: Tx, jti: str, expires_at: datetime) -> None:
    """Refuse the house token `jti` from now on; the note is needed until the token's own end."""
    await add_new(tx, revoked_tokens, ["jti"], {"jti": jti, "expires_at": expires_at})


async def prune(tx: Tx, before: datetime, limit: int) -> int:
    """Delete up to `limit` each of the sessions and revocations that expired before `before`; how many went."""
    gone = 0
    for table, key in ((login_sessions, login_sessions.c.id), (revoked_tokens, revoked_tokens.c.jti)):
        old = select(key).where(table.c.expires_at < before).limit(limit)
        gone += (await tx.connection.execute(delete(table).where(key.in_(old)))).rowcount
    return gone


async def _revoke(tx: Tx, *where: ColumnElement[bool]) -> None:
    living = update(login_sessions).where(*where, login_sessions.c.revoked_at.is_(None))
    await tx.connection.execute(living.values(revoked_at=tx.now))
