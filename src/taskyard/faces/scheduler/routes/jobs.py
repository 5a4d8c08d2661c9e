"""Jobs and their executions (D3-E01 to E08)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from taskyard.domain.executions import Status
from taskyard.faces.kit.auth import Caller, bearer_scheme, guarded, principal
from taskyard.faces.kit.paging import SkipLimit
from taskyard.faces.kit.yard import TheYard
from taskyard.faces.scheduler import access, schemas, translate
from taskyard.faces.scheduler.routes.answers import answers
from taskyard.services import accounts, executions, jobs

router = APIRouter(
    prefix="/api/jobs", tags=["jobs"], route_class=guarded(principal), dependencies=[Depends(bearer_scheme)]
)


@router.post("", status_code=201, responses=answers(400, 403, 413))
async def create_job(yard: TheYard, caller: Caller, body: schemas.JobCreate) -> schemas.Job:
    """Create a new scheduled job."""
    async with yard.database.write() as tx:
        actor = await accounts.claim(tx, caller, body.account_id, yard.rules)
        return translate.job(await jobs.create(tx, actor, translate.job_wanted(body)))


@router.get("", responses=answers(400, 403))
async def list_jobs(
    yard: TheYard,
    caller: Caller,
    page: SkipLimit,
    account_id: Annotated[UUID, Query(description="UUID of the account")],
    enabled: Annotated[bool | None, Query(description="Filter by enabled status")] = None,
) -> schemas.JobPage:
    """List all jobs of an account with pagination, newest first."""
    async with access.reading_account(yard, caller, account_id) as (tx, actor):
        found, total = await jobs.page(tx, actor, enabled=enabled, skip=page.skip, limit=page.limit)
    items = [translate.job(each) for each in found]
    return schemas.JobPage(items=items, total=total, skip=page.skip, limit=page.limit)


@router.get("/{job_id}", responses=answers(400, 403, 404))
async def get_job(yard: TheYard, caller: Caller, job_id: UUID) -> schemas.Job:
    """Get a specific job by ID."""
    async with yard.database.read() as tx:
        actor = await access.of_job(tx, caller, job_id)
        return translate.job(await jobs.get(tx, actor, job_id))


@router.put("/{job_id}", responses=answers(400, 403, 404, 413))
async def update_job(yard: TheYard, caller: Caller, job_id: UUID, body: schemas.JobUpdate) -> schemas.Job:
    """Update a job's properties; a new schedule, zone or switch moves its next run."""
    async with yard.database.write() as tx:
        actor = await access.of_job(tx, caller, job_id)
        return translate.job(await jobs.update(tx, actor, job_id, body.model_dump(exclude_unset=True)))


@router.delete("/{job_id}", status_code=204, responses=answers(400, 403, 404))
async def delete_job(yard: TheYard, caller: Caller, job_id: UUID) -> None:
    """Delete a job (hard delete)."""
    async with yard.database.write() as tx:
        await jobs.delete(tx, await access.of_job(tx, caller, job_id), job_id)


@router.patch("/{job_id}/enable", responses=answers(400, 403, 404))
async def enable_job(yard: TheYard, caller: Caller, job_id: UUID) -> schemas.Job:
    """Enable a job."""
    return await _switch(yard, caller, job_id, enabled=True)


@router.patch("/{job_id}/disable", responses=answers(400, 403, 404))
async def disable_job(yard: TheYard, caller: Caller, job_id: UUID) -> schemas.Job:
    """Disable a job; what is already queued or running goes on."""
    return await _switch(yard, caller, job_id, enabled=False)


async def _switch(yard: TheYard, caller: Caller, job_id: UUID, *, enabled: bool) -> schemas.Job:
    async with yard.database.write() as tx:
        actor = await access.of_job(tx, caller, job_id)
        return translate.job(await jobs.set_enabled(tx, actor, job_id, enabled=enabled))


@router.get("/{job_id}/executions", responses=answers(400, 403, 404))
async def list_executions(
    yard: TheYard,
    caller: Caller,
    job_id: UUID,
    page: SkipLimit,
    status: Annotated[Status | None, Query(description="Filter by status")] = None,
) -> schemas.ExecutionPage:
    """Get execution history for a job, newest first."""
    async with yard.database.read() as tx:
        actor = await access.of_job(tx, caller, job_id)
        found, total = await executions.page(tx, actor, job_id=job_id, status=status, skip=page.skip, limit=page.limit)
    items = [translate.execution(each) for each in found]
    return schemas.ExecutionPage(items=items, total=total, skip=page.skip, limit=page.limit)


@router.post("/{job_id}/run", status_code=202, responses=answers(400, 403, 404))
async def run_job(yard: TheYard, caller: Caller, job_id: UUID) -> schemas.Execution:
    """Run a job once, now, whatever its schedule and switch say."""
    async with yard.database.write() as tx:
        actor = await access.of_job(tx, caller, job_id)
        return translate.execution(await jobs.run_now(tx, actor, job_id))


@router.get("/{job_id}/next", responses=answers(400, 403, 404))
async def next_runs(
    yard: TheYard,
    caller: Caller,
    job_id: UUID,
    count: Annotated[int, Query(ge=1, le=jobs.MAX_UPCOMING, description="How many")] = 5,
) -> schemas.NextRuns:
    """The job's next due times, with what daylight saving does to them."""
    async with yard.database.read() as tx:
        actor = await access.of_job(tx, caller, job_id)
        found = await jobs.get(tx, actor, job_id)
        coming = await jobs.upcoming(tx, actor, job_id, count)
    return schemas.NextRuns(
        job_id=found.id, timezone=found.timezone, items=[translate.next_run(each) for each in coming]
    )
