"""The test servers and processes keep what they promise."""

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiosqlite
import asyncpg
import httpx2
import pytest
import redis.asyncio

from tests.processes import Processes, eventually, free_port
from tests.reaper import running
from tests.servers import PostgresServer, RedisServer, StopMode, plain_dsn

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent

FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""

OWNER = """
import time
from tests.servers import PostgresServer, RedisServer
for server in (PostgresServer(durable=False), RedisServer()):
    server.start()
    print("server", server._process.pid, server._folder, flush=True)
print("ready", flush=True)
time.sleep(600)
"""


async def fetch(url: str, *statements: str) -> object:
    """Runs the statements on one connection; the value of the last."""
    connection = await asyncpg.connect(plain_dsn(url), ssl=False)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


async def tables(url: str) -> object:
    return await fetch(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")


def gone(pid: int, folder: Path) -> bool:
    return not running(pid) and not folder.exists()


async def test_new_databases_are_empty_and_separate(postgres_server: PostgresServer) -> None:
    first, second = postgres_server.new_database(), postgres_server.new_database()
    assert await fetch(first, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (7) RETURNING n") == 7
    assert await tables(first) == 1
    assert await tables(second) == 0
    postgres_server.drop_database(first)
    postgres_server.drop_database(second)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await tables(first)


async def test_a_template_is_built_once_and_copied(postgres_server: PostgresServer) -> None:
    built: list[str] = []

    async def build(url: str) -> None:
        built.append(url)
        await fetch(url, "CREATE TABLE t AS SELECT 7 AS n", "SELECT 1")

    for _ in range(2):
        url = postgres_server.new_database(postgres_server.template("with_seven", build))
        assert await fetch(url, "UPDATE t SET n = n + 1 RETURNING n") == 8
        postgres_server.drop_database(url)
    assert len(built) == 1


async def test_database_url_is_a_fresh_database(database_url: str) -> None:
    scheme, _, path = database_url.partition("://")
    if scheme == "sqlite+aiosqlite":
        async with aiosqlite.connect(path.removeprefix("/")) as connection:
            await connection.execute("CREATE TABLE t (n int)")
        return
    assert await tables(database_url) == 0


async def test_postgres_wants_its_password(postgres_server: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://postgres:x@127.0.0.1:{postgres_server.port}/postgres", ssl=False)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_postgres_restarts_with_its_data_at_its_address(
    private_postgres: Callable[[], PostgresServer], mode: StopMode
) -> None:
    server = private_postgres()
    url = server.new_database()
    await fetch(url, "CREATE TABLE t AS SELECT 7 AS n", "SELECT 1")
    connection = await asyncpg.connect(plain_dsn(url), ssl=False)
    server.stop(mode)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT 1")
    with pytest.raises(OSError, match="Connect call failed"):
        await tables(url)
    server.start()
    assert await fetch(url, "SELECT n FROM t") == 7


async def test_redis_is_empty_and_restarts_at_its_address(redis_url: str, redis_server: RedisServer) -> None:
    client = redis.asyncio.from_url(redis_url)
    try:
        assert await client.dbsize() == 0
        await client.set("k", "v")
        redis_server.flush()
        assert await client.get("k") is None
        await client.set("k", "v")
        redis_server.restart()
        await client.connection_pool.disconnect()
        assert await client.dbsize() == 0
    finally:
        await client.aclose()


async def test_a_process_is_waited_for_by_its_answers(processes: Processes) -> None:
    port = free_port()
    server = processes.start(sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
    await server.answers(f"http://127.0.0.1:{port}/")
    await server.answers(f"http://127.0.0.1:{port}/missing", status=404)
    assert (await server.line(r"GET /missing .* (\d+) -$"))[1] == "404"
    assert await server.stop() == -15


async def test_a_process_that_ends_early_says_why(processes: Processes) -> None:
    process = processes.start(sys.executable, "-c", "raise SystemExit('out of coffee')")
    with pytest.raises(AssertionError, match="out of coffee"):
        await process.line("ready")
    with pytest.raises(AssertionError, match="ended with 1 before"):
        await process.answers(f"http://127.0.0.1:{free_port()}/")


async def test_a_process_stands_still_and_goes_on(processes: Processes) -> None:
    port = free_port()
    server = processes.start(sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
    await server.answers(f"http://127.0.0.1:{port}/")
    server.suspend()
    async with httpx2.AsyncClient(trust_env=False, timeout=0.2) as client:
        with pytest.raises(httpx2.ReadTimeout):
            await client.get(f"http://127.0.0.1:{port}/")
    server.resume()
    await server.answers(f"http://127.0.0.1:{port}/")
    server.kill()
    assert await server.ended() == -9


async def test_settings_do_not_leak_into_processes(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TASKYARD_DATA_DIR", "DATABASE_URL", "SECRET_KEY_FILE"):
        monkeypatch.setenv(name, "leaked")
    process = processes.start(
        sys.executable, "-c", "import os; print(sorted(os.environ.items()))", env={"API_KEY": "given"}
    )
    assert await process.ended() == 0
    assert "leaked" not in process.output()
    assert "('API_KEY', 'given')" in process.output()


async def test_the_whole_process_group_ends_with_the_test(tmp_path: Path) -> None:
    started = Processes(tmp_path)
    parent = started.start(sys.executable, "-c", FAMILY)
    child = int((await parent.line(r"^child (\d+)$"))[1])
    parent.kill()
    await parent.ended()
    assert running(child), "a killed program leaves its children behind, as in real life"
    started.close()
    await eventually(lambda: not running(child))


async def test_nothing_outlives_tests_that_are_killed(processes: Processes) -> None:
    owner = processes.start(sys.executable, "-c", OWNER, env={"PYTHONPATH": str(ROOT)})
    await owner.line("^ready$", timeout=30)
    servers = re.findall(r"^server (\d+) (.+)$", owner.output(), re.MULTILINE)
    assert len(servers) == 2
    assert all(running(int(pid)) for pid, _ in servers)
    owner.kill()
    await owner.ended()
    for pid, folder in servers:
        await eventually(partial(gone, int(pid), Path(folder)), timeout=20)


async def test_eventually_returns_the_truth_or_fails() -> None:
    answers = iter([0, None, 5])
    assert await eventually(lambda: next(answers)) == 5
    with pytest.raises(AssertionError, match=r"not within 0\.05 s: the moon"):
        await eventually(lambda: False, timeout=0.05, what="the moon")
