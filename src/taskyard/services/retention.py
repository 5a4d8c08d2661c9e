"""Forgetting what is old enough, in small bites so that nobody waits for it."""

from datetime import timedelta

from taskyard.domain.rules import Rules
from taskyard.store import events, executions, logins, statistics, workers
from taskyard.store.database import Tx

BITE = 1000
_WORKERS_KEPT = timedelta(days=1)


async def prune(tx: Tx, rules: Rules) -> bool:
    """Delete one bite of old history; True while there may be more."""
    ran = await executions.prune(tx, tx.now - timedelta(days=rules.executions_kept_days), BITE)
    told = await events.prune(tx, tx.now - timedelta(days=rules.events_kept_days), BITE)
    await workers.prune(tx, tx.now - _WORKERS_KEPT)
    expired = await logins.prune(tx, tx.now, BITE)
    await statistics.prune_engine_log(tx)
    return max(ran, told, expired) >= BITE
