"""Server-sent events: what the hub tells, as a stream a browser can follow and resume."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.requests import HTTPConnection

from taskyard.domain.actors import Actor
from taskyard.domain.errors import Invalid
from taskyard.domain.events import Event
from taskyard.faces.kit.hub import Accepts, Hub

RECONNECT_MS = 1000
LAST_EVENT_ID = "last-event-id"

__all__ = ["EventSourceResponse", "LastSeen", "ServerSentEvent", "events_of", "last_seen"]


def last_seen(connection: HTTPConnection) -> int | None:
    """The number after which the caller wants to go on: the header a browser sends when it reconnects, else `?after=`,
    else None, which means from now on. Raises `Invalid`.
    """
    told = connection.headers.get(LAST_EVENT_ID) or connection.query_params.get("after")
    if not told:
        return None
    if not (told.isascii() and told.isdigit() and len(told) <= 18):
        raise Invalid("The last event id must be the number of an event", field="after")
    return int(told)


LastSeen = Annotated[int | None, Depends(last_seen)]


async def events_of(
    hub: Hub,
    actor: Actor,
    after_seq: int | None,
    translate: Callable[[Event], Mapping[str, Any]],
    accepts: Accepts | None = None,
) -> AsyncGenerator[ServerSentEvent]:
    """The actor's events as a stream whose ids are their numbers. It opens with a comment, so that the caller sees the
    connection stand; FastAPI keeps it alive with comments. Yield from it in a route of `EventSourceResponse`.
    """
    async with hub.listen(actor, after_seq, accepts) as listening:
        yield ServerSentEvent(comment="listening", retry=RECONNECT_MS)
        async for event in listening:
            yield ServerSentEvent(data=dict(translate(event)), event=event.type, id=str(event.seq))
