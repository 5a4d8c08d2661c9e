"""Live answers: what the hub tells as server-sent events, and how long their callers may listen."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi.sse import EventSourceResponse, ServerSentEvent

from taskyard.domain.actors import Actor
from taskyard.domain.events import Event
from taskyard.faces.kit.auth import StillAllowed
from taskyard.faces.kit.hub import Accepts, Hub

T = TypeVar("T")

RECONNECT_MS = 1000
RECHECK_SECONDS = 15.0

__all__ = ["EventSourceResponse", "ServerSentEvent", "events_of", "while_allowed"]


async def while_allowed(stream: AsyncGenerator[T], still_allowed: StillAllowed) -> AsyncGenerator[T]:
    """`stream` until its caller would be turned away: nothing is given out that comes `RECHECK_SECONDS` after that."""
    asked_at = time.monotonic()
    async with aclosing(stream):
        async for each in stream:
            if time.monotonic() - asked_at >= RECHECK_SECONDS:
                if not await still_allowed():
                    return
                asked_at = time.monotonic()
            yield each


async def events_of(
    hub: Hub,
    actor: Actor,
    still_allowed: StillAllowed,
    after_seq: int | None,
    translate: Callable[[Event], Mapping[str, Any]],
    accepts: Accepts | None = None,
) -> AsyncGenerator[ServerSentEvent]:
    """The actor's events as a stream whose ids are their numbers. It opens with a comment, so that the caller sees the
    connection stand; FastAPI keeps it alive with comments. Yield from it in a route of `EventSourceResponse`.
    """
    async with aclosing(while_allowed(_frames(hub, actor, after_seq, translate, accepts), still_allowed)) as frames:
        async for frame in frames:
            yield frame


async def _frames(
    hub: Hub,
    actor: Actor,
    after_seq: int | None,
    translate: Callable[[Event], Mapping[str, Any]],
    accepts: Accepts | None,
) -> AsyncGenerator[ServerSentEvent]:
    async with hub.listen(actor, after_seq, accepts) as listening:
        yield ServerSentEvent(comment="listening", retry=RECONNECT_MS)
        async for event in listening:
            yield ServerSentEvent(data=dict(translate(event)), event=event.type, id=str(event.seq))
