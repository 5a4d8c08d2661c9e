"""Users at rest, and the outside identities some of them are known by."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, delete, exists, select, text, update

from taskyard.domain.actors import User
from taskyard.store.database import Tx
from taskyard.store.newcomers import add_new
from taskyard.store.tables import identities, users

USER = tuple(column.label(f"user_{column.name}") for column in users.c)
_FIRST_USER_LOCK = 0x7A5C_0001


def user_of(row: RowMapping) -> User:
    """The user in a row that selected `USER`."""
    return User(**{column.name: row[f"user_{column.name}"] for column in users.c})


async def add(tx: Tx, user: User) -> bool:
    """Store a new user; False when the address is taken."""
    row = {column.name: getattr(user, column.name) for column in users.c}
    return await add_new(tx, users, ["email"], row)


async def remove(tx: Tx, user_id: UUID) -> None:
    """Delete a user with everything that hangs on it."""
    await tx.connection.execute(delete(users).where(users.c.id == user_id))


async def any_known(tx: Tx) -> bool:
    """Whether there is any user. On PostgreSQL nobody else gets an answer before this transaction ends, so that of
    two processes starting on an empty database one makes the first user; SQLite's single writer gives the same.
    """
    if not tx.is_sqlite:
        await tx.connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _FIRST_USER_LOCK})
    return bool((await tx.connection.execute(select(exists().select_from(users)))).scalar_one())


async def set_active(tx: Tx, user_id: UUID, *, active: bool) -> None:
    """Switch a user on or off."""
    await tx.connection.execute(update(users).where(users.c.id == user_id).values(is_active=active))


async def set_password(tx: Tx, user_id: UUID, password_hash: str) -> None:
    """Let another password be the user's."""
    await tx.connection.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))


async def note_login(tx: Tx, user_id: UUID, at: datetime) -> None:
    """Remember when the user last signed in."""
    await tx.connection.execute(update(users).where(users.c.id == user_id).values(last_login_at=at))


async def add_identity(tx: Tx, issuer: str, subject: str, user_id: UUID) -> bool:
    """Let `issuer`'s `subject` be this user; False when it is somebody already."""
    row = {"issuer": issuer, "subject": subject, "user_id": user_id, "created_at": tx.now}
    return await add_new(tx, identities, ["issuer", "subject"], row)
