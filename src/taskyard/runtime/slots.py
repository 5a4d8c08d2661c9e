"""Slots: how much one worker runs at once, and who has to wait."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from taskyard.domain.jobs import Kind
from taskyard.runtime.engine import PutBack

_BUSY_AGAIN = timedelta(seconds=0.25)


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much one worker runs at once: in all, and of commands, which cost the machine more than calls."""

    runs: int = 1000
    commands: int = 8
    grace_seconds: float = 10.0


class Slots:
    """Counts what runs. The engine claims no more commands than there is room for; one that comes all the same is put
    back rather than waited for, so that another worker may take it.
    """

    def __init__(self, capacity: Capacity) -> None:
        self._most_commands = capacity.commands
        self._commands = 0
        self._free = asyncio.Semaphore(capacity.runs)
        self._closed = False

    async def take(self, kind: str) -> None:
        """Wait for a slot. Raises `PutBack` when there is none for a command, and to all once `close` was called."""
        if kind == Kind.COMMAND.value:
            if self._commands >= self._most_commands:
                raise PutBack(_BUSY_AGAIN)
            self._commands += 1
        try:
            await self._free.acquire()
        except BaseException:
            self._forget(kind)
            raise
        if self._closed:
            self.give_back(kind)
            raise PutBack(timedelta(0))

    def room_for_commands(self) -> int:
        """How many more commands may begin here."""
        return self._most_commands - self._commands

    def give_back(self, kind: str) -> None:
        """Free what `take` gave."""
        self._forget(kind)
        self._free.release()

    def close(self) -> None:
        """Let nobody wait any more: one who wakes and goes gives the next one the slot to wake by."""
        if not self._closed:
            self._closed = True
            self._free.release()

    def _forget(self, kind: str) -> None:
        if kind == Kind.COMMAND.value:
            self._commands -= 1
