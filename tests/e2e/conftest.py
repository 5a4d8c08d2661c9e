"""Fixtures of the black-box tests: one yard for each database, shared by all of them, and its callers."""

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.adapters.receiver import Receiver, receiver
from tests.e2e.yard import PREFIX, STOP_SECONDS, Caller, Yard, calling, open_yard, outside_token
from tests.servers import PostgresServer, RedisServer, run_apart


@contextmanager
def _peaceful_yard(folder: Path, **settings: str) -> Generator[Yard]:
    """A yard that ends in good order, and in which nothing unexpected has happened."""
    with open_yard(folder, **settings) as opened:
        yield opened
        assert run_apart(opened.process.stop(STOP_SECONDS)) == 0
        assert "Traceback" not in opened.process.output()
        assert '"level": "error"' not in opened.process.output()


@pytest.fixture(scope="session")
def sqlite_yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """A yard that needs nothing but its data directory."""
    with _peaceful_yard(tmp_path_factory.mktemp("sqlite-yard")) as opened:
        yield opened


@pytest.fixture(scope="session")
def postgres_yard(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[Yard]:
    """A yard on PostgreSQL and Redis."""
    database, redis = postgres_server.new_database(), RedisServer()
    redis.start()
    try:
        folder = tmp_path_factory.mktemp("postgres-yard")
        with _peaceful_yard(folder, DATABASE_URL=database, REDIS_URL=redis.url) as opened:
            yield opened
    finally:
        redis.close()
        postgres_server.drop_database(database)


@pytest.fixture(params=["sqlite", "postgres"])
def served(request: pytest.FixtureRequest) -> Yard:
    """The running yard, once per database."""
    return request.getfixturevalue(f"{request.param}_yard")


@pytest.fixture
async def owner(served: Yard) -> AsyncGenerator[Caller]:
    """The yard's operator, with a house token."""
    async with calling(served, served.owner.token, served.owner.account) as caller:
        yield caller


@pytest.fixture
async def outsider(served: Yard) -> AsyncGenerator[Caller]:
    """Somebody with a Supabase-signed token, who names an account that nobody has ever named."""
    async with calling(served, outside_token(), str(uuid4())) as caller:
        yield caller


@pytest.fixture(params=["house token", "house token, prefix", "outside token", "outside token, prefix"])
async def caller(request: pytest.FixtureRequest, served: Yard) -> AsyncGenerator[Caller]:
    """Everybody D3 serves: with either kind of token, at the documented URLs and below the face's prefix."""
    inside = request.param.startswith("house")
    token = served.owner.token if inside else outside_token()
    account = served.owner.account if inside else str(uuid4())
    async with calling(served, token, account, PREFIX if request.param.endswith("prefix") else "") as made:
        yield made


@pytest.fixture
async def called() -> AsyncGenerator[Receiver]:
    """Who is called by webhooks."""
    async with receiver() as listening:
        yield listening
