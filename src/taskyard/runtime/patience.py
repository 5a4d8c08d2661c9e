"""Patience: what has to be written is kept until the database is back, and a loop outlives a turn that failed."""

import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import stamina

from taskyard.domain.errors import Unavailable

T = TypeVar("T")

AWAY = "DATABASE_ERROR"

_log = logging.getLogger(__name__)


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


@contextmanager
def outlived(doing: str) -> Generator[None]:
    """One turn of a loop that must not end: away databases are waited for in silence, all else is logged."""
    try:
        yield
    except Unavailable:
        return
    except Exception:
        _log.exception("%s failed; it is tried again at its next turn", doing)
