"""Finding the one thing meant by what somebody typed."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from taskyard.cli.screen import clean
from taskyard.domain.errors import Conflict

T = TypeVar("T")

MIN_PART = 4


def pick(
    noun: str, word: str, known: Iterable[T], ident: Callable[[T], str], name: Callable[[T], str] | None = None
) -> T | None:
    """The one thing meant by `word`: an exact id or name wins, then the beginning or end of one id.

    None when nothing fits. Raises `Conflict` naming the candidates when several do.
    """
    asked = word.strip().lower()
    things = list(known)
    exact = [each for each in things if ident(each) == asked or (name is not None and name(each) == word)]
    parts = [each for each in things if len(asked) >= MIN_PART and _fits(ident(each), asked)]
    fitting = exact or parts
    if len(fitting) > 1:
        shown = ", ".join(f"{ident(each)} ({clean(name(each))})" if name else ident(each) for each in fitting[:5])
        more = f" and {len(fitting) - 5} more" if len(fitting) > 5 else ""
        raise Conflict(f"{word!r} could be any of these {noun}s, give more of the id: {shown}{more}", code="AMBIGUOUS")
    return fitting[0] if fitting else None


def _fits(ident: str, part: str) -> bool:
    return ident.startswith(part) or ident.endswith(part)
