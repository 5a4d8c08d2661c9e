"""Output as text in server-sent events: whole characters, each byte once, resumable after any message.

Stdout and stderr share one row of offsets, and a chunk of one may come between two bytes of a character of the other.
Such bytes are kept back until the rest is there. What was kept back stands in the message's id beside the offset to
go on from, as `12;stdout@9=e282`, so that whoever comes back with an id gets those bytes too.
"""

import base64
import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from taskyard.domain.runs import Stream
from taskyard.services.outputs import Chunk

UTF8 = "utf-8"
REPLACED = "utf-8-replaced"
MAX_ID_LENGTH = 128

_ID = re.compile(r"(\d{1,18})((?:;std(?:out|err)@\d{1,18}=(?:[0-9a-f]{2}){1,3})*)")
_KEPT = re.compile(r";(std(?:out|err))@(\d+)=([0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Kept:
    """The beginning of a character, and the offset of its first byte."""

    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where to go on reading, and what has been read and not yet told."""

    offset: int = 0
    kept: dict[Stream, Kept] = field(default_factory=dict[Stream, Kept])

    def __str__(self) -> str:
        told = [f";{stream.value}@{kept.offset}={kept.content.hex()}" for stream, kept in sorted(self.kept.items())]
        return f"{self.offset}{''.join(told)}"


@dataclass(frozen=True, slots=True)
class Message:
    """Some text of one stream, and the place after it."""

    data: dict[str, Any]
    after: Place


def read_place(text: str) -> Place | None:
    """The place an id of ours tells; None for anything else."""
    found = _ID.fullmatch(text) if text.isascii() and len(text) <= MAX_ID_LENGTH else None
    if found is None:
        return None
    kept = {
        Stream(stream): Kept(int(offset), bytes.fromhex(content)) for stream, offset, content in _KEPT.findall(found[2])
    }
    return Place(int(found[1]), kept)


def messages(place: Place, chunks: Iterable[Chunk]) -> tuple[list[Message], Place]:
    """The messages of further chunks, and the place after them."""
    made: list[Message] = []
    for chunk in chunks:
        reached = chunk.position + len(chunk.content)
        before = place.kept.get(chunk.stream)
        offset = before.offset if before else chunk.position
        content = before.content + chunk.content if before else chunk.content
        whole, rest = _whole_characters(content)
        others = {stream: kept for stream, kept in place.kept.items() if stream is not chunk.stream}
        # The rest begins in this chunk, unless all there is is the beginning kept from before.
        kept = {chunk.stream: Kept(reached - len(rest) if whole else offset, rest)} if rest else {}
        place = Place(reached, others | kept)
        if whole:
            made.append(Message(_told(chunk.stream, offset, whole), place))
    return made, place


def leftovers(place: Place) -> list[Message]:
    """What is left when no more comes: characters that were never finished."""
    left = dict(place.kept)
    made: list[Message] = []
    for stream, kept in sorted(place.kept.items()):
        del left[stream]
        made.append(Message(_told(stream, kept.offset, kept.content), Place(place.offset, dict(left))))
    return made


def _whole_characters(content: bytes) -> tuple[bytes, bytes]:
    """`content` in two: up to its last whole character, and the beginning of one that may still be finished."""
    decoder = codecs.getincrementaldecoder(UTF8)(errors="replace")
    decoder.decode(content)
    rest = decoder.getstate()[0]
    return content[: len(content) - len(rest)], rest


def _told(stream: Stream, offset: int, content: bytes) -> dict[str, Any]:
    """One message; bytes that are no UTF-8 are replaced in its text and follow exactly, in base64."""
    told: dict[str, Any] = {"stream": stream.value, "offset": offset}
    try:
        return told | {"content": content.decode(UTF8), "encoding": UTF8}
    except UnicodeDecodeError:
        text = content.decode(UTF8, errors="replace")
        return told | {"content": text, "encoding": REPLACED, "base64": base64.b64encode(content).decode()}
