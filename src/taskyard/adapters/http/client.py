"""The one HTTP client of the house: guarded, pooled, without memory of cookies, proxies or redirects."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Generator
from http.cookiejar import CookieJar
from importlib.metadata import version
from types import TracebackType

import httpcore2
import httpx2

from taskyard.adapters.http.backend import GuardedBackend
from taskyard.adapters.http.guard import Resolve
from taskyard.adapters.http.names import NameLookup
from taskyard.adapters.http.pool import ConnectionPool, PooledBody
from taskyard.domain.runs import NetworkPolicy


def user_agent() -> str:
    """`taskyard/<version>`, what the house calls itself."""
    return f"taskyard/{version('taskyard')}"


@contextlib.contextmanager
def _httpx_errors() -> Generator[None]:
    """httpcore2's errors under their httpx2 names; everything else (BlockedAddress) as it is."""
    try:
        yield
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise getattr(httpx2, type(error).__name__, httpx2.TransportError)(str(error)) from error
    except httpcore2.UnsupportedProtocol as error:
        raise httpx2.UnsupportedProtocol(str(error)) from error


class _NoCookies(CookieJar):
    """Keeps nothing, and parses nothing a stranger wrote."""

    def extract_cookies(self, response: object, request: object) -> None:  # noqa: ARG002
        return


class _ResponseBody(httpx2.AsyncByteStream):
    def __init__(self, pooled: PooledBody) -> None:
        self._pooled = pooled

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for part in self._pooled:
                yield part

    async def aclose(self) -> None:
        await self._pooled.aclose()


class GuardedTransport(httpx2.AsyncBaseTransport):
    """A connection pool whose every connection goes through the guard.

    httpx2's own transport takes no network backend; putting one into its private pool would fail open if the
    library renamed that attribute, so the pool is ours.
    """

    def __init__(self, policy: NetworkPolicy, resolve: Resolve, ssl_context: ssl.SSLContext) -> None:
        self._pool = ConnectionPool(GuardedBackend(policy, resolve), ssl_context)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request`. Raises BlockedAddress and httpx2.TransportError."""
        if request.url.scheme not in {"http", "https"} or not request.url.host:
            raise httpx2.UnsupportedProtocol("Only http and https URLs with a host can be called")
        pooled = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _httpx_errors():
            response, body = await self._pool.send(pooled)
        return httpx2.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_ResponseBody(body),
        )

    async def aclose(self) -> None:
        """Close every connection, idle or not."""
        await self._pool.close()


class HttpClients:
    """One pooled client for each network policy; a connection opened under one is never used under the other.

    An async context manager. `resolve` and `ssl_context` are the system's unless given.
    """

    def __init__(self, *, resolve: Resolve | None = None, ssl_context: ssl.SSLContext | None = None) -> None:
        self._resolve = resolve
        self._ssl_context = ssl_context
        self._lookup: NameLookup | None = None
        self._clients: dict[bool, httpx2.AsyncClient] = {}

    async def open(self) -> None:
        """Make the clients ready."""
        # httpx2 logs whole URLs at INFO and httpcore2 whole headers at DEBUG, and both hold secrets.
        for name in ("httpx2", "httpcore2"):
            logging.getLogger(name).setLevel(logging.WARNING)
        context = self._ssl_context or await asyncio.to_thread(httpx2.create_ssl_context, trust_env=False)
        if self._resolve is None:
            self._lookup = NameLookup()
        resolve = self._resolve or self._lookup
        assert resolve is not None  # noqa: S101  (one of the two lines above set it)
        for allow_private in (False, True):
            policy = NetworkPolicy(allow_private=allow_private)
            self._clients[allow_private] = self._client(GuardedTransport(policy, resolve, context))

    def _client(self, transport: GuardedTransport) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            # The caller limits the whole call; None here keeps httpx2 from limiting single reads.
            timeout=None,
            headers={"User-Agent": user_agent(), "Accept-Encoding": "identity"},
            cookies=_NoCookies(),
        )

    async def close(self) -> None:
        """Close every connection. Calls still under way fail."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()
        if self._lookup is not None:
            self._lookup.close()
            self._lookup = None

    async def __aenter__(self) -> "HttpClients":
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def client(self, policy: NetworkPolicy) -> httpx2.AsyncClient:
        """The client that keeps to `policy`. Raises RuntimeError when not open."""
        try:
            return self._clients[policy.allow_private]
        except KeyError:
            raise RuntimeError("HttpClients is not open") from None
