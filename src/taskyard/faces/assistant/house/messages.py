"""Pieces of output as messages of server-sent events, resumable after any of them.

What was kept back of a character stands in the message's id beside the offset to go on from, as `12;stdout@9=e282`, so
that whoever comes back with an id gets those bytes too.
"""

import base64
import re
from typing import Any

from taskyard.domain.outputs import UTF8, Kept, Piece, Place
from taskyard.domain.runs import Stream

REPLACED = "utf-8-replaced"
MAX_ID_LENGTH = 128

_ID = re.compile(r"(\d{1,18})((?:;std(?:out|err)@\d{1,18}=(?:[0-9a-f]{2}){1,3})*)")
_KEPT = re.compile(r";(std(?:out|err))@(\d+)=([0-9a-f]+)")


def ident_of(place: Place) -> str:
    """The id that tells `place`."""
    told = [f";{stream.value}@{kept.offset}={kept.content.hex()}" for stream, kept in sorted(place.kept.items())]
    return f"{place.offset}{''.join(told)}"


def read_place(text: str) -> Place | None:
    """The place an id of ours tells; None for anything else."""
    found = _ID.fullmatch(text) if text.isascii() and len(text) <= MAX_ID_LENGTH else None
    if found is None:
        return None
    kept = {
        Stream(stream): Kept(int(offset), bytes.fromhex(content)) for stream, offset, content in _KEPT.findall(found[2])
    }
    return Place(int(found[1]), kept)


def data_of(piece: Piece) -> dict[str, Any]:
    """One message; bytes that are no UTF-8 are replaced in its text and follow exactly, in base64."""
    told: dict[str, Any] = {"stream": piece.stream.value, "offset": piece.offset, "content": piece.text}
    try:
        piece.content.decode(UTF8)
    except UnicodeDecodeError:
        return told | {"encoding": REPLACED, "base64": base64.b64encode(piece.content).decode()}
    return told | {"encoding": UTF8}
