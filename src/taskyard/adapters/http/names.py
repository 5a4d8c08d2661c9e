"""Looking names up: host name in, addresses out, never on the event loop."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

LOOKUP_THREADS = 32


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class NameLookup:
    """The system's resolver in threads of its own, so that slow names hold up neither password hashing nor the loop.

    Callers that ask for the same name at the same time share one lookup; nothing is remembered after it.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, "taskyard-names")
        self._under_way: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of `host` in the system's order of preference. Raises OSError (socket.gaierror)."""
        key = (host, port)
        lookup = self._under_way.get(key)
        if lookup is None:
            lookup = asyncio.get_running_loop().run_in_executor(self._threads, _addresses, host, port)
            self._under_way[key] = lookup
            lookup.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(lookup)

    def _forget(self, key: tuple[str, int], lookup: asyncio.Future[list[str]]) -> None:
        self._under_way.pop(key, None)
        if not lookup.cancelled():
            # Marks the error as seen when every caller has given up waiting.
            lookup.exception()

    def close(self) -> None:
        """Take no more lookups; those in a thread end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
