"""Webhooks: the HTTP calls of a job (D3-E09 to E12)."""

from uuid import UUID

from fastapi import APIRouter, Depends

from taskyard.faces.kit.auth import Caller, bearer_scheme, guarded, principal
from taskyard.faces.kit.yard import TheYard
from taskyard.faces.scheduler import access, schemas, translate
from taskyard.faces.scheduler.routes.answers import answers
from taskyard.services import calls

router = APIRouter(
    prefix="/webhooks", tags=["webhooks"], route_class=guarded(principal), dependencies=[Depends(bearer_scheme)]
)


@router.post("", status_code=201, responses=answers(400, 403, 404, 409, 413))
async def create_webhook(yard: TheYard, caller: Caller, body: schemas.WebhookCreate) -> schemas.Webhook:
    """Create a webhook for a job; a job calls its webhooks in the order in which they were made."""
    async with yard.database.write() as tx:
        actor = await access.of_job(tx, caller, body.job_id)
        return translate.webhook(await calls.create(tx, actor, **body.model_dump()), actor)


@router.get("/{webhook_id}", responses=answers(400, 403, 404))
async def get_webhook(yard: TheYard, caller: Caller, webhook_id: UUID) -> schemas.Webhook:
    """Get a webhook by ID."""
    async with yard.database.read() as tx:
        actor = await access.of_call(tx, caller, webhook_id)
        return translate.webhook(await calls.get(tx, actor, webhook_id), actor)


@router.put("/{webhook_id}", responses=answers(400, 403, 404, 413))
async def update_webhook(
    yard: TheYard, caller: Caller, webhook_id: UUID, body: schemas.WebhookUpdate
) -> schemas.Webhook:
    """Update a webhook."""
    async with yard.database.write() as tx:
        actor = await access.of_call(tx, caller, webhook_id)
        changed = await calls.update(tx, actor, webhook_id, body.model_dump(exclude_unset=True))
        return translate.webhook(changed, actor)


@router.delete("/{webhook_id}", status_code=204, responses=answers(400, 403, 404))
async def delete_webhook(yard: TheYard, caller: Caller, webhook_id: UUID) -> None:
    """Delete a webhook."""
    async with yard.database.write() as tx:
        await calls.delete(tx, await access.of_call(tx, caller, webhook_id), webhook_id)
