"""Databases that crash or fill up under load: nothing acknowledged is lost, and work goes on by itself."""

import asyncio
import subprocess
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from taskyard.domain.errors import Unavailable
from tests.adapters.receiver import Receiver
from tests.faults.load import Load
from tests.faults.members import Members, integrity, working
from tests.processes import Processes, eventually
from tests.runtime.yards import Yard, open_yard, prepare
from tests.servers import PostgresServer, run_apart

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.timeout(180)]

DISK_BYTES = 6 * 1024 * 1024


@pytest.fixture
def own_postgres(private_postgres: Callable[[], PostgresServer]) -> tuple[PostgresServer, str]:
    server = private_postgres()
    url = server.new_database()
    run_apart(prepare(url))
    return server, url


async def test_postgres_crashes_under_load(
    own_postgres: tuple[PostgresServer, str], processes: Processes, calls: Receiver, tmp_path: Path
) -> None:
    server, url = own_postgres
    members = Members(processes, url, tmp_path / "data")
    async with open_yard(url) as yard:
        load = Load(yard, calls, tmp_path)
        workers = [members.worker() for _ in range(2)]
        await asyncio.gather(*map(working, workers))
        for _ in range(3):
            await load.give_patiently()
            await asyncio.sleep(load.random.uniform(0, 0.3))
            giving = asyncio.create_task(load.give_patiently())
            await asyncio.to_thread(server.restart, "immediate")
            await giving
        await load.judge()
        for process in workers:
            assert await process.stop(30) == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A folder with room for few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", folder], check=False, capture_output=True
    )
    if mounting.returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
async def cramped(small_disk: Path) -> AsyncGenerator[Yard]:
    url = f"sqlite+aiosqlite:///{small_disk / 'taskyard.db'}"
    await prepare(url)
    async with open_yard(url) as opened:
        yield opened


async def test_a_full_disk_refuses_and_loses_nothing(
    cramped: Yard, small_disk: Path, processes: Processes, calls: Receiver, tmp_path: Path
) -> None:
    members = Members(processes, cramped.url, tmp_path / "data")
    load = Load(cramped, calls, tmp_path)
    process, url = members.server({"API_KEY": "the operator's key of this test"})
    await process.answers(f"{url}/health", timeout=60)
    await load.give()
    ballast = small_disk / "ballast"
    await asyncio.to_thread(fill, ballast)
    refused = 0
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        body = {"email": "a@example.com", "password": "long enough", "full_name": "A", "tenant_name": "T" * 200}

        async def refusal() -> bool:
            nonlocal refused
            with suppress(Unavailable):
                await load.give()
                return False
            refused += 1
            mail = {"email": f"user{refused}@example.com"}
            answer = await client.post(f"{url}/api/v1/auth/register", json=body | mail)
            if answer.status_code < 500:
                return False
            assert answer.json()["error_code"] == "DATABASE_ERROR", answer.text
            return True

        await eventually(refusal, 60, "a refusal for want of space")
        assert process.returncode is None
        ballast.unlink()

        async def accepted() -> bool:
            refused_no_more = await client.post(
                f"{url}/api/v1/auth/register", json=body | {"email": "late@example.com"}
            )
            return refused_no_more.status_code < 300

        await eventually(accepted, 30, "an answer once there is space again")
    await load.judge()
    assert await process.stop(30) == 0
    assert integrity(small_disk / "taskyard.db") == "ok"


def fill(path: Path) -> None:
    """Take all the space that is left."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 65536)
