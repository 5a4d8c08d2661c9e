"""Reading an execution's output on from an offset, as far as it goes or as long as it grows."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from uuid import UUID

import anyio
import structlog

from taskyard.domain.actors import Actor
from taskyard.domain.errors import NotFound, Unavailable
from taskyard.domain.hints import Mailbox, OutputAppended
from taskyard.faces.kit.yard import Yard
from taskyard.services import outputs
from taskyard.services.outputs import Reading

POLL_SECONDS = 1.0

_log = structlog.get_logger(__name__)


async def readings(
    yard: Yard, actor: Actor, execution_id: UUID, offset: int, *, follow: bool
) -> AsyncGenerator[Reading]:
    """The output from byte `offset` on, a megabyte at a time. With `follow` it goes on until the execution ends, and
    answers an empty reading at least every second while nothing comes; else until all that is stored was read.

    A database that is away is waited for; an execution that is deleted meanwhile ends the reading.
    """
    with yard.bus.subscribe(OutputAppended) as mailbox:
        while True:
            try:
                reading = await _read(yard, actor, execution_id, offset)
            except NotFound:
                return
            except Unavailable as error:
                _log.warning("output waits for the database", error=error.message)
                await asyncio.sleep(POLL_SECONDS)
                continue
            yield reading
            offset = reading.next_offset
            if reading.ended or not (follow or reading.chunks):
                return
            if not reading.chunks:
                await _more(mailbox, execution_id)


async def _read(yard: Yard, actor: Actor, execution_id: UUID, offset: int) -> Reading:
    # A caller who leaves cancels this at every await; a query broken off in the middle is a connection lost.
    with anyio.CancelScope(shield=True):
        async with yard.database.read() as tx:
            return await outputs.read(tx, actor, execution_id, offset)
    raise RuntimeError("a shielded scope is never cancelled")


async def _more(mailbox: Mailbox, execution_id: UUID) -> None:
    """Wait for word of more output; no longer than a second, for hints may be lost."""
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL_SECONDS):
            while await mailbox.get() != OutputAppended(execution_id):
                pass
