"""The life of a serving process: uvicorn under our own signals, everything ended in good order."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from taskyard import bootstrap
    from taskyard.settings import Settings

DRAIN_SECONDS = 5
"""How long requests under way may take to end; live streams are ended at once."""


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a long-lived process on uvloop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


@contextmanager
def told_to_stop() -> Generator[asyncio.Event]:
    """An event that SIGTERM or Ctrl-C sets. Either of them a second time ends the process at once."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    handled = (signal.SIGINT, signal.SIGTERM)

    def stop() -> None:
        stopping.set()
        for each in handled:
            loop.remove_signal_handler(each)

    for each in handled:
        loop.add_signal_handler(each, stop)
    try:
        yield stopping
    finally:
        for each in handled:
            loop.remove_signal_handler(each)


async def serve(
    settings: "Settings",
    roles: "bootstrap.Roles",
    sockets: Sequence[socket.socket],
    opened: Callable[["bootstrap.Process"], Awaitable[None]],
) -> None:
    """Serve on `sockets` until told to stop. `opened` is awaited once the yard runs, before the first request."""
    from taskyard import bootstrap

    with told_to_stop() as stopping:
        async with bootstrap.process(settings, roles) as running:
            await opened(running)
            async with bootstrap.app(running, stopping) as app:
                await _serve(app, settings, sockets, stopping)


async def _serve(app: Any, settings: "Settings", sockets: Sequence[socket.socket], stopping: asyncio.Event) -> None:
    import uvicorn

    from taskyard.cli.bounded_http import BoundedHttpProtocol

    class Server(uvicorn.Server):
        """Uvicorn without signal handlers of its own."""

        @contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    config = uvicorn.Config(
        app,
        interface="asgi3",
        lifespan="off",
        http=BoundedHttpProtocol,
        ws="websockets-sansio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=list(settings.forwarded_allow_ips),
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = Server(config)

    async def stop() -> None:
        await stopping.wait()
        server.should_exit = True

    stops = asyncio.create_task(stop())
    try:
        await server.serve(sockets=list(sockets))
    finally:
        stops.cancel()


async def work(
    settings: "Settings", roles: "bootstrap.Roles", opened: Callable[["bootstrap.Process"], Awaitable[None]]
) -> None:
    """Run the loops without HTTP until told to stop."""
    from taskyard import bootstrap

    with told_to_stop() as stopping:
        async with bootstrap.process(settings, roles) as running:
            await opened(running)
            await stopping.wait()


def secrets_of(settings: "Settings") -> list[str]:
    """The values that no log may hold."""
    from taskyard import bootstrap

    urls = [urlsplit(url).password for url in (settings.database_url, settings.redis_url) if url]
    known = [settings.api_key, settings.supabase_jwt_secret, settings.owner_password, bootstrap.secret_key(settings)]
    return [secret for secret in (*known, *urls) if secret]
