"""The engine's names for what waits in a queue: calls and commands apart, since a worker runs few commands at once."""

from taskyard.domain.jobs import Kind
from taskyard.domain.queues import Queue

_COMMANDS = ".commands"


def entrypoint(queue: Queue, kind: str) -> str:
    """Where executions of that kind wait in `queue`."""
    return queue.value + _COMMANDS if kind == Kind.COMMAND.value else queue.value


def of_commands(name: str) -> bool:
    """Whether commands wait there."""
    return name.endswith(_COMMANDS)


def queue_of(name: str) -> Queue:
    """The queue that the entrypoint belongs to."""
    return Queue(name.removesuffix(_COMMANDS))


EVERY = tuple(entrypoint(queue, kind.value) for queue in Queue for kind in (Kind.HTTP, Kind.COMMAND))
