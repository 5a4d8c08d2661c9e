"""The domain's objects as JSON. What a dataclass keeps out of its `repr` (hashes, secrets) stays out here as well."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from enum import Enum
from typing import Any, cast

from taskyard.domain.times import iso


def plain(value: Any) -> Any:
    """`value` made of what JSON knows; times in ISO 8601 with Z, sets sorted."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = [field.name for field in dataclasses.fields(value) if field.repr]
        return {name: plain(getattr(value, name)) for name in shown}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return iso(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return _collected(value)


def _collected(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): plain(member) for key, member in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, AbstractSet):
        return sorted(plain(member) for member in cast("AbstractSet[Any]", value))
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, Sequence):
        return [plain(member) for member in cast("Sequence[Any]", value)]
    return str(value)


def as_json(value: Any) -> str:
    """`value` as indented JSON."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False)
