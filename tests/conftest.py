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
from tests.servers import Fill, MakeDatabase, PostgresServer, RedisServer, run_apart
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


@pytest.fixture
def fresh_database(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeDatabase]:
    """Makes copies of templates that are filled once."""
    made: list[str] = []

    def make(kind: str, name: str, fill: Fill) -> str:
        if kind == "sqlite":
            template = tmp_path_factory.getbasetemp() / f"{name}.db"
            if not template.exists():
                run_apart(fill(f"sqlite+aiosqlite:///{template}"))
            return f"sqlite+aiosqlite:///{shutil.copyfile(template, tmp_path / 'taskyard.db')}"
        server: PostgresServer = request.getfixturevalue("postgres_server")
        made.append(server.new_database(server.template(name, fill)))
        return made[-1]

    yield make
    for url in made:
        request.getfixturevalue("postgres_server").drop_database(url)


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest, fresh_database: MakeDatabase) -> str:
    """The address of a database with all tables and nothing in them, once per kind."""
    return fresh_database(request.param, "migrated", _migrate)


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
