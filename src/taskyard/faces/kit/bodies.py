"""The JSON of a request, read as RFC 8259 has it: Python's own reader also takes NaN and Infinity."""

import json
import math
from typing import Any, NoReturn

from fastapi import Request


class JsonRequest(Request):
    """A request whose JSON holds no number that is none."""

    async def json(self) -> Any:
        """The body. Raises `JSONDecodeError` for what is no JSON, and for a number that no float can hold."""
        return json.loads(await self.body(), parse_constant=_refuse, parse_float=_finite)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


def _refuse(word: str) -> NoReturn:
    raise json.JSONDecodeError(f"{word[:40]} is no number here", word, 0)
