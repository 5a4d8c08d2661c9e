"""httpcore2's network with the guard in front: the only way an outgoing call opens a connection."""

import asyncio
import ssl
from collections.abc import Iterable, Iterator
from typing import Any, cast

import httpcore2

from taskyard.adapters.http.guard import BlockedAddress, Resolve, permitted_addresses
from taskyard.domain.runs import NetworkPolicy

MAX_ADDRESSES_TRIED = 4


def _shares(seconds: float | None, count: int) -> Iterator[float | None]:
    """Time for each of `count` attempts: half of what is left, all of it for the last."""
    for left in range(count, 0, -1):
        if seconds is None:
            yield None
            continue
        share = seconds if left == 1 else seconds / 2
        seconds -= share
        yield share


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _told(error: Exception, authority: str) -> Exception:
    """The same failure in a sentence that names the other side as the URL does."""
    if isinstance(error, httpcore2.ConnectTimeout):
        return httpcore2.ConnectTimeout("Connection timeout")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return httpcore2.ConnectError(f"Connection refused by {authority}")
        if isinstance(cause, OSError) and cause.strerror:
            return httpcore2.ConnectError(f"Connection to {authority} failed: {cause.strerror}")
        cause = cause.__cause__
    return httpcore2.ConnectError(f"Connection to {authority} failed")


class _Connected(httpcore2.AsyncNetworkStream):
    """A TCP stream that does not outlive a TLS handshake which was cancelled; httpcore2's own would stay open."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self._stream.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves, judges and connects in one step, so that the address judged is the address connected to."""

    def __init__(self, policy: NetworkPolicy, resolve: Resolve) -> None:
        self._policy = policy
        self._resolve = resolve
        self._network = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore2.AsyncNetworkStream:
        """A stream to a permitted address of `host`; `timeout` in seconds.

        Raises BlockedAddress; httpcore2.ConnectTimeout or ConnectError, whose text is a sentence for a person.
        """
        try:
            async with asyncio.timeout(timeout):
                addresses = await permitted_addresses(self._policy, host, port, self._resolve)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"Connection timeout while looking up {host}") from error
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"Host not found: {host}") from error
        return await self._connect_first(_authority(host, port), addresses[:MAX_ADDRESSES_TRIED], port, timeout)

    async def _connect_first(
        self, authority: str, addresses: list[str], port: int, timeout: float | None
    ) -> httpcore2.AsyncNetworkStream:
        failure: Exception = httpcore2.ConnectError(f"Host not found: {authority}")
        for address, share in zip(addresses, _shares(timeout, len(addresses)), strict=True):
            try:
                return _Connected(await self._network.connect_tcp(address, port, share))
            except (httpcore2.ConnectTimeout, httpcore2.ConnectError) as error:
                failure = _told(error, authority)
                failure.__cause__ = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore2.AsyncNetworkStream:
        """Never: a URL must not open a local socket."""
        raise BlockedAddress(path, "it is a local socket")

    async def sleep(self, seconds: float) -> None:
        """Wait, for httpcore2's own retries (which are off)."""
        await asyncio.sleep(seconds)
