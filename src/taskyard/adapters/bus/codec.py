"""Hints as text: what one process tells another over the wire. Anything not understood is no hint (None), never an
error, so that processes of neighbouring versions can share one Redis.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, get_args
from uuid import UUID

from taskyard.domain.hints import Hint

_KINDS: Mapping[str, type[Hint]] = {kind.__name__: kind for kind in get_args(Hint)}


def encode(sender: str, hints: Sequence[Hint]) -> bytes:
    """One message: who says it, and the hints."""
    told = [{"type": type(hint).__name__, **asdict(hint)} for hint in hints]
    return json.dumps({"from": sender, "hints": told}, default=str, separators=(",", ":")).encode()


def decode(message: bytes) -> tuple[str, list[Hint]]:
    """Sender and hints of a message; a message that makes no sense has no sender and no hints."""
    try:
        content = json.loads(message)
        sender = str(content["from"])
        told: list[Any] = list(content["hints"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "", []
    hints = (_hint(entry) for entry in told)
    return sender, [hint for hint in hints if hint is not None]


def _hint(entry: Any) -> Hint | None:
    try:
        kind = _KINDS[entry["type"]]
        return kind(**{field.name: _value(field.type, entry[field.name]) for field in fields(kind)})
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _value(kind: Any, value: Any) -> Any:
    if kind is UUID:
        return UUID(value)
    if kind is int and type(value) is int:
        return value
    raise ValueError(f"no such kind of fact: {kind!r}")
