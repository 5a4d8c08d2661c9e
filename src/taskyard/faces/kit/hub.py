"""Live events: one reader per tenant, any number of listeners, nothing missed and nothing told twice.

A listener first reads history by itself, page by page. Once it has caught up it joins its tenant's reader, which has
one bounded queue for each listener. A listener too slow for its queue is let go, never waited for: it comes back with
the last number it saw. Hints wake the reader at once; a slow poll finds what no hint told of.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import structlog

from taskyard.domain.actors import Actor, Permission
from taskyard.domain.errors import TaskyardError
from taskyard.domain.events import Event
from taskyard.domain.hints import Bus, EventsAppended
from taskyard.services import events
from taskyard.services.transactions import Database

POLL_SECONDS = 1.0
QUEUE_SIZE = 1000
PAGE = 500

_log = structlog.get_logger(__name__)

Accepts = Callable[[Event], bool]


class _Listener:
    """A queue between its tenant's reader and one caller."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._events: deque[Event] = deque()
        self._changed = asyncio.Event()
        self.open = True

    def put(self, event: Event) -> None:
        if len(self._events) >= self._size:
            self.close()
        if self.open:
            self._events.append(event)
            self._changed.set()

    def close(self) -> None:
        self.open = False
        self._changed.set()

    async def __aiter__(self) -> AsyncGenerator[Event]:
        """What is put, until closed; what was put before that is still given out."""
        while self._events or self.open:
            if not self._events:
                self._changed.clear()
                await self._changed.wait()
                continue
            yield self._events.popleft()


class _Reader:
    """Reads one tenant's history on from `seq` and hands it to all listeners."""

    def __init__(self, tenant_id: UUID, seq: int) -> None:
        self.tenant_id = tenant_id
        self.seq = seq
        self.listeners: set[_Listener] = set()
        self.wake = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def tell(self, event: Event) -> None:
        for listener in tuple(self.listeners):
            listener.put(event)
            if not listener.open:
                self.listeners.discard(listener)
                _log.info("a slow listener was let go", tenant_id=str(self.tenant_id), seq=event.seq)
        self.seq = event.seq


class Hub:
    """Where faces listen. Call `start` before and `close` after; closing ends all listening."""

    def __init__(
        self, database: Database, bus: Bus, *, poll_seconds: float = POLL_SECONDS, queue_size: int = QUEUE_SIZE
    ) -> None:
        self._database = database
        self._bus = bus
        self._poll_seconds = poll_seconds
        self._queue_size = queue_size
        self._readers: dict[UUID, _Reader] = {}
        self._open: set[_Listener] = set()
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to be woken by hints."""
        self._watching = asyncio.create_task(self._watch(), name="hub-watch")

    async def close(self) -> None:
        """End all listeners, who still get what was queued for them, and all tasks."""
        for listener in tuple(self._open):
            listener.close()
        tasks = [reader.task for reader in self._readers.values()] + [self._watching]
        self._readers.clear()
        self._watching = None
        for task in tasks:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    @property
    def listening(self) -> int:
        """How many listeners there are."""
        return len(self._open)

    @asynccontextmanager
    async def listen(
        self, actor: Actor, after_seq: int | None = None, accepts: Accepts | None = None
    ) -> AsyncGenerator[AsyncIterator[Event]]:
        """The events of the actor's tenant numbered higher than `after_seq`, None meaning from now on, in order and
        without end, as far as `accepts` wants them. The iterator ends when the listener is too slow or the hub closes.
        Raises `Forbidden`.
        """
        actor.require(Permission.READ)
        head = await self._head(actor.tenant_id)
        position = head if after_seq is None else max(0, min(after_seq, head))
        listener = _Listener(self._queue_size)
        self._open.add(listener)
        following = self._follow(actor.tenant_id, listener, position)
        try:
            yield following if accepts is None else _only(following, accepts)
        finally:
            self._leave(actor.tenant_id, listener)
            await following.aclose()

    async def _follow(self, tenant_id: UUID, listener: _Listener, position: int) -> AsyncGenerator[Event]:
        joined_at: int | None = None
        while listener.open and (joined_at is None or position < joined_at):
            page = await self._page(tenant_id, position)
            for event in page:
                position = event.seq
                yield event
            if joined_at is None and len(page) < PAGE:
                # From here on the queue fills; what the reader told others before is read once more from history.
                joined_at = self._join(tenant_id, listener, position)
            elif not page:
                break
        async for event in listener:
            if event.seq > position:
                position = event.seq
                yield event

    def _join(self, tenant_id: UUID, listener: _Listener, position: int) -> int:
        if not listener.open:
            return position
        reader = self._readers.get(tenant_id)
        if reader is None:
            reader = self._readers[tenant_id] = _Reader(tenant_id, position)
            reader.task = asyncio.create_task(self._read(reader), name=f"hub-read-{tenant_id}")
        reader.listeners.add(listener)
        return reader.seq

    def _leave(self, tenant_id: UUID, listener: _Listener) -> None:
        listener.close()
        self._open.discard(listener)
        reader = self._readers.get(tenant_id)
        if reader is None:
            return
        reader.listeners.discard(listener)
        if not reader.listeners and reader.task is not None:
            del self._readers[tenant_id]
            reader.task.cancel()

    async def _read(self, reader: _Reader) -> None:
        while True:
            reader.wake.clear()
            try:
                while page := await self._page(reader.tenant_id, reader.seq):
                    for event in page:
                        reader.tell(event)
            except TaskyardError as error:
                _log.warning("live events wait for the database", error=error.message)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await reader.wake.wait()

    async def _watch(self) -> None:
        with self._bus.subscribe(EventsAppended) as mailbox:
            while True:
                hint = await mailbox.get()
                if not isinstance(hint, EventsAppended):
                    continue
                reader = self._readers.get(hint.tenant_id)
                if reader is not None and hint.seq > reader.seq:
                    reader.wake.set()

    async def _page(self, tenant_id: UUID, after_seq: int) -> list[Event]:
        async with self._database.read() as tx:
            return await events.after(tx, tenant_id, after_seq, PAGE)

    async def _head(self, tenant_id: UUID) -> int:
        async with self._database.read() as tx:
            return await events.head(tx, tenant_id)


async def _only(source: AsyncIterator[Event], accepts: Accepts) -> AsyncGenerator[Event]:
    async for event in source:
        if accepts(event):
            yield event
