"""Numbers of the yard as its users and its operator see them."""

from dataclasses import dataclass
from datetime import datetime

from taskyard.domain.actors import Actor, Permission
from taskyard.domain.executions import Status
from taskyard.domain.queues import QueueState
from taskyard.store import jobs, queue_states, statistics
from taskyard.store.database import Tx
from taskyard.store.statistics import ExecutionCounts


@dataclass(frozen=True, slots=True)
class Metrics:
    """The jobs and executions of one or more tenants, and the queues of the whole yard."""

    at: datetime
    jobs_total: int
    jobs_enabled: int
    executions: ExecutionCounts
    queues: list[QueueState]

    @property
    def success_rate(self) -> float:
        """Successes per hundred executions of any status, one decimal (D3's sample: 9500 of 10000 is 95.0)."""
        total = self.executions.total
        return round(100 * self.executions.by_status.get(Status.SUCCESS.value, 0) / total, 1) if total else 0.0


async def read(tx: Tx, *actors: Actor) -> Metrics:
    """The numbers of the actors' tenants, added up."""
    for actor in actors:
        actor.require(Permission.READ)
    tenant_ids = [actor.tenant_id for actor in actors]
    total, enabled = await jobs.counts(tx, tenant_ids)
    return Metrics(
        at=tx.now,
        jobs_total=total,
        jobs_enabled=enabled,
        executions=await statistics.of_executions(tx, tenant_ids),
        queues=await queue_states.states(tx),
    )
