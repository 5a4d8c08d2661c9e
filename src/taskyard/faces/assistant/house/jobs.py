"""Jobs: all that can be said of one, running it by hand, and when it comes next."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from taskyard.domain.actors import Actor
from taskyard.faces.assistant.house.schemas import executions as execution_schemas
from taskyard.faces.assistant.house.schemas import jobs as schemas
from taskyard.faces.assistant.house.translate import executions as execution_translate
from taskyard.faces.assistant.house.translate import jobs as translate
from taskyard.faces.assistant.routes.answers import answers, router_of
from taskyard.faces.kit.auth import DefaultActor
from taskyard.faces.kit.paging import LimitOffset
from taskyard.faces.kit.wire import Text
from taskyard.faces.kit.yard import TheYard, Yard
from taskyard.services import calls, jobs
from taskyard.services.transactions import Tx

router = router_of("jobs")


async def _answer(tx: Tx, actor: Actor, job: jobs.Job) -> schemas.Job:
    return translate.job(job, await calls.of_job(tx, actor, job.id), actor)


@router.get("", responses=answers(422))
async def list_jobs(
    yard: TheYard,
    actor: DefaultActor,
    page: LimitOffset,
    enabled: Annotated[bool | None, Query(description="Only those switched on, or off")] = None,
    search: Annotated[Text | None, Query(max_length=255, description="Part of the name")] = None,
) -> schemas.JobPage:
    """List jobs, newest first."""
    async with yard.database.read() as tx:
        found, total = await jobs.page(
            tx, actor, enabled=enabled, search=search or None, skip=page.skip, limit=page.limit
        )
        made = await calls.of_jobs(tx, actor, [job.id for job in found])
    items = [translate.job(job, made[job.id], actor) for job in found]
    return schemas.JobPage(items=items, total=total, limit=page.limit, offset=page.skip)


@router.post("", status_code=201, responses=answers(403, 413, 422))
async def create_job(yard: TheYard, actor: DefaultActor, body: schemas.JobWanted) -> schemas.Job:
    """Create a job, with its calls if it is to make any. A command job needs the permission `execute`."""
    async with yard.database.write() as tx:
        made = await jobs.create(tx, actor, translate.wanted(body, yard.rules))
        for call in body.calls:
            await calls.create(tx, actor, made.id, **call.model_dump())
        return await _answer(tx, actor, made)


@router.get("/{job_id}", responses=answers(404, 422))
async def get_job(yard: TheYard, actor: DefaultActor, job_id: UUID) -> schemas.Job:
    """Get a job with its calls."""
    async with yard.database.read() as tx:
        return await _answer(tx, actor, await jobs.get(tx, actor, job_id))


@router.put("/{job_id}", responses=answers(403, 404, 413, 422))
@router.patch("/{job_id}", responses=answers(403, 404, 413, 422))
async def update_job(yard: TheYard, actor: DefaultActor, job_id: UUID, body: schemas.JobChanges) -> schemas.Job:
    """Change what is sent; a new schedule, zone or switch moves the next run."""
    async with yard.database.write() as tx:
        # Locked, because parts of a command or a retry policy are filled up with what is stored.
        before = await jobs.get(tx, actor, job_id, lock=True)
        return await _answer(
            tx, actor, await jobs.update(tx, actor, job_id, translate.changes(body, before, yard.rules))
        )


@router.delete("/{job_id}", status_code=204, responses=answers(403, 404, 422))
async def delete_job(yard: TheYard, actor: DefaultActor, job_id: UUID) -> None:
    """Delete a job and cancel what waits or runs of it; its history stays."""
    async with yard.database.write() as tx:
        await jobs.delete(tx, actor, job_id)


@router.post("/{job_id}/enable", responses=answers(403, 404, 422))
async def enable_job(yard: TheYard, actor: DefaultActor, job_id: UUID) -> schemas.Job:
    """Switch a job on."""
    return await _switch(yard, actor, job_id, enabled=True)


@router.post("/{job_id}/disable", responses=answers(403, 404, 422))
async def disable_job(yard: TheYard, actor: DefaultActor, job_id: UUID) -> schemas.Job:
    """Switch a job off; what is already queued or running goes on."""
    return await _switch(yard, actor, job_id, enabled=False)


async def _switch(yard: Yard, actor: Actor, job_id: UUID, *, enabled: bool) -> schemas.Job:
    async with yard.database.write() as tx:
        return await _answer(tx, actor, await jobs.set_enabled(tx, actor, job_id, enabled=enabled))


@router.post("/{job_id}/run", status_code=202, responses=answers(403, 404, 422))
async def run_job(yard: TheYard, actor: DefaultActor, job_id: UUID) -> execution_schemas.Execution:
    """Run a job once, now, whatever its schedule, switch and overlap policy say."""
    async with yard.database.write() as tx:
        return execution_translate.execution(await jobs.run_now(tx, actor, job_id))


@router.get("/{job_id}/next", responses=answers(404, 422))
async def next_runs(
    yard: TheYard,
    actor: DefaultActor,
    job_id: UUID,
    count: Annotated[int, Query(ge=1, le=jobs.MAX_UPCOMING, description="How many")] = 5,
) -> schemas.NextRuns:
    """The next due times, also of a job that is off, with what daylight saving does to them."""
    async with yard.database.read() as tx:
        found = await jobs.get(tx, actor, job_id)
        coming = await jobs.upcoming(tx, actor, job_id, count)
    return schemas.NextRuns(
        job_id=found.id, timezone=found.timezone, items=[translate.next_run(each) for each in coming]
    )
