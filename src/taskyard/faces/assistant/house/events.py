"""Events: the tenant's history, and the same as it happens."""

from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Query
from pydantic import BeforeValidator, Field

from taskyard.domain.events import Event, matches
from taskyard.faces.assistant.house.schemas import events as schemas
from taskyard.faces.assistant.house.translate import facts as translate
from taskyard.faces.assistant.routes.answers import answers, router_of
from taskyard.faces.kit.auth import DefaultActor, WhetherStillAllowed
from taskyard.faces.kit.paging import MAX_OFFSET
from taskyard.faces.kit.streams import EventSourceResponse, ServerSentEvent, events_of
from taskyard.faces.kit.yard import TheYard
from taskyard.services import events

MAX_PAGE = 500

router = router_of("events")

Types = Annotated[
    list[schemas.EventType], Query(alias="type", max_length=50, description="Only these types; may be repeated")
]


@router.get("", responses=answers(422))
async def list_events(
    yard: TheYard,
    actor: DefaultActor,
    after: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="Only events numbered higher")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Max results")] = 50,
    types: Types = [],  # noqa: B006
    job_id: Annotated[UUID | None, Query(description="Only this job's")] = None,
) -> schemas.EventPage:
    """The tenant's events in order."""
    async with yard.database.read() as tx:
        head = await events.head(tx, actor.tenant_id)
        found = await events.history(tx, actor, after=after, limit=limit, types=types, job_id=job_id)
    # The head was read first: with fewer than asked for, nothing that fits is left up to there.
    reached = found[-1].seq if found else 0
    next_after = reached if len(found) == limit else max(reached, head)
    return schemas.EventPage(items=[translate.event(each) for each in found], next_after=next_after, head=head)


@router.get("/stream", response_class=EventSourceResponse, responses=answers(422))
async def stream_events(
    yard: TheYard,
    actor: DefaultActor,
    still_allowed: WhetherStillAllowed,
    types: Types = [],  # noqa: B006
    after: Annotated[
        int | None, Query(ge=0, le=MAX_OFFSET, description="Go on after this number; from now on without")
    ] = None,
    last_event_id: Annotated[
        Annotated[int, Field(ge=0, le=MAX_OFFSET)] | None,
        BeforeValidator(lambda sent: sent or None),
        Header(description="As `after`, which it overrules; browsers send it to reconnect"),
    ] = None,
) -> AsyncGenerator[ServerSentEvent]:
    """Events as they happen, as server-sent events. Whoever comes back with the last id seen misses nothing."""
    seen = after if last_event_id is None else last_event_id
    wanted = types or ["*"]
    async for each in events_of(yard.hub, actor, still_allowed, seen, _told, lambda event: matches(wanted, event.type)):
        yield each


def _told(event: Event) -> Mapping[str, Any]:
    return translate.event(event).model_dump(mode="json")
