"""How a contestant talks with the measure that started it: one JSON object a line, in on stdin, out on stdout."""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any


def say(**facts: Any) -> None:
    """Tell the measure something."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def hear() -> Mapping[str, Any]:
    """What the measure says next. Raises `EOFError` when it is gone."""
    line = sys.stdin.readline()
    if not line:
        raise EOFError("the measure is gone")
    return json.loads(line)


async def heard() -> Mapping[str, Any]:
    """As `hear`, without blocking the event loop."""
    return await asyncio.to_thread(hear)
