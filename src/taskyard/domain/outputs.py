"""Output as text: whole characters, each byte once, however it was cut when it was stored.

Stdout and stderr share one row of offsets, and a chunk of one may come between two bytes of a character of the other.
Such bytes are kept back until the rest is there.
"""

import codecs
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from taskyard.domain.runs import Stream

UTF8 = "utf-8"


class Printed(Protocol):
    """Some bytes of one stream; `position` is the offset of the first among all output of the execution."""

    @property
    def position(self) -> int: ...
    @property
    def stream(self) -> Stream: ...
    @property
    def content(self) -> bytes: ...


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


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole characters of one stream from byte `offset` on, and the place after them."""

    stream: Stream
    offset: int
    content: bytes
    after: Place

    @property
    def text(self) -> str:
        """The characters; bytes that are no UTF-8 are replaced."""
        return self.content.decode(UTF8, errors="replace")


def pieces(place: Place, chunks: Iterable[Printed]) -> tuple[list[Piece], Place]:
    """The pieces of further chunks, and the place after them."""
    made: list[Piece] = []
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
            made.append(Piece(chunk.stream, offset, whole, place))
    return made, place


def leftovers(place: Place) -> list[Piece]:
    """What is left when no more comes: characters that were never finished."""
    left = dict(place.kept)
    made: list[Piece] = []
    for stream, kept in sorted(place.kept.items()):
        del left[stream]
        made.append(Piece(stream, kept.offset, kept.content, Place(place.offset, dict(left))))
    return made


def _whole_characters(content: bytes) -> tuple[bytes, bytes]:
    """`content` in two: up to its last whole character, and the beginning of one that may still be finished."""
    decoder = codecs.getincrementaldecoder(UTF8)(errors="replace")
    decoder.decode(content)
    rest = decoder.getstate()[0]
    return content[: len(content) - len(rest)], rest
