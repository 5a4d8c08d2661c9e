"""A receiver of HTTP calls that costs as little as possible: answers 200 and remembers when which path was called.

Says its port; then, for each line it hears, what arrived since: `{path: seconds since 1970}`, the first call of each.
"""

import asyncio
import time
from typing import cast

from bench.sides.talk import heard, say
from taskyard.cli.server import run

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class _Receiver(asyncio.Protocol):
    """One connection; requests without bodies only, one at a time, as HTTP/1.1 clients without pipelining send them."""

    def __init__(self, arrived: dict[str, float]) -> None:
        self._arrived = arrived
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        now = time.time()
        self._pending += data
        if b"\r\n\r\n" not in self._pending:
            return
        path = self._pending.split(b" ", 2)[1].decode()
        self._pending = b""
        self._arrived.setdefault(path, now)
        self._transport.write(_ANSWER)


async def main() -> None:
    """Receive until told to stop."""
    arrived: dict[str, float] = {}
    server = await asyncio.get_running_loop().create_server(lambda: _Receiver(arrived), "127.0.0.1", 0, backlog=4096)
    say(port=server.sockets[0].getsockname()[1])
    while True:
        try:
            asked = await heard()
        except EOFError:
            return
        say(count=len(arrived), arrived=dict(arrived) if asked.get("all") else {})
        if asked.get("all"):
            arrived.clear()


if __name__ == "__main__":
    run(main())
