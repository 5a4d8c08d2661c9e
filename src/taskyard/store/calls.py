"""Calls at rest: the HTTP requests of a job, sealed but for their method."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, bindparam, delete, func, insert, select, update

from taskyard.domain.jobs import Call
from taskyard.store.database import Tx
from taskyard.store.tables import calls


def _row(tx: Tx, call: Call) -> dict[str, Any]:
    secrets = {
        "url": call.url,
        "headers": call.headers,
        "query_params": call.query_params,
        "body_template": call.body_template,
    }
    return {
        "id": call.id,
        "tenant_id": call.tenant_id,
        "job_id": call.job_id,
        "position": call.position,
        "method": call.method,
        "sealed": tx.vault.seal(secrets),
        "created_at": call.created_at,
        "updated_at": call.updated_at,
    }


def _call(tx: Tx, row: RowMapping) -> Call:
    facts = dict(row)
    secrets = tx.vault.open(facts.pop("sealed"))
    return Call(**facts, **secrets)


async def add(tx: Tx, call: Call) -> None:
    """Store a new call."""
    await tx.connection.execute(insert(calls).values(_row(tx, call)))


async def put(tx: Tx, call: Call) -> None:
    """Store every field of an existing call of this tenant."""
    query = update(calls).where(calls.c.tenant_id == call.tenant_id, calls.c.id == call.id)
    await tx.connection.execute(query.values(_row(tx, call)))


async def get(tx: Tx, tenant_id: UUID, call_id: UUID, *, lock: bool = False) -> Call | None:
    """The tenant's call, locked until the end of the transaction when asked."""
    query = select(calls).where(calls.c.tenant_id == tenant_id, calls.c.id == call_id)
    row = (await tx.connection.execute(query.with_for_update() if lock else query)).mappings().first()
    return None if row is None else _call(tx, row)


async def tenant_of(tx: Tx, call_id: UUID) -> UUID | None:
    """Whose call this is; only for deciding between 403 and 404 where a contract tells them apart."""
    return (await tx.connection.execute(select(calls.c.tenant_id).where(calls.c.id == call_id))).scalar()


async def remove(tx: Tx, tenant_id: UUID, call_id: UUID) -> None:
    """Delete one call."""
    await tx.connection.execute(delete(calls).where(calls.c.tenant_id == tenant_id, calls.c.id == call_id))


async def remove_of_job(tx: Tx, tenant_id: UUID, job_id: UUID) -> None:
    """Delete all calls of a job."""
    await tx.connection.execute(delete(calls).where(calls.c.tenant_id == tenant_id, calls.c.job_id == job_id))


_OF_JOBS = (
    select(calls).where(calls.c.job_id.in_(bindparam("ids", expanding=True))).order_by(calls.c.job_id, calls.c.position)
)


async def of_jobs(tx: Tx, job_ids: Iterable[UUID]) -> dict[UUID, list[Call]]:
    """The calls of each job, in order of creation."""
    wanted = list(set(job_ids))
    found: dict[UUID, list[Call]] = {job_id: [] for job_id in wanted}
    if wanted:
        for row in (await tx.connection.execute(_OF_JOBS, {"ids": wanted})).mappings():
            found[row["job_id"]].append(_call(tx, row))
    return found


async def next_position(tx: Tx, job_id: UUID) -> int:
    """Where a further call of the job belongs."""
    query = select(func.coalesce(func.max(calls.c.position), 0)).where(calls.c.job_id == job_id)
    return (await tx.connection.execute(query)).scalar_one() + 1
