"""A real HTTP server on a real socket that answers as badly as a test asks for."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    raw_head: bytes
    body: bytes
    reader: asyncio.StreamReader = field(repr=False)

    async def hung_up(self) -> None:
        """Wait until the caller has closed the connection."""
        with contextlib.suppress(ConnectionError):
            await self.reader.read()


Answer = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Receiver:
    """What came in, and how each path answers (`200 ok` unless set)."""

    port: int = 0
    requests: list[Received] = field(default_factory=list[Received])
    connections: int = 0
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    _open: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    _fewer: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def open_connections(self, at_most: int) -> int:
        """How many connections are open, as soon as there are no more than `at_most`."""
        while len(self._open) > at_most:
            await self._fewer.wait()
        return len(self._open)

    def on(self, path: str, answer: Answer) -> str:
        """Answer `path` so; gives its URL."""
        self.answers[path] = answer
        return self.url(path)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    await self._one(reader, writer)
        finally:
            self._open.discard(writer)
            writer.close()
            fewer, self._fewer = self._fewer, asyncio.Event()
            fewer.set()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        received = Received(method, target, headers, head, body, reader)
        self.requests.append(received)
        await self.answers.get(target.partition("?")[0], answer(200, b"ok"))(received, writer)

    async def close(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()


def answer(status: int, body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """A plain answer."""

    async def give(_received: Received, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *(f"{n}: {v}" for n, v in headers)]
        writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        await writer.drain()

    return give


def raw(data: bytes, *, then_close: bool = True) -> Answer:
    """These very bytes."""

    async def give(_received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if then_close:
            writer.close()

    return give


@contextlib.asynccontextmanager
async def receiver(tls: ssl.SSLContext | None = None) -> AsyncGenerator[Receiver]:
    """A receiver on a free port of 127.0.0.1."""
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls, backlog=1024)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.close()
