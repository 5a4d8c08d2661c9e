"""Health and metrics (D3-E13 to E15)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response

from taskyard.faces.kit import wellbeing
from taskyard.faces.kit.auth import Caller, bearer_scheme, guarded, principal
from taskyard.faces.kit.yard import TheYard
from taskyard.faces.scheduler import prometheus, schemas, translate
from taskyard.faces.scheduler.routes.answers import answers
from taskyard.services import metrics

SERVICE = "scheduler"

public = APIRouter(prefix="/health", tags=["health"])
router = APIRouter(
    prefix="/metrics", tags=["metrics"], route_class=guarded(principal), dependencies=[Depends(bearer_scheme)]
)


@public.head("", include_in_schema=False)
@public.get("")
async def health() -> schemas.Health:
    """Basic health check: this process answers."""
    return schemas.Health(status="healthy", service=SERVICE)


@public.head("/detailed", include_in_schema=False)
@public.get("/detailed", responses={503: {"model": schemas.DetailedHealth, "description": "Service unhealthy"}})
async def detailed_health(yard: TheYard, response: Response) -> schemas.DetailedHealth:
    """Detailed health check with database and Redis connectivity. Without Redis the yard is slower to tell, not
    unhealthy; without the database or any clock it is.
    """
    state = await wellbeing.look(yard)
    well = state.database and state.scheduler
    if not well:
        response.status_code = 503
    return schemas.DetailedHealth(
        status="healthy" if well else "unhealthy",
        service=SERVICE,
        database=state.database_word,
        redis=state.redis_word,
        scheduler_service=state.scheduler_word,
    )


@router.get(
    "",
    response_model=schemas.Metrics,
    responses={
        200: {"description": "The numbers, in JSON or in Prometheus' form", "content": {"text/plain": {}}},
        **answers(400, 403),
    },
)
async def scheduler_metrics(
    yard: TheYard,
    caller: Caller,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    account_id: Annotated[UUID | None, Query(description="UUID of the account; all of the caller's by default")] = None,
) -> schemas.Metrics | Response:
    """Scheduler metrics of an account, or of all the caller has; in Prometheus' form when `Accept` asks for text/plain
    or openmetrics.
    """
    actors = list(caller.actors.values()) if account_id is None else [caller.within(account_id)]
    operates = any(actor.operates() for actor in actors)
    async with yard.database.read() as tx:
        found = await metrics.read(tx, *actors)
    if prometheus.is_asked_for(accept or ""):
        # What is the whole yard's is for its operator.
        process = yard.telemetry.registry if operates else None
        return prometheus.exposition(found, accept or "", process, queues=operates)
    return translate.numbers(found)
