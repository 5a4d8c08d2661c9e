"""Waiting for a database that is away: what has to be written is kept until it can be."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

from taskyard.domain.errors import Unavailable

T = TypeVar("T")

AWAY = "DATABASE_ERROR"


def _never() -> bool:
    return False


async def patiently(attempt: Callable[[], Awaitable[T]], *, hurried: Callable[[], bool] = _never) -> T:
    """Make `attempt` until the database answers, with growing pauses of at most two seconds.

    Once `hurried` says so, the next failure is raised.
    """

    def worth_waiting(error: Exception) -> bool:
        # A wrong SECRET_KEY does not mend itself, and must not keep others waiting.
        return isinstance(error, Unavailable) and error.code == AWAY and not hurried()

    retrying = stamina.AsyncRetryingCaller(attempts=None, timeout=None, wait_initial=0.05, wait_max=2.0)
    return await retrying.on(worth_waiting)(attempt)
