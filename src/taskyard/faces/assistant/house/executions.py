"""Executions: what ran, runs and waits; stopping it, running it again, moving it forward."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from taskyard.domain.errors import Conflict
from taskyard.domain.executions import Status
from taskyard.domain.retries import MAX_ATTEMPTS
from taskyard.faces.assistant.house.schemas import executions as schemas
from taskyard.faces.assistant.house.translate import executions as translate
from taskyard.faces.assistant.routes.answers import answers, router_of
from taskyard.faces.kit.auth import DefaultActor
from taskyard.faces.kit.paging import LimitOffset
from taskyard.faces.kit.yard import TheYard
from taskyard.services import executions

router = router_of("executions")


@router.get("", responses=answers(422))
async def list_executions(
    yard: TheYard,
    actor: DefaultActor,
    page: LimitOffset,
    job_id: Annotated[UUID | None, Query(description="Only this job's, deleted or not")] = None,
    run_id: Annotated[UUID | None, Query(description="Only the attempts of this run")] = None,
    status: Annotated[Status | None, Query(description="Only in this status")] = None,
) -> schemas.ExecutionPage:
    """List executions, newest first; deliveries are listed at their webhooks."""
    async with yard.database.read() as tx:
        found, total = await executions.page(
            tx, actor, job_id=job_id, run_id=run_id, status=status, skip=page.skip, limit=page.limit
        )
    items = [translate.execution(each) for each in found]
    return schemas.ExecutionPage(items=items, total=total, limit=page.limit, offset=page.skip)


@router.get("/{execution_id}", responses=answers(404, 422))
async def get_execution(yard: TheYard, actor: DefaultActor, execution_id: UUID) -> schemas.FullExecution:
    """Get an execution with what came of it and the other attempts of its run."""
    async with yard.database.read() as tx:
        found = await executions.get(tx, actor, execution_id)
        attempts, _ = await executions.page(tx, actor, run_id=found.run_id, limit=MAX_ATTEMPTS)
    return translate.full(found, attempts)


@router.post("/{execution_id}/cancel", responses=answers(403, 404, 409, 413, 422))
async def cancel_execution(
    yard: TheYard, actor: DefaultActor, execution_id: UUID, body: schemas.Cancellation | None = None
) -> schemas.Execution:
    """Stop an execution. One that waits is cancelled at once; one that runs is stopped by its worker, and the answer
    still says `running`, with `cancel_requested_at`.
    """
    reason = body.reason if body else None
    async with yard.database.write() as tx:
        return translate.execution(await executions.cancel(tx, actor, execution_id, reason))


@router.post("/{execution_id}/retry", status_code=201, responses=answers(403, 404, 409, 422))
async def retry_execution(yard: TheYard, actor: DefaultActor, execution_id: UUID) -> schemas.Execution:
    """Run an ended execution's work again, as a new run."""
    async with yard.database.write() as tx:
        return translate.execution(await executions.retry(tx, actor, execution_id))


@router.post("/{execution_id}/priority", responses=answers(403, 404, 409, 413, 422))
async def move_execution(
    yard: TheYard, actor: DefaultActor, execution_id: UUID, body: schemas.Move
) -> schemas.Execution:
    """Move a waiting execution to another queue or priority."""
    async with yard.database.write() as tx:
        found = await executions.get(tx, actor, execution_id)
        queue = found.queue if body.queue is None else body.queue
        priority = found.priority if body.priority is None else body.priority
        moved = await executions.prioritise(tx, actor, [execution_id], queue, priority)
        if not moved:
            raise Conflict("The execution is no longer waiting", code="EXECUTION_NOT_WAITING")
    return translate.execution(moved[0])
