"""Fixtures for all tests: servers, databases, processes. Each xdist worker has servers of its own, started when a
test first asks.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Processes
from tests.reaper import close_reaper
from tests.servers import PostgresServer, RedisServer


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
