"""Fixtures for all tests: servers, databases, processes. Each xdist worker has servers of its own, started when a
test first asks.
"""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskyard.store import migrate
from taskyard.store.database import Database
from taskyard.store.vault import Vault
from tests.processes import Processes
from tests.reaper import close_reaper
from tests.servers import PostgresServer, RedisServer, run_apart
from tests.services.world import VAULT_KEY, FakeClock


def pytest_unconfigure() -> None:
    """The last thing of a run, an interrupted one too."""
    close_reaper()


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Async tests run on asyncio's own loop."""
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL of this worker, for databases; tests that stop a server take `private_postgres`."""
    server = PostgresServer(durable=False)
    server.start()
    yield server
    server.close()


@pytest.fixture
def private_postgres() -> Iterator[Callable[[], PostgresServer]]:
    """Makes running servers that belong to the test alone, to be stopped and restarted at will."""
    servers: list[PostgresServer] = []

    def make() -> PostgresServer:
        server = PostgresServer()
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The Redis of this worker."""
    server = RedisServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of an empty Redis."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database, once per kind: `-k sqlite` or `-k postgres` picks one."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'taskyard.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.new_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts real programs; ends them with the test."""
    started = Processes(tmp_path)
    yield started
    started.close()


# Databases with Taskyard's own tables


async def _migrate(url: str) -> None:
    database = Database(url, Vault(VAULT_KEY))
    try:
        await migrate.upgrade(database)
    finally:
        await database.close()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with all tables, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "taskyard.db"
    run_apart(_migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with all tables and nothing in them, once per kind."""
    if request.param == "sqlite":
        path = tmp_path / "taskyard.db"
        shutil.copyfile(request.getfixturevalue("migrated_file"), path)
        yield f"sqlite+aiosqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.new_database(server.template("taskyard_migrated", _migrate))
    yield url
    server.drop_database(url)


@pytest.fixture
def now() -> FakeClock:
    """The clock of `database`, moved by the test."""
    return FakeClock()


@pytest.fixture
async def database(migrated_url: str, now: FakeClock) -> AsyncIterator[Database]:
    """A migrated, empty database of each kind, whose time is `now`."""
    opened = Database(migrated_url, Vault(VAULT_KEY), clock=now)
    yield opened
    await opened.close()
