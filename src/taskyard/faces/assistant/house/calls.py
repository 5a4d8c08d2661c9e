"""The HTTP calls of a job."""

from uuid import UUID

from taskyard.domain.actors import Actor
from taskyard.domain.errors import NotFound
from taskyard.domain.jobs import Call
from taskyard.faces.assistant.house.schemas import calls as schemas
from taskyard.faces.assistant.house.translate import jobs as translate
from taskyard.faces.assistant.routes.answers import answers, router_of
from taskyard.faces.kit.auth import DefaultActor
from taskyard.faces.kit.paging import LimitOffset
from taskyard.faces.kit.yard import TheYard
from taskyard.services import calls
from taskyard.services.transactions import Tx

router = router_of("jobs")


async def _of(tx: Tx, actor: Actor, job_id: UUID, call_id: UUID) -> Call:
    """The call, if it is this job's: an address that names both means both."""
    found = await calls.get(tx, actor, call_id)
    if found.job_id != job_id:
        raise NotFound("call", call_id)
    return found


@router.get("/{job_id}/calls", responses=answers(404, 422))
async def list_calls(yard: TheYard, actor: DefaultActor, job_id: UUID, page: LimitOffset) -> schemas.CallPage:
    """The job's calls, in the order in which they are made."""
    async with yard.database.read() as tx:
        found = await calls.of_job(tx, actor, job_id)
    items = [translate.call(each, actor) for each in found[page.skip : page.skip + page.limit]]
    return schemas.CallPage(items=items, total=len(found), limit=page.limit, offset=page.skip)


@router.post("/{job_id}/calls", status_code=201, responses=answers(403, 404, 409, 413, 422))
async def create_call(yard: TheYard, actor: DefaultActor, job_id: UUID, body: schemas.CallWanted) -> schemas.Call:
    """Add a call after the job's others."""
    async with yard.database.write() as tx:
        return translate.call(await calls.create(tx, actor, job_id, **body.model_dump()), actor)


@router.get("/{job_id}/calls/{call_id}", responses=answers(404, 422))
async def get_call(yard: TheYard, actor: DefaultActor, job_id: UUID, call_id: UUID) -> schemas.Call:
    """Get a call."""
    async with yard.database.read() as tx:
        return translate.call(await _of(tx, actor, job_id, call_id), actor)


@router.put("/{job_id}/calls/{call_id}", responses=answers(403, 404, 413, 422))
@router.patch("/{job_id}/calls/{call_id}", responses=answers(403, 404, 413, 422))
async def update_call(
    yard: TheYard, actor: DefaultActor, job_id: UUID, call_id: UUID, body: schemas.CallChanges
) -> schemas.Call:
    """Change what is sent."""
    async with yard.database.write() as tx:
        await _of(tx, actor, job_id, call_id)
        return translate.call(await calls.update(tx, actor, call_id, body.model_dump(exclude_unset=True)), actor)


@router.delete("/{job_id}/calls/{call_id}", status_code=204, responses=answers(403, 404, 422))
async def delete_call(yard: TheYard, actor: DefaultActor, job_id: UUID, call_id: UUID) -> None:
    """Remove a call from its job."""
    async with yard.database.write() as tx:
        await _of(tx, actor, job_id, call_id)
        await calls.delete(tx, actor, call_id)
