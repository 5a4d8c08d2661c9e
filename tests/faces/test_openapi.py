"""What the faces answer is what their OpenAPI documents say: schemathesis over a real server."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import uvicorn
from starlette.types import ASGIApp

from taskyard.services import workers
from tests.faces.conftest import open_world
from tests.faces.supabase import outside_token

JOB = {"name": "Daily Backup", "schedule": "0 2 * * *", "type": 1}
NOBODYS = "019a0000-0000-7000-8000-000000000000"


@dataclass
class Served:
    """A yard on a real port."""

    url: str
    token: str
    account: str


@pytest.fixture
def served(sqlite_url: str) -> Iterator[Served]:
    """A yard with a clock, served from a thread of its own."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        started = threading.Event()
        servers: list[uvicorn.Server] = []
        told: list[Served] = []

        async def serve() -> None:
            async with open_world(sqlite_url) as world:
                alice = await world.user()
                async with world.yard.database.write() as tx:
                    await workers.register(tx, "clock", 3600)
                told.append(Served(f"http://127.0.0.1:{listening.getsockname()[1]}", alice.token, alice.account))
                servers.append(_server(world.door))
                started.set()
                await servers[0].serve([listening])

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        try:
            assert started.wait(60)
            yield told[0]
        finally:
            servers[0].should_exit = True
            thread.join()


def _server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))


def schemathesis(served: Served, face: str, token: str, config: str, folder: Path, *options: str) -> None:
    """Run every check but one: texts that are no cron expressions, zones or URLs fit any schema and are refused."""
    (folder / "schemathesis.toml").write_text(config)
    url = f"{served.url}/faces/{face}"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml")),
        *("run", f"{url}/openapi.json", "--url", url, "-H", f"Authorization: Bearer {token}"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "3", "--seed", "1"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance", "--suppress-health-check", "all"),
        *options,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.timeout(300)
def test_the_scheduler_face_is_as_it_says(served: Served, tmp_path: Path) -> None:
    token = outside_token()
    bearer = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=served.url, headers=bearer) as http:
        job = http.post("/api/jobs", json={"account_id": NOBODYS, **JOB}).json()
        hook = http.post("/webhooks", json={"job_id": job["id"], "url": "https://example.com", "method": "GET"}).json()
    config = f"""
[parameters]
"path.job_id" = "{job["id"]}"
"path.webhook_id" = "{hook["id"]}"

[[operations]]
include-method = "DELETE"
parameters = {{ "path.job_id" = "{NOBODYS}", "path.webhook_id" = "{NOBODYS}" }}
"""
    schemathesis(served, "scheduler", token, config, tmp_path)
    with httpx2.Client(base_url=served.url, headers=bearer) as http:
        # They were really worked on.
        assert http.get(f"/api/jobs/{job['id']}/executions").json()["total"] > 0


@pytest.mark.timeout(300)
def test_identity_in_the_assistant_face_is_as_it_says(served: Served, tmp_path: Path) -> None:
    mine = ("--include-path-regex", "^/api/v1/(auth|users|keys)", "--exclude-path", "/api/v1/auth/logout")
    schemathesis(served, "assistant", served.token, "", tmp_path, *mine)
