"""Forgetting what is old enough, in small bites so that nobody waits for it."""

from datetime import timedelta

from taskyard.domain.rules import Rules
from taskyard.store import events, executions, statistics, workers
from taskyard.store.database import Tx

BITE = 1000
_WORKERS_KEPT = timedelta(days=1)


async def prune(tx: Tx, rules: Rules) -> bool:
    """Delete one bite of old history; True while there may be more."""
    ran = await executions.prune(tx, tx.now - timedelta(days=rules.executions_kept_days), BITE)
    told = await events.prune(tx, tx.now - timedelta(days=rules.events_kept_days), BITE)
    await workers.prune(tx, tx.now - _WORKERS_KEPT)
    await statistics.prune_credentials(tx, tx.now)
    await statistics.prune_engine_log(tx)
    return BITE in (ran, told)
