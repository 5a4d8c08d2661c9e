"""Queues: seeing, pausing, resuming, clearing."""

from taskyard.domain.actors import Actor
from taskyard.domain.queues import named
from taskyard.faces.assistant.house.schemas import queues as schemas
from taskyard.faces.assistant.house.translate import facts as translate
from taskyard.faces.assistant.routes.answers import answers, router_of
from taskyard.faces.kit.auth import DefaultActor
from taskyard.faces.kit.paging import LimitOffset
from taskyard.faces.kit.yard import TheYard
from taskyard.services import queues
from taskyard.services.transactions import Tx

router = router_of("queues")


async def _state(tx: Tx, actor: Actor, name: str) -> schemas.QueueState:
    queue = named(name)
    return next(translate.queue(each) for each in await queues.states(tx, actor) if each.name is queue)


@router.get("", responses=answers(422))
async def list_queues(yard: TheYard, actor: DefaultActor, page: LimitOffset) -> schemas.QueuePage:
    """All queues as they stand."""
    async with yard.database.read() as tx:
        found = await queues.states(tx, actor)
    items = [translate.queue(each) for each in found[page.skip : page.skip + page.limit]]
    return schemas.QueuePage(items=items, total=len(found), limit=page.limit, offset=page.skip)


@router.get("/{name}", responses=answers(404))
async def get_queue(yard: TheYard, actor: DefaultActor, name: str) -> schemas.QueueState:
    """One queue as it stands."""
    async with yard.database.read() as tx:
        return await _state(tx, actor, name)


@router.post("/{name}/pause", responses=answers(403, 404, 413, 422))
async def pause_queue(
    yard: TheYard, actor: DefaultActor, name: str, body: schemas.Pause | None = None
) -> schemas.QueueState:
    """Hand out nothing of a queue from now on; what runs goes on. Only the operator may."""
    async with yard.database.write() as tx:
        await queues.pause(tx, actor, named(name), body.reason if body else None)
        return await _state(tx, actor, name)


@router.post("/{name}/resume", responses=answers(403, 404))
async def resume_queue(yard: TheYard, actor: DefaultActor, name: str) -> schemas.QueueState:
    """Hand out a queue again. Only the operator may."""
    async with yard.database.write() as tx:
        await queues.resume(tx, actor, named(name))
        return await _state(tx, actor, name)


@router.post("/{name}/clear", responses=answers(403, 404, 413, 422))
async def clear_queue(
    yard: TheYard,
    actor: DefaultActor,
    name: str,
    body: schemas.Clearing,  # noqa: ARG001  valid only when it confirms
) -> schemas.Cleared:
    """Cancel all that the caller's tenant has waiting in a queue."""
    async with yard.database.write() as tx:
        return schemas.Cleared(cleared=await queues.clear(tx, actor, named(name)))
