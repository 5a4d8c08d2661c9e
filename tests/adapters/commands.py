"""What the command runner's tests share: an output that remembers, and waiting for facts about processes."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from taskyard.adapters.runners.command import CommandRunner
from taskyard.adapters.runners.process_table import entry
from taskyard.domain.runs import CommandRun, Outcome, Stream

DEADLINE_SECONDS = 60


class Heard:
    """An `Output` that keeps what it is given and lets a test wait for words."""

    def __init__(self) -> None:
        self.chunks: list[tuple[Stream, bytes]] = []
        self._more = asyncio.Condition()

    async def write(self, stream: Stream, data: bytes) -> None:
        async with self._more:
            self.chunks.append((stream, data))
            self._more.notify_all()

    def of(self, stream: Stream) -> bytes:
        return b"".join(data for one, data in self.chunks if one is stream)

    @property
    def stdout(self) -> bytes:
        return self.of(Stream.STDOUT)

    @property
    def stderr(self) -> bytes:
        return self.of(Stream.STDERR)

    async def lines(self, count: int) -> list[str]:
        """The first `count` lines of stdout, as soon as they are there."""
        async with asyncio.timeout(DEADLINE_SECONDS), self._more:
            await self._more.wait_for(lambda: self.stdout.count(b"\n") >= count)
        return self.stdout.decode().splitlines()[:count]


class Counted:
    """An `Output` that only counts."""

    def __init__(self) -> None:
        self.by_stream = dict.fromkeys(Stream, 0)
        self.longest = 0

    @property
    def total(self) -> int:
        return sum(self.by_stream.values())

    async def write(self, stream: Stream, data: bytes) -> None:
        self.by_stream[stream] += len(data)
        self.longest = max(self.longest, len(data))


def command(
    line: str,
    *,
    timeout_seconds: float = 60,
    working_directory: Path | str | None = None,
    environment: dict[str, str] | None = None,
    output_limit_bytes: int = 1_000_000,
) -> CommandRun:
    """A run of `line` that hangs no test."""
    return CommandRun(
        command=line,
        timeout_seconds=timeout_seconds,
        working_directory=str(working_directory) if working_directory else None,
        environment=environment or {},
        output_limit_bytes=output_limit_bytes,
    )


async def heard(runner: CommandRunner, run: CommandRun) -> tuple[Outcome, Heard]:
    """Runs to the end and returns what came of it and what it printed."""
    output = Heard()
    return await runner.run(run, output), output


@asynccontextmanager
async def under_way(runner: CommandRunner, run: CommandRun) -> AsyncGenerator[tuple[asyncio.Task[Outcome], Heard]]:
    """A run as a task, cancelled at the end of the block if it still runs."""
    output = Heard()
    task = asyncio.create_task(runner.run(run, output))
    try:
        yield task, output
    finally:
        task.cancel()
        await asyncio.wait({task})


def alive(pid: int | str) -> bool:
    """Whether a process with this number lives; a zombie does not."""
    return entry(int(pid)) is not None


async def until(condition: Callable[[], bool]) -> None:
    """Returns once `condition` holds, for facts nobody announces, such as another process's death."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
