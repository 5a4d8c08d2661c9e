"""Fixtures the conformance, runtime and fault tests share; their conftest files import them."""

import functools
import shutil
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from tests.runtime.yards import Yard, open_yard, prepare
from tests.servers import PostgresServer, run_apart

POSTGRES_TEMPLATE = "yard"
ON_SQLITE = pytest.mark.parametrize("yard_url", ["sqlite"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("yard_url", ["postgres"], indirect=True)
"""For tests that are about one database only."""


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file with an operator, to be copied."""
    path = tmp_path_factory.mktemp("template") / "taskyard.db"
    run_apart(prepare(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def yard_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database with an operator, once per kind."""
    if request.param == "sqlite":
        path = tmp_path / "taskyard.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite+aiosqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.new_database(server.template(POSTGRES_TEMPLATE, functools.partial(prepare)))
    yield url
    server.drop_database(url)


@pytest.fixture
async def yard(yard_url: str) -> AsyncGenerator[Yard]:
    """The yard, on both databases one after the other."""
    async with open_yard(yard_url) as opened:
        yield opened
