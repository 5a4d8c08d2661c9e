"""Waiting for a database that is away: what has to be written is kept until it can be."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

from taskyard.domain.errors import Unavailable

T = TypeVar("T")


def _is_away(error: Exception) -> bool:
    return isinstance(error, Unavailable)


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Make `attempt` until the database answers, with growing pauses of at most two seconds."""
    retrying = stamina.AsyncRetryingCaller(attempts=None, timeout=None, wait_initial=0.05, wait_max=2.0)
    return await retrying.on(_is_away)(attempt)
