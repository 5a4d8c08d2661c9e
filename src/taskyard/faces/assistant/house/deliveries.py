"""Deliveries: what became of the events on their way to a webhook."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from taskyard.domain.executions import Status
from taskyard.faces.assistant.house.schemas import webhooks as schemas
from taskyard.faces.assistant.house.translate import executions as translate
from taskyard.faces.assistant.routes.answers import answers, router_of
from taskyard.faces.kit.auth import DefaultActor
from taskyard.faces.kit.paging import LimitOffset
from taskyard.faces.kit.yard import TheYard
from taskyard.services import deliveries

router = router_of("webhooks")


@router.get("/{webhook_id}/deliveries", responses=answers(404, 422))
async def list_deliveries(
    yard: TheYard,
    actor: DefaultActor,
    webhook_id: UUID,
    page: LimitOffset,
    status: Annotated[Status | None, Query(description="Only in this status")] = None,
) -> schemas.DeliveryPage:
    """The tries to deliver to a webhook, newest first."""
    async with yard.database.read() as tx:
        found, total = await deliveries.page(tx, actor, webhook_id, status=status, skip=page.skip, limit=page.limit)
    items = [translate.delivery(each) for each in found]
    return schemas.DeliveryPage(items=items, total=total, limit=page.limit, offset=page.skip)


@router.post("/{webhook_id}/deliveries/{delivery}/redeliver", status_code=202, responses=answers(403, 404, 409, 422))
async def redeliver(yard: TheYard, actor: DefaultActor, webhook_id: UUID, delivery: UUID) -> schemas.Delivery:
    """Send an ended delivery once more, under the same delivery id. `delivery` is the id of a try."""
    async with yard.database.write() as tx:
        return translate.delivery(await deliveries.redeliver(tx, actor, webhook_id, delivery))
