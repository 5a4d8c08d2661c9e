"""Dead letters: runs that failed for good, until somebody runs them again or takes them off the list."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from taskyard.faces.assistant.house.schemas import executions as schemas
from taskyard.faces.assistant.house.translate import executions as translate
from taskyard.faces.assistant.routes.answers import answers, router_of
from taskyard.faces.kit.auth import DefaultActor
from taskyard.faces.kit.paging import LimitOffset
from taskyard.faces.kit.yard import TheYard
from taskyard.services import executions, jobs

router = router_of("dead-letters")


@router.get("", responses=answers(422))
async def list_dead_letters(
    yard: TheYard,
    actor: DefaultActor,
    page: LimitOffset,
    job_id: Annotated[UUID | None, Query(description="Only this job's, deleted or not")] = None,
) -> schemas.ExecutionPage:
    """The last attempts of runs that failed for good, newest first."""
    async with yard.database.read() as tx:
        found, total = await executions.dead_letters(tx, actor, job_id=job_id, skip=page.skip, limit=page.limit)
    items = [translate.execution(each) for each in found]
    return schemas.ExecutionPage(items=items, total=total, limit=page.limit, offset=page.skip)


@router.post("/replay", responses=answers(403, 404, 413, 422))
async def replay_dead_letters(yard: TheYard, actor: DefaultActor, body: schemas.ReplayWanted) -> schemas.Replayed:
    """Run several again: those named, a job's, or all. At most 1000 at once; call again for what remains."""
    async with yard.database.write() as tx:
        started = await executions.replay(tx, actor, ids=body.ids, job_id=body.job_id)
        if not started and body.job_id is not None:
            # A deleted job may have left dead letters; one that has none and does not exist is nobody's.
            await jobs.get(tx, actor, body.job_id)
        _, remaining = await executions.dead_letters(tx, actor, job_id=body.job_id, limit=1)
    ids = [execution.id for execution in started]
    return schemas.Replayed(replayed=len(ids), executions=ids, remaining=remaining)


@router.post("/{execution_id}/replay", status_code=201, responses=answers(403, 404, 422))
async def replay_dead_letter(yard: TheYard, actor: DefaultActor, execution_id: UUID) -> schemas.Execution:
    """Run a dead letter again, as a new run."""
    async with yard.database.write() as tx:
        started = await executions.replay(tx, actor, ids=[execution_id])
    return translate.execution(started[0])


@router.delete("/{execution_id}", status_code=204, responses=answers(403, 404, 422))
async def dismiss_dead_letter(yard: TheYard, actor: DefaultActor, execution_id: UUID) -> None:
    """Take a dead letter off the list; the execution stays."""
    async with yard.database.write() as tx:
        await executions.dismiss(tx, actor, [execution_id])
