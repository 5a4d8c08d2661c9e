"""The bus within one process: publishing puts hints into mailboxes, and waits for nobody."""

import asyncio
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from taskyard.domain.hints import Hint

MAILBOX_SIZE = 1024


class LocalMailbox:
    """One reader's hints, oldest first; the oldest are dropped when more than `size` wait."""

    def __init__(self, kinds: tuple[type[Hint], ...], size: int) -> None:
        self._kinds = kinds
        self._hints: deque[Hint] = deque(maxlen=size)
        self._arrived = asyncio.Event()

    def put(self, hint: Hint) -> None:
        """Keep `hint` if it is of a kind this reader asked for."""
        if isinstance(hint, self._kinds):
            self._hints.append(hint)
            self._arrived.set()

    async def get(self) -> Hint:
        """The oldest hint, as soon as there is one."""
        while not self._hints:
            self._arrived.clear()
            await self._arrived.wait()
        return self._hints.popleft()


class LocalBus:
    """The `Bus` of a yard that is one process. Use it from one event loop only."""

    def __init__(self, *, mailbox_size: int = MAILBOX_SIZE) -> None:
        self._mailbox_size = mailbox_size
        self._mailboxes: list[LocalMailbox] = []

    async def start(self) -> None:
        """Nothing to open; here so that every bus has the same life."""

    async def close(self) -> None:
        """Nothing to close."""

    def publish(self, hints: Sequence[Hint]) -> None:
        """Put `hints` into the mailboxes of all who asked for their kind."""
        for mailbox in self._mailboxes:
            for hint in hints:
                mailbox.put(hint)

    @contextmanager
    def subscribe(self, *kinds: type[Hint]) -> Generator[LocalMailbox]:
        """A mailbox for hints of `kinds`, open within the block."""
        mailbox = LocalMailbox(kinds, self._mailbox_size)
        self._mailboxes.append(mailbox)
        try:
            yield mailbox
        finally:
            self._mailboxes.remove(mailbox)
