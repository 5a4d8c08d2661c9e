"""Calls: the HTTP requests a job makes (D3: webhooks)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from taskyard.domain import templates
from taskyard.domain.actors import Actor, Permission
from taskyard.domain.calls import check_headers, check_query
from taskyard.domain.errors import Conflict, Invalid, NotFound
from taskyard.domain.events import Fact
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Call, Job, Kind, facts
from taskyard.domain.urls import check_url
from taskyard.services import events
from taskyard.store import calls as store
from taskyard.store import jobs
from taskyard.store.database import Tx

METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH"})
MAX_CALLS = 50
MAX_URL_LENGTH = 500
_CHANGEABLE = frozenset({"url", "method", "headers", "query_params", "body_template"})


async def create(
    tx: Tx,
    actor: Actor,
    job_id: UUID,
    *,
    url: str,
    method: str,
    headers: Mapping[str, str] | None = None,
    query_params: Mapping[str, str] | None = None,
    body_template: str | None = None,
) -> Call:
    """Add a call at the end of the job's. Raises `NotFound` (job), `Invalid`, `Conflict`."""
    actor.require(Permission.WRITE)
    job = await jobs.get(tx, actor.tenant_id, job_id, lock=True)
    if job is None:
        raise NotFound("job", job_id)
    if job.kind is not Kind.HTTP:
        raise Conflict("A command job makes no HTTP calls")
    position = await store.next_position(tx, job_id)
    if len((await store.of_jobs(tx, [job_id]))[job_id]) >= MAX_CALLS:
        raise Conflict(f"A job makes at most {MAX_CALLS} calls")
    call = Call(
        id=new_id(),
        tenant_id=actor.tenant_id,
        job_id=job_id,
        position=position,
        url=url,
        method=method,
        headers=headers,
        query_params=query_params,
        body_template=body_template,
        created_at=tx.now,
        updated_at=tx.now,
    )
    await store.add(tx, _checked(call))
    await _tell(tx, actor, job)
    return call


async def get(tx: Tx, actor: Actor, call_id: UUID) -> Call:
    """One call. Raises `NotFound`."""
    actor.require(Permission.READ)
    return await _found(tx, actor, call_id)


async def _found(tx: Tx, actor: Actor, call_id: UUID, *, lock: bool = False) -> Call:
    call = await store.get(tx, actor.tenant_id, call_id, lock=lock)
    if call is None:
        raise NotFound("call", call_id)
    return call


async def locate(tx: Tx, call_id: UUID) -> UUID | None:
    """The tenant a call belongs to, for faces whose contract tells 403 from 404."""
    return await store.tenant_of(tx, call_id)


async def of_job(tx: Tx, actor: Actor, job_id: UUID) -> list[Call]:
    """The job's calls, in the order in which they are made."""
    actor.require(Permission.READ)
    if await jobs.get(tx, actor.tenant_id, job_id) is None:
        raise NotFound("job", job_id)
    return (await store.of_jobs(tx, [job_id]))[job_id]


async def of_jobs(tx: Tx, actor: Actor, job_ids: Sequence[UUID]) -> dict[UUID, list[Call]]:
    """The calls of each of the actor's jobs; another tenant's jobs have none."""
    actor.require(Permission.READ)
    found = await store.of_jobs(tx, job_ids)
    return {job_id: [call for call in calls if call.tenant_id == actor.tenant_id] for job_id, calls in found.items()}


async def update(tx: Tx, actor: Actor, call_id: UUID, changes: Mapping[str, Any]) -> Call:
    """Change url, method, headers, query_params or body_template; None clears the last three. Raises `Invalid`."""
    actor.require(Permission.WRITE)
    if not _CHANGEABLE.issuperset(changes):
        field = min(set(changes) - _CHANGEABLE)
        raise Invalid(f"{field} cannot be changed", field=field)
    call = replace(await _found(tx, actor, call_id, lock=True), **changes, updated_at=tx.now)
    await store.put(tx, _checked(call))
    await _tell(tx, actor, await jobs.get(tx, actor.tenant_id, call.job_id))
    return call


async def delete(tx: Tx, actor: Actor, call_id: UUID) -> None:
    """Remove a call."""
    actor.require(Permission.WRITE)
    call = await get(tx, actor, call_id)
    await store.remove(tx, actor.tenant_id, call_id)
    await _tell(tx, actor, await jobs.get(tx, actor.tenant_id, call.job_id))


async def _tell(tx: Tx, actor: Actor, job: Job | None) -> None:
    """A job's calls are part of it: changing them changes the job, making them along with it is its making."""
    if job is not None and job.created_at != tx.now:
        data = facts(job) | {"changed": ["calls"]}
        await events.append(tx, [Fact(job.tenant_id, "job.updated", data, job_id=job.id, actor=actor.name)])


def _checked(call: Call) -> Call:
    _ = check_url(call.url, limit=MAX_URL_LENGTH)
    if call.method not in METHODS:
        raise Invalid(f"method must be one of {', '.join(sorted(METHODS))}", field="method")
    check_headers(call.headers or {})
    check_query(call.url, call.query_params or {})
    if call.body_template is not None:
        templates.check(call.body_template)
    return call
