"""Reading what a program prints: both streams at once, bounded memory, whole characters, up to a limit."""

import array
import asyncio
import fcntl
import os
import termios
from collections.abc import Callable, Mapping

from taskyard.domain.runs import Output, Stream

CHUNK_BYTES = 64 * 1024


def split_at_character(data: bytes) -> tuple[bytes, bytes]:
    """`data` up to its last whole UTF-8 character, and the 0 to 3 bytes that begin one that is not whole yet.

    Bytes that are no UTF-8 at all count as whole: they pass unchanged (RFC 3629 §3 for lengths by first byte).
    """
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0b1100_0000 == 0b1000_0000:
            continue
        return (data[:-back], data[-back:]) if back < _length(byte) else (data, b"")
    return data, b""


def _length(first: int) -> int:
    """How many bytes the character that begins with `first` has; 1 for a byte that can begin none."""
    if 0xC2 <= first <= 0xDF:
        return 2
    if 0xE0 <= first <= 0xEF:
        return 3
    if 0xF0 <= first <= 0xF4:
        return 4
    return 1


class Allowance:
    """How much of a run's output is kept, both streams together; after the first cut nothing more is."""

    def __init__(self, limit_bytes: int) -> None:
        self._left = limit_bytes
        self.total_bytes = 0
        self.truncated = False

    def take(self, data: bytes) -> bytes:
        """The beginning of `data` that is still kept, never ending within a character."""
        self.total_bytes += len(data)
        if self.truncated:
            return b""
        if len(data) <= self._left:
            self._left -= len(data)
            return data
        self.truncated = True
        return split_at_character(data[: self._left])[0]


class Capture:
    """Reads a program's two pipes into `output` until they close, or until `finish` says that the program is dead.

    A pipe can stay open after that, in the hands of a daemon that left the tree: `finish` takes what is in the pipe at
    that moment and no more. `on_failure` is called when `output` cannot be written; `finish` then raises that.
    """

    def __init__(
        self, pipes: Mapping[Stream, int], output: Output, limit_bytes: int, on_failure: Callable[[], None]
    ) -> None:
        self._output = output
        self._on_failure = on_failure
        self._finishing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.allowance = Allowance(limit_bytes)
        self._readers = [
            asyncio.create_task(self._read(stream, descriptor), name=f"capture-{stream}")
            for stream, descriptor in pipes.items()
        ]
        for reader in self._readers:
            reader.add_done_callback(self._reader_done)

    async def finish(self) -> None:
        """Reads what is left after the program's death; raises what writing the output raised."""
        self._last_look()
        await asyncio.wait(self._readers, return_when=asyncio.FIRST_EXCEPTION)
        for reader in self._readers:
            if reader.done():
                reader.result()

    async def abandon(self, patience_seconds: float) -> None:
        """Like `finish` for a run nobody waits for any more: an output that cannot take it in time loses it."""
        self._last_look()
        try:
            await asyncio.wait(self._readers, timeout=patience_seconds)
        finally:
            for reader in self._readers:
                reader.cancel()
            await asyncio.gather(*self._readers, return_exceptions=True)

    def _last_look(self) -> None:
        if not self._finishing.done():
            self._finishing.set_result(None)

    def _reader_done(self, reader: asyncio.Task[None]) -> None:
        if not reader.cancelled() and reader.exception() is not None:
            self._on_failure()

    async def _read(self, stream: Stream, descriptor: int) -> None:
        tail = b""
        while not self._finishing.done():
            await _readable(descriptor, self._finishing)
            data = _available(descriptor, CHUNK_BYTES)
            if data == b"":
                break
            tail = await self._pass_on(stream, tail, data or b"")
        else:
            tail = await self._drain(stream, descriptor, tail)
        await self._write(stream, tail)

    async def _drain(self, stream: Stream, descriptor: int, tail: bytes) -> bytes:
        left = _waiting_bytes(descriptor)
        while left > 0 and (data := _available(descriptor, min(left, CHUNK_BYTES))):
            left -= len(data)
            tail = await self._pass_on(stream, tail, data)
        return tail

    async def _pass_on(self, stream: Stream, tail: bytes, data: bytes) -> bytes:
        """Writes all whole characters and returns the incomplete end, to go before the next bytes."""
        whole, rest = split_at_character(tail + data)
        await self._write(stream, whole)
        return rest

    async def _write(self, stream: Stream, data: bytes) -> None:
        kept = self.allowance.take(data)
        if kept:
            await self._output.write(stream, kept)


def _available(descriptor: int, most: int) -> bytes | None:
    """What can be read now, at most `most` bytes; empty at the end, None when there is nothing yet."""
    try:
        return os.read(descriptor, most)
    except BlockingIOError:
        return None


def _waiting_bytes(descriptor: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


async def _readable(descriptor: int, or_this: asyncio.Future[None]) -> None:
    """Waits until `descriptor` has bytes or its end, or until `or_this` is done."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, tell)
    try:
        await asyncio.wait((ready, or_this), return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_reader(descriptor)
