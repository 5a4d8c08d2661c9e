"""Is this the key? Asked once by each process that would otherwise find out with every execution it begins."""

from sqlalchemy import select

from taskyard.store.database import Tx
from taskyard.store.tables import calls, jobs, subscriptions

_SEALED = (
    select(calls.c.sealed).limit(1),
    select(subscriptions.c.sealed).limit(1),
    select(jobs.c.command).where(jobs.c.command.is_not(None)).limit(1),
)


async def check(tx: Tx) -> None:
    """Open something that is stored. Raises `Unavailable`, code SECRET_KEY_MISMATCH, when another key sealed it."""
    for query in _SEALED:
        sealed = (await tx.connection.execute(query)).scalar()
        if sealed is not None:
            tx.vault.open(sealed)
            return
