"""Webhooks: where the tenant wants its events delivered (D4-E12)."""

from uuid import UUID

from taskyard.faces.assistant.house.schemas import webhooks as schemas
from taskyard.faces.assistant.house.translate import executions as delivery_translate
from taskyard.faces.assistant.house.translate import facts as translate
from taskyard.faces.assistant.routes.answers import answers, router_of
from taskyard.faces.kit.auth import DefaultActor
from taskyard.faces.kit.paging import LimitOffset
from taskyard.faces.kit.yard import TheYard
from taskyard.services import subscriptions

router = router_of("webhooks")


@router.post("", status_code=201, responses=answers(403, 409, 413, 422))
async def create_webhook(yard: TheYard, actor: DefaultActor, body: schemas.WebhookWanted) -> schemas.WebhookWithSecret:
    """Create a webhook subscription. Your own secret is never answered; one made here is, this once."""
    async with yard.database.write() as tx:
        made = await subscriptions.create(tx, actor, **body.model_dump())
    return translate.webhook_with_secret(made, told=body.secret is None)


@router.get("", responses=answers(422))
async def list_webhooks(yard: TheYard, actor: DefaultActor, page: LimitOffset) -> schemas.WebhookPage:
    """List webhooks, newest first."""
    async with yard.database.read() as tx:
        found, total = await subscriptions.page(tx, actor, skip=page.skip, limit=page.limit)
    items = [translate.webhook(each) for each in found]
    return schemas.WebhookPage(items=items, total=total, limit=page.limit, offset=page.skip)


@router.get("/{webhook_id}", responses=answers(404, 422))
async def get_webhook(yard: TheYard, actor: DefaultActor, webhook_id: UUID) -> schemas.Webhook:
    """Get a webhook."""
    async with yard.database.read() as tx:
        return translate.webhook(await subscriptions.get(tx, actor, webhook_id))


@router.put("/{webhook_id}", responses=answers(403, 404, 413, 422))
@router.patch("/{webhook_id}", responses=answers(403, 404, 413, 422))
async def update_webhook(
    yard: TheYard, actor: DefaultActor, webhook_id: UUID, body: schemas.WebhookChanges
) -> schemas.Webhook:
    """Change what is sent; switching on forgets earlier failures."""
    changes = body.model_dump(exclude_unset=True)
    secret = changes.pop("secret", None)
    async with yard.database.write() as tx:
        changed = await subscriptions.get(tx, actor, webhook_id)
        if secret is not None:
            changed = await subscriptions.rotate_secret(tx, actor, webhook_id, secret)
        if changes or secret is None:
            changed = await subscriptions.update(tx, actor, webhook_id, changes)
    return translate.webhook(changed)


@router.delete("/{webhook_id}", status_code=204, responses=answers(403, 404, 422))
async def delete_webhook(yard: TheYard, actor: DefaultActor, webhook_id: UUID) -> None:
    """End a subscription; what is under way to it is dropped."""
    async with yard.database.write() as tx:
        await subscriptions.delete(tx, actor, webhook_id)


@router.post("/{webhook_id}/test", status_code=202, responses=answers(403, 404, 409, 422))
async def test_webhook(yard: TheYard, actor: DefaultActor, webhook_id: UUID) -> schemas.Delivery:
    """Send a `webhook.test` event to this webhook alone, whatever it subscribes to."""
    async with yard.database.write() as tx:
        return delivery_translate.delivery(await subscriptions.test(tx, actor, webhook_id))


@router.post("/{webhook_id}/rotate-secret", responses=answers(403, 404, 413, 422))
async def rotate_secret(
    yard: TheYard, actor: DefaultActor, webhook_id: UUID, body: schemas.SecretWanted | None = None
) -> schemas.WebhookWithSecret:
    """Sign with another secret from now on. Your own is never answered; one made here is, this once."""
    secret = body.secret if body else None
    async with yard.database.write() as tx:
        changed = await subscriptions.rotate_secret(tx, actor, webhook_id, secret)
    return translate.webhook_with_secret(changed, told=secret is None)
