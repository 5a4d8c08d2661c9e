"""The composition root: settings in, wired processes out. Nothing else knows how the parts fit together.

What only a running process needs (web framework, runners, loops) is imported where it is wired, so that a command
that reads one row does not wait for it.
"""

import asyncio
import gc
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgqueuer.domain.types import QueueEntrypoint

from taskyard.domain import entrypoints
from taskyard.domain.runs import CommandRun, DeliveryRun, HttpRun, Run, Runner
from taskyard.services.identity import Identity
from taskyard.services.telemetry import Telemetry
from taskyard.settings import DATABASE_FILE, Settings
from taskyard.store import migrate, seals
from taskyard.store.database import Database
from taskyard.store.queue.engine import open_repository
from taskyard.store.vault import Vault

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from taskyard.adapters.bus.local import LocalBus
    from taskyard.adapters.bus.redis import RedisBus
    from taskyard.adapters.runners.command import CommandRunner
    from taskyard.faces.kit.hub import Hub
    from taskyard.runtime.lease import Lease

VERSION = version("taskyard")
GC_THRESHOLDS = (20_000, 20, 20)


@dataclass(frozen=True, slots=True)
class Base:
    """What every command stands on: the database, brought up to date, and who is who."""

    settings: Settings
    database: Database
    identity: Identity


@dataclass(frozen=True, slots=True)
class Roles:
    """What one process does besides serving."""

    worker: bool = True
    clock: bool = True


def secret_key(settings: Settings) -> str:
    """The configured key, or the one kept in the data directory, made on first use and readable by its owner only."""
    if settings.secret_key:
        return settings.secret_key
    path = settings.data_dir / "secret_key"
    if not path.exists():
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_once(path, secrets.token_urlsafe(48) + "\n")
    return path.read_text(encoding="utf-8").strip()


def _write_once(path: Path, content: str) -> None:
    """Make the file whole or not at all; of two processes that start together, one makes it and both read it."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()


@asynccontextmanager
async def base(settings: Settings, *, upgrade: bool = True) -> AsyncGenerator[Base]:
    """Open the database, migrated unless `upgrade` is off.

    Raises `Unavailable`; then also `Conflict` when a newer version has migrated it.
    """
    if settings.database_url is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if upgrade:
            # SQLite gives the files beside it the same mode; the folder may be another's and open to all.
            (settings.data_dir / DATABASE_FILE).touch(mode=0o600)
    key = secret_key(settings)
    database = Database(settings.database, Vault(key))
    try:
        if upgrade:
            await migrate.upgrade(database)
        yield Base(settings, database, Identity(database, key, settings.supabase_jwt_secret, settings.rules))
    finally:
        await database.close()


async def outdated(base_: Base) -> bool:
    """Whether the schema of the database is older than this program's. Raises `Unavailable`; `Conflict` when newer."""
    return await migrate.pending(base_.database)


async def check_key(base_: Base) -> None:
    """Raises `Unavailable`, code SECRET_KEY_MISMATCH, when the database holds what another SECRET_KEY has sealed."""
    async with base_.database.read() as tx:
        await seals.check(tx)


async def try_engine(base_: Base) -> None:
    """Open what workers claim through, and ask it once. Raises `Unavailable`, or what the engine itself raises."""
    async with open_repository(base_.database) as repository:
        await repository.queued_work([QueueEntrypoint(name) for name in entrypoints.EVERY])


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the yard: what its loops and its app share. Made, with its loops running, by `process`."""

    base: Base
    bus: "LocalBus | RedisBus"
    telemetry: Telemetry
    roles: Roles

    def loops(self, runners: "Mapping[type[Run], Runner[Any]]") -> AbstractAsyncContextManager[None]:
        """Clock, worker and upkeep, running within the block; leaving it lets what runs end in good order."""
        from taskyard.runtime.loops import loops
        from taskyard.runtime.worker import Capacity, Worker

        database, settings = self.base.database, self.base.settings
        _settle_heap()

        def worker(lease: "Lease") -> Worker:
            return Worker(
                database,
                settings.rules,
                self.bus,
                self.telemetry,
                runners,
                lambda: open_repository(database),
                lease,
                Capacity(settings.worker_concurrency, settings.command_concurrency, settings.shutdown_grace_seconds),
            )

        return loops(
            database,
            settings.rules,
            self.bus,
            self.telemetry,
            make_worker=worker if self.roles.worker else None,
            clock=self.roles.clock,
        )


@asynccontextmanager
async def bus(settings: Settings) -> AsyncGenerator["LocalBus | RedisBus"]:
    """The bus of this process, started."""
    from taskyard.adapters.bus.local import LocalBus
    from taskyard.adapters.bus.redis import RedisBus

    opened = RedisBus(settings.redis_url) if settings.redis_url else LocalBus()
    await opened.start()
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def command_runner(settings: Settings) -> AsyncGenerator["CommandRunner"]:
    """What runs commands, in the configured sandbox."""
    from taskyard.adapters.runners.command import CommandRunner
    from taskyard.adapters.runners.sandbox import Sandbox

    runner = CommandRunner(sandbox=Sandbox(settings.sandbox), hidden_paths=(settings.data_dir.absolute(),))
    try:
        yield runner
    finally:
        await runner.close()


@asynccontextmanager
async def process(settings: Settings, roles: Roles) -> AsyncGenerator[Process]:
    """A process with `roles`, running within the block. Its app is made by `app`.

    Raises `Unavailable` when the database is away, or holds what another SECRET_KEY has sealed.
    """
    from taskyard.adapters.http.client import HttpClients
    from taskyard.adapters.runners.delivery import DeliveryRunner
    from taskyard.adapters.runners.http import HttpRunner
    from taskyard.adapters.runners.seclusion import seclude_this_process

    if roles.worker:
        seclude_this_process()
    async with AsyncExitStack() as stack:
        base_ = await stack.enter_async_context(base(settings))
        await check_key(base_)
        bus_ = await stack.enter_async_context(bus(settings))
        stack.enter_context(base_.database.listening(bus_.publish))
        clients = await stack.enter_async_context(HttpClients())
        runners: dict[type[Run], Runner[Any]] = {
            HttpRun: HttpRunner(clients),
            CommandRun: await stack.enter_async_context(command_runner(settings)),
            DeliveryRun: DeliveryRunner(clients),
        }
        running = Process(base_, bus_, Telemetry(), roles)
        await stack.enter_async_context(running.loops(runners))
        yield running


def _settle_heap() -> None:
    """Take what was loaded at start out of the garbage collector's rounds, and let it look less often.

    Its full rounds over a hundred thousand lasting objects stopped the event loop for some 80 ms each; the rest of
    them cost a fifth of all throughput.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


@asynccontextmanager
async def app(running: Process, stopping: asyncio.Event | None = None) -> AsyncGenerator["ASGIApp"]:
    """The front door with all faces behind it, over a running process. Once `stopping` is set, live streams end."""
    from taskyard.adapters.bus.redis import RedisBus
    from taskyard.faces import door
    from taskyard.faces.kit.limits import Limiter
    from taskyard.faces.kit.yard import Yard

    settings = running.base.settings
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(_hub(running, stopping))
        limiter = Limiter(enabled=settings.rate_limits == "on", redis_url=settings.redis_url)
        stack.push_async_callback(limiter.close)
        yard = Yard(
            database=running.base.database,
            identity=running.base.identity,
            rules=settings.rules,
            bus=running.bus,
            hub=hub,
            limiter=limiter,
            telemetry=running.telemetry,
            version=VERSION,
            cors_origins=settings.cors_origins,
            claude_code=shutil.which("claude") is not None,
            runs_clock=running.roles.clock,
            redis_ping=running.bus.ping if isinstance(running.bus, RedisBus) else None,
        )
        built = door.build(yard)
        _settle_heap()
        yield built


@asynccontextmanager
async def _hub(running: Process, stopping: asyncio.Event | None) -> AsyncGenerator["Hub"]:
    from taskyard.faces.kit.hub import Hub

    hub = Hub(running.base.database, running.bus)
    await hub.start()

    async def end_streams(when: asyncio.Event) -> None:
        await when.wait()
        await hub.close()

    ending = None if stopping is None else asyncio.create_task(end_streams(stopping))
    try:
        yield hub
    finally:
        if ending is not None:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
        await hub.close()


async def documents() -> dict[str, dict[str, Any]]:
    """The OpenAPI document of each face, by its name. No database is opened."""
    from taskyard.adapters.bus.local import LocalBus
    from taskyard.faces import door
    from taskyard.faces.kit.hub import Hub
    from taskyard.faces.kit.limits import Limiter
    from taskyard.faces.kit.yard import Yard

    settings, key = Settings.model_validate({}), secrets.token_urlsafe()
    database, bus_ = Database(settings.database, Vault(key)), LocalBus()
    yard = Yard(
        database=database,
        identity=Identity(database, key, None, settings.rules),
        rules=settings.rules,
        bus=bus_,
        hub=Hub(database, bus_),
        limiter=Limiter(enabled=False),
        version=VERSION,
    )
    return {name.value: build(yard).openapi() for name, build in door.FACES.items()}
