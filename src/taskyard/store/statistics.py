"""Counts and averages that are shown, not decided upon."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, text

from taskyard.domain.jobs import Kind
from taskyard.store.database import Tx
from taskyard.store.tables import executions


@dataclass(frozen=True, slots=True)
class ExecutionCounts:
    """How many executions some tenants have in each status, and how long those that ran took on average."""

    by_status: dict[str, int]
    average_ms: float

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_status.values())


async def of_executions(tx: Tx, tenant_ids: Sequence[UUID]) -> ExecutionCounts:
    """The tenants' counts; deliveries are not work of a tenant's own and are left out."""
    mine = (executions.c.tenant_id.in_(tenant_ids), executions.c.kind != Kind.DELIVERY.value)
    query = select(executions.c.status, func.count()).where(*mine).group_by(executions.c.status)
    by_status = {row[0]: int(row[1]) for row in await tx.connection.execute(query)}
    average = select(func.avg(executions.c.duration_ms)).where(*mine, executions.c.duration_ms.is_not(None))
    return ExecutionCounts(by_status, float((await tx.connection.execute(average)).scalar() or 0.0))


async def ping(tx: Tx) -> None:
    """Ask the database anything; raises what its driver raises."""
    await tx.connection.execute(text("SELECT 1"))


async def prune_engine_log(tx: Tx) -> None:
    """Empty the engine's own log on PostgreSQL: executions and events tell more, and it grows without end."""
    if not tx.is_sqlite:
        await tx.connection.execute(text("DELETE FROM pgqueuer_log WHERE created < now() - interval '10 minutes'"))
