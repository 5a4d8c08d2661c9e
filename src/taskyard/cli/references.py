"""What people type for an id: the whole of it, its beginning or end, or a job's name."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from taskyard.cli.screen import clean
from taskyard.domain.errors import Conflict, Invalid

if TYPE_CHECKING:
    from taskyard.cli.desk import Desk
    from taskyard.domain.executions import Execution
    from taskyard.domain.jobs import Job

T = TypeVar("T")

MIN_PART = 4
PAGE = 1000
RECENT_EXECUTIONS = 5000
"""How far back a part of an id is looked for among executions."""


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


def _uuid(word: str) -> UUID | None:
    try:
        return UUID(word.strip())
    except ValueError:
        return None


async def find_job(desk: "Desk", word: str) -> "Job":
    """The job meant by `word`. Raises `NotFound`, `Conflict` when several fit, `Invalid` when none does."""
    from taskyard.services import jobs

    async with desk.database.read() as tx:
        if whole := _uuid(word):
            return await jobs.get(tx, desk.actor, whole)
        known: list[Job] = []
        total = 1
        while len(known) < total:
            page, total = await jobs.page(tx, desk.actor, skip=len(known), limit=PAGE)
            if not page:
                break
            known += page
    found = pick("job", word, known, lambda each: str(each.id), lambda each: each.name)
    if found is None:
        raise Invalid(f"No job is called {word!r}: `taskyard jobs list` shows them all", field="job")
    return found


async def find_execution(desk: "Desk", word: str) -> "Execution":
    """The execution meant by `word`; parts of ids are looked for among the latest. Raises as `find_job`."""
    from taskyard.services import executions

    async with desk.database.read() as tx:
        if whole := _uuid(word):
            return await executions.get(tx, desk.actor, whole)
        known, _ = await executions.page(tx, desk.actor, limit=RECENT_EXECUTIONS)
    found = pick("execution", word, known, lambda each: str(each.id))
    if found is None:
        raise Invalid(
            f"No recent execution's id begins or ends with {word!r}: `taskyard executions list` shows them",
            field="execution",
        )
    return found
