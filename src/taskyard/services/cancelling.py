"""Stopping executions: those that wait end at once, those that run are stopped by their workers."""

from collections.abc import Sequence
from uuid import UUID

from taskyard.domain.endings import cancelled
from taskyard.domain.events import Fact
from taskyard.domain.executions import Execution, told
from taskyard.domain.hints import CancelRequested, OutputAppended
from taskyard.store import attempts, executions
from taskyard.store.database import Tx
from taskyard.store.queue import tickets


async def stop(
    tx: Tx, tenant_id: UUID, execution_ids: Sequence[UUID], reason: str | None, actor: str | None = None
) -> list[Fact]:
    """Cancel whichever of the executions are not over; answers the events to append."""
    waiting = await executions.lock_waiting(tx, tenant_id, execution_ids)
    facts = await end_waiting(tx, waiting, reason, actor)
    ended = {execution.id for execution in waiting}
    running = [ident for ident in execution_ids if ident not in ended]
    if running:
        await executions.request_cancel(tx, tenant_id, running, reason)
        for ident in running:
            tx.hint(CancelRequested(ident))
    return facts


async def end_waiting(tx: Tx, waiting: Sequence[Execution], reason: str | None, actor: str | None) -> list[Fact]:
    """End queued executions this transaction has locked; answers the events to append."""
    ended = [cancelled(execution, reason, tx.now) for execution in waiting]
    await attempts.finish(tx, ended)
    await tickets.withdraw(tx, [execution.id for execution in ended])
    for execution in ended:
        tx.hint(OutputAppended(execution.id))
    return told(ended, actor)
