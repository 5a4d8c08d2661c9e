"""What people type for an id: the whole of it, its beginning or end, or a job's name."""

from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.cli.matching import pick
from taskyard.domain.errors import Invalid

if TYPE_CHECKING:
    from taskyard.cli.desk import Desk
    from taskyard.domain.executions import Execution
    from taskyard.domain.jobs import Job
    from taskyard.services.transactions import Tx

PAGE = 1000
RECENT_EXECUTIONS = 5000
"""How far back a part of an id is looked for among executions."""


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
        known = await _jobs(tx, desk)
    found = pick("job", word, known, lambda each: str(each.id), lambda each: each.name)
    if found is None:
        raise Invalid(f"No job is called {word!r}: `taskyard jobs list` shows them all", field="job")
    return found


async def jobs_named(tx: "Tx", desk: "Desk", name: str) -> "list[Job]":
    """The tenant's jobs of exactly that name, newest first. Raises `Invalid` for what no job can be called."""
    return [each for each in await _jobs(tx, desk, name) if each.name == name]


async def _jobs(tx: "Tx", desk: "Desk", search: str | None = None) -> "list[Job]":
    from taskyard.services import jobs

    known: list[Job] = []
    total = 1
    while len(known) < total:
        page, total = await jobs.page(tx, desk.actor, search=search, skip=len(known), limit=PAGE)
        if not page:
            break
        known += page
    return known


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
