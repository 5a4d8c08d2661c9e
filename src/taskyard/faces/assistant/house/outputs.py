"""The output of an execution: all that is stored, or live until it ends; the same bytes however often it is read."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import anyio
from fastapi import Header, Query
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Receive, Scope, Send

from taskyard.domain.actors import Actor
from taskyard.domain.outputs import Piece, Place, leftovers, pieces
from taskyard.domain.runs import Stream
from taskyard.faces.assistant.house import following, messages
from taskyard.faces.assistant.routes.answers import Answers, answers, router_of
from taskyard.faces.kit.auth import DefaultActor, WhetherStillAllowed
from taskyard.faces.kit.paging import MAX_OFFSET
from taskyard.faces.kit.streams import RECONNECT_MS, while_allowed
from taskyard.faces.kit.yard import TheYard, Yard
from taskyard.services import outputs
from taskyard.services.outputs import Extent, Reading

NEXT_OFFSET = "X-Next-Offset"
COMPLETE = "X-Output-Complete"
KEEP_ALIVE_SECONDS = 15.0
TEXT = "text/plain; charset=utf-8"
# Proxies would hold back what is meant to be seen live.
LIVE = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}

router = router_of("executions")


class _Stream(StreamingResponse):
    """Closes its generator when the caller leaves, and does not wait for the garbage collector to do so."""

    def __init__(self, content: AsyncGenerator[bytes], media_type: str, headers: dict[str, str]) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._content.aclose()


class Streams(StrEnum):
    """Which of a program's outputs are wanted."""

    STDOUT = "stdout"
    STDERR = "stderr"
    ALL = "all"


class Format(StrEnum):
    """Raw bytes, or server-sent events."""

    TEXT = "text"
    EVENTS = "events"


_ANSWERS: Answers = {
    **answers(404, 422),
    200: {
        "description": "The bytes as they are, or messages with stream, offset, content and encoding, then `end`",
        "content": {"text/plain": {"schema": {"type": "string"}}, "text/event-stream": {"schema": {"type": "string"}}},
        "headers": {
            NEXT_OFFSET: {"description": "Where to go on reading (text, not following)", "schema": {"type": "integer"}},
            COMPLETE: {"description": "Whether no more will come (text, not following)", "schema": {"type": "boolean"}},
        },
    },
}


@router.get("/{execution_id}/output", response_class=StreamingResponse, responses=_ANSWERS)
async def read_output(
    yard: TheYard,
    actor: DefaultActor,
    still_allowed: WhetherStillAllowed,
    execution_id: UUID,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET, description="The first byte wanted, of all output")] = 0,
    stream: Annotated[Streams, Query(description="Offsets count all output, whichever is wanted")] = Streams.ALL,
    follow: Annotated[bool, Query(description="Stream live until the execution ends")] = False,
    form: Annotated[Format, Query(alias="format")] = Format.TEXT,
    last_event_id: Annotated[str | None, Header(description="Where events broke off; overrules `offset`")] = None,
) -> StreamingResponse:
    """What an execution printed, from any byte on. As `events`, each message's id is where to go on from
    (Last-Event-ID), and the last event is `end`, with the execution's status.
    """
    async with yard.database.read() as tx:
        extent = await outputs.extent(tx, actor, execution_id)
    wanted = set(Stream) if stream is Streams.ALL else {Stream(stream.value)}
    if form is Format.EVENTS:
        place = _place(last_event_id) if last_event_id else Place(offset)
        read = following.readings(yard, actor, execution_id, place.offset, follow=follow)
        events = _events(while_allowed(read, still_allowed), place, wanted)
        return _Stream(events, "text/event-stream", LIVE)
    if follow:
        read = following.readings(yard, actor, execution_id, offset, follow=True)
        return _Stream(_live(while_allowed(read, still_allowed), wanted), TEXT, LIVE)
    stored = _stored(yard, actor, execution_id, offset, extent.size, wanted)
    return _Stream(stored, TEXT, _headers(offset, extent, stream))


def _headers(offset: int, extent: Extent, stream: Streams) -> dict[str, str]:
    headers = {NEXT_OFFSET: str(max(offset, extent.size)), COMPLETE: "true" if extent.ended else "false"}
    if stream is Streams.ALL:
        headers["Content-Length"] = str(max(0, extent.size - offset))
    return headers


def _place(last_event_id: str) -> Place:
    place = messages.read_place(last_event_id)
    if place is None:
        problem: dict[str, Any] = {
            "type": "value_error",
            "loc": ("header", "last-event-id"),
            "msg": "is not the id of an output message",
        }
        raise RequestValidationError([problem])
    return place


async def _stored(
    yard: Yard, actor: Actor, execution_id: UUID, offset: int, end: int, wanted: set[Stream]
) -> AsyncGenerator[bytes]:
    """What was stored up to `end`, and not what came while it was being sent: the header has told the end."""
    if offset >= end:
        return
    async with aclosing(following.readings(yard, actor, execution_id, offset, follow=False)) as read:
        async for reading in read:
            for chunk in reading.chunks:
                if chunk.stream in wanted and chunk.position < end:
                    yield chunk.content[: end - chunk.position]
            if reading.next_offset >= end:
                return


async def _live(readings: AsyncGenerator[Reading], wanted: set[Stream]) -> AsyncGenerator[bytes]:
    async with aclosing(readings):
        async for reading in readings:
            for chunk in reading.chunks:
                if chunk.stream in wanted:
                    yield chunk.content


async def _events(readings: AsyncGenerator[Reading], place: Place, wanted: set[Stream]) -> AsyncGenerator[bytes]:
    yield format_sse_event(comment="listening", retry=RECONNECT_MS)
    told_at = time.monotonic()
    place = Place(place.offset, {stream: kept for stream, kept in place.kept.items() if stream in wanted})
    ending: dict[str, Any] = {"status": None, "complete": True, "next_offset": place.offset}
    async with aclosing(readings):
        async for reading in readings:
            told, place = pieces(place, [chunk for chunk in reading.chunks if chunk.stream in wanted])
            for each in told:
                yield _frame(each)
            if told:
                told_at = time.monotonic()
            elif time.monotonic() - told_at >= KEEP_ALIVE_SECONDS:
                yield KEEPALIVE_COMMENT
                told_at = time.monotonic()
            ending = {"status": reading.status, "complete": reading.ended, "next_offset": reading.next_offset}
    place = Place(ending["next_offset"], place.kept)
    if ending["complete"]:
        for each in leftovers(place):
            yield _frame(each)
        place = Place(place.offset)
    yield format_sse_event(event="end", data_str=json.dumps(ending), id=messages.ident_of(place))


def _frame(piece: Piece) -> bytes:
    return format_sse_event(data_str=json.dumps(messages.data_of(piece)), id=messages.ident_of(piece.after))
