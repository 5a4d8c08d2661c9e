"""Why an execution that was just queued will not begin by itself."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskyard.cli.desk import Desk
    from taskyard.domain.executions import Execution


async def reasons(desk: "Desk", execution: "Execution") -> list[str]:
    """One sentence for each thing it waits for that somebody has to do."""
    from taskyard.services import health, queues

    alive = await health.check(desk.database)
    async with desk.database.read() as tx:
        queue = next(each for each in await queues.states(tx, desk.actor) if each.name is execution.queue)
    found: list[str] = []
    if alive.database and not alive.workers:
        found.append("No worker is alive, so it waits: start `taskyard serve` or `taskyard worker`")
    if queue.paused_at is not None:
        why = f" ({queue.paused_reason})" if queue.paused_reason else ""
        name = queue.name.value
        found.append(f"Queue {name} is paused{why}, so it waits: POST /api/v1/queues/{name}/resume lets it go on")
    return found
