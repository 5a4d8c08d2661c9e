"""The yard's processes: their leases, what they are asked to stop, and when everything is due again."""

import os
import socket
from datetime import timedelta
from uuid import UUID

from taskyard.domain.ids import new_id
from taskyard.store import attempts, executions, workers
from taskyard.store.database import Tx
from taskyard.store.workers import WorkerRow


async def register(tx: Tx, roles: str, lease_seconds: float) -> UUID:
    """Announce this process; the answer is the id under which it works until its lease lapses."""
    ident = new_id()
    lease_until = tx.now + timedelta(seconds=lease_seconds)
    await workers.add(tx, WorkerRow(ident, socket.gethostname(), os.getpid(), roles, tx.now, lease_until))
    return ident


async def renew(tx: Tx, worker_id: UUID, lease_seconds: float) -> bool:
    """Extend the lease; False when others have given this process up: it must stop all it runs and write nothing."""
    return await workers.renew(tx, worker_id, lease_seconds)


async def end(tx: Tx, worker_id: UUID, reason: str) -> None:
    """Take a process that runs no executions off the list."""
    await workers.end(tx, [worker_id], reason)


async def running(tx: Tx, worker_id: UUID) -> set[UUID]:
    """Which executions run under `worker_id`, as far as the database knows."""
    return await attempts.ids_running_under(tx, worker_id)


async def alive(tx: Tx) -> list[WorkerRow]:
    """The processes whose lease holds."""
    return await workers.alive(tx)


async def cancel_requests(tx: Tx, worker_id: UUID) -> list[UUID]:
    """Which of its running executions the worker is asked to stop."""
    return await executions.cancel_requests(tx, worker_id)
