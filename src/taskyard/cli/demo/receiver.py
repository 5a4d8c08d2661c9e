"""The other side of the demo: a small HTTP server on loopback that fails when the story needs it to."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

SIGNATURE = "x-signature-256"
_MAX_HEAD = 64 * 1024
_REASONS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Received:
    """One request, and what it was answered."""

    path: str
    status: int
    signed: bool


@dataclass(slots=True)
class Receiver:
    """`/report` is busy the first time, `/invoices` is broken until `mended`, `/events` takes what it is told."""

    url: str
    mended: bool = False
    received: list[Received] = field(default_factory=list[Received])

    def answer(self, path: str) -> int:
        """The status for the next request to `path`."""
        before = sum(each.path == path for each in self.received)
        match path:
            case "/report":
                return 200 if before else 503
            case "/invoices":
                return 200 if self.mended else 500
            case "/events":
                return 200
            case _:
                return 404


@asynccontextmanager
async def receiving() -> AsyncGenerator[Receiver]:
    """A receiver on a free port of 127.0.0.1, closed at the end of the block."""
    receiver = Receiver("")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _talk(receiver, reader, writer)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=_MAX_HEAD)
    async with server:
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield receiver


async def _talk(receiver: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request_line, *lines = head.split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    await reader.readexactly(int(headers.get("content-length", "0")))
    path = request_line.split(" ")[1]
    status = receiver.answer(path)
    receiver.received.append(Received(path, status, SIGNATURE in headers))
    body = f"{_REASONS[status]}\n"
    writer.write(
        f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: text/plain\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode()
    )
    await writer.drain()
