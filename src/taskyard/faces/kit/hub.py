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
from taskyard.domain.errors import Unavailable
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

    async def get(self) -> Event | None:
        """The next event; None once closed and all that was put before is given out."""
        while not self._events:
            if not self.open:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()


class _Reader:
    """Reads one tenant's history on from `seq` and hands it to all listeners."""

    def __init__(self, tenant_id: UUID, seq: int) -> None:
        self.tenant_id = tenant_id
        self.seq = seq
        self.listeners: set[_Listener] = set()
        self.wake = asyncio.Event()

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
        self._reading: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to be woken by hints."""
        self._watching = asyncio.create_task(self._watch(), name="hub-watch")

    async def close(self) -> None:
        """End all listeners, who still get what was queued for them, and all tasks."""
        for listener in tuple(self._open):
            listener.close()
        for reader in self._readers.values():
            reader.listeners.clear()
            reader.wake.set()
        self._readers.clear()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None
        # A query that is under way is let end: a connection broken off in the middle is a connection lost.
        await asyncio.gather(*self._reading)

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
        following = self._follow(actor.tenant_id, listener, position, accepts)
        try:
            yield following
        finally:
            self._leave(actor.tenant_id, listener)
            await following.aclose()

    async def _follow(
        self, tenant_id: UUID, listener: _Listener, position: int, accepts: Accepts | None
    ) -> AsyncGenerator[Event]:
        joined_at: int | None = None
        while listener.open and (joined_at is None or position < joined_at):
            page = await self._page(tenant_id, position)
            for event in page:
                position = event.seq
                if accepts is None or accepts(event):
                    yield event
            if joined_at is None and len(page) < PAGE:
                # From here on the queue fills; what the reader told others before is read once more from history.
                joined_at = self._join(tenant_id, listener, position)
            elif not page:
                break
        while event := await listener.get():
            if event.seq > position and (accepts is None or accepts(event)):
                yield event

    def _join(self, tenant_id: UUID, listener: _Listener, position: int) -> int:
        if not listener.open:
            return position
        reader = self._readers.get(tenant_id)
        if reader is None:
            reader = self._readers[tenant_id] = _Reader(tenant_id, position)
            task = asyncio.create_task(self._read(reader), name=f"hub-read-{tenant_id}")
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)
        reader.listeners.add(listener)
        return reader.seq

    def _leave(self, tenant_id: UUID, listener: _Listener) -> None:
        listener.close()
        self._open.discard(listener)
        reader = self._readers.get(tenant_id)
        if reader is None:
            return
        reader.listeners.discard(listener)
        if not reader.listeners:
            del self._readers[tenant_id]
            reader.wake.set()

    async def _read(self, reader: _Reader) -> None:
        while reader.listeners:
            reader.wake.clear()
            try:
                while page := await self._page(reader.tenant_id, reader.seq):
                    for event in page:
                        reader.tell(event)
            except Unavailable as error:
                _log.warning("live events wait for the database", error=error.message)
            except Exception:
                _log.exception("live events could not be read")
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
