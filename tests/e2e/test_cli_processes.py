"""The yard's processes as people start and stop them."""

import asyncio
import json
import os
import re
import signal
import stat
import sys
from pathlib import Path

import httpx2
import pytest

from tests.processes import Process, Processes, free_port

pytestmark = pytest.mark.anyio

OPEN = r"Taskyard is open at (http://\S+)"
PASSWORD = r"Password: (\S{4,})"
START_SECONDS = 60
STOP_SECONDS = 20


async def _end_while_somebody_listens(server: Process, url: str, token: str) -> None:
    """Stops a server in the middle of a live stream, which has to end by itself."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(base_url=url, trust_env=False, timeout=START_SECONDS) as client,
        client.stream("GET", "/api/v1/events/stream", params={"after": 0}, headers=headers) as live,
    ):
        chunks = live.aiter_bytes()
        assert await anext(chunks)
        server.terminate()
        async for _ in chunks:
            pass
    assert await server.ended(STOP_SECONDS) == 0
    assert "graceful shutdown exceeded" not in server.output()


async def test_the_first_day_of_a_yard(processes: Processes, tmp_path: Path) -> None:
    data = tmp_path / "yard"
    serve = ("serve", "--bind", "127.0.0.1:0", "--bind", "localhost:0", "--data-dir", data)
    first = processes.taskyard(*serve)
    urls = (await first.line(r"open at (http://\S+) and (http://\S+)", START_SECONDS)).groups()
    for url in urls:
        await first.answers(f"{url}/health")
    password = (await first.line(PASSWORD)).group(1)
    assert stat.S_IMODE((data / "secret_key").stat().st_mode) == 0o600

    port = urls[0].rpartition(":")[2]
    run = processes.taskyard("jobs", "run", "hello", "--follow", "--data-dir", data)
    token = processes.taskyard("token", "--data-dir", data)
    second = processes.taskyard("serve", "--port", port, "--data-dir", data)
    assert [await each.ended(START_SECONDS) for each in (run, token, second)] == [0, 0, 1]
    assert "Hello from Taskyard, it is " in run.output()
    assert f"Port {port} on 127.0.0.1 is taken" in second.output()
    assert "Traceback" not in second.output()

    async with httpx2.AsyncClient(base_url=urls[0], trust_env=False, timeout=START_SECONDS) as client:
        signed_in = await client.post(
            "/api/v1/auth/login", json={"email": "owner@taskyard.localhost", "password": password}
        )
        assert signed_in.status_code == 200, signed_in.text
        me = await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token.output().strip()}"})
        assert me.json()["email"] == "owner@taskyard.localhost"
        guesses = [
            await client.post(
                "/api/v1/auth/login",
                json={"email": "owner@taskyard.localhost", "password": "not this one"},
                headers={"X-Forwarded-For": f"203.0.113.{number}"},
            )
            for number in range(10)
        ]
        assert guesses[-1].status_code == 429, "nobody chooses their own address"

    await _end_while_somebody_listens(first, urls[0], token.output().strip())
    assert first.output().count(password) == 1
    assert "Traceback" not in first.output()

    third = processes.taskyard(*serve)
    await third.line(r"^Taskyard is open at .* \(API, clock, worker\)$", START_SECONDS)
    assert not re.search(PASSWORD, third.output())
    assert await third.stop(STOP_SECONDS) == 0


async def test_two_processes_that_start_at_once_make_one_owner(processes: Processes, tmp_path: Path) -> None:
    data = tmp_path / "yard"
    twins = [
        processes.taskyard("serve", "--port", "0", "--no-worker", "--no-clock", "--data-dir", data) for _ in range(2)
    ]
    await asyncio.gather(*(twin.line(OPEN, START_SECONDS) for twin in twins))
    assert await asyncio.gather(*(twin.stop(STOP_SECONDS) for twin in twins)) == [0, 0]
    assert sum(bool(re.search(PASSWORD, twin.output())) for twin in twins) == 1


async def test_a_worker_does_what_a_bare_server_is_given(processes: Processes, tmp_path: Path) -> None:
    data = tmp_path / "yard"
    environment = {"TASKYARD_OWNER_PASSWORD": "known to the owner", "TASKYARD_LOG_LEVEL": "debug"}
    server = processes.taskyard(
        "serve", "--bind", f"127.0.0.1:{free_port()}", "--no-worker", "--no-clock", "--data-dir", data, env=environment
    )
    await server.line(OPEN, START_SECONDS)
    assert "known to the owner" not in server.output()
    worker = processes.taskyard("worker", "--no-clock", "--data-dir", data)
    await worker.line(r"works \(worker\)", START_SECONDS)
    run = processes.taskyard("jobs", "run", "hello", "--follow", "--json", "--data-dir", data)
    assert await run.ended(START_SECONDS) == 0
    lines = [json.loads(line) for line in run.output().splitlines()]
    assert lines[0]["stream"] == "stdout"
    assert lines[-1]["status"] == "success"
    os.kill(worker.pid, signal.SIGINT)
    assert await worker.ended(STOP_SECONDS) == 0
    assert await server.stop(STOP_SECONDS) == 0


async def test_the_demo_tells_its_story_and_leaves_nothing(processes: Processes, tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    # A demo is a yard of its own, whatever this terminal is set to work with.
    settings = {"TMPDIR": str(room), "DATABASE_URL": "postgresql://127.0.0.1:1/nowhere"}
    demo = processes.taskyard("demo", env=settings)
    assert await demo.ended(60) == 0, demo.output()
    told = demo.output()
    assert "answered 503 then 200: success at attempt 2" in told
    assert "became a dead letter (failed 2 of 2 attempts), told to its subscriber in 1 signed webhook" in told
    assert "The dead letter was replayed: success" in told
    assert re.search(r"output  saving pictures\n", told)
    assert re.search(r"numbered 1 to \d+ without a gap", told)
    assert list(room.iterdir()) == []


async def test_logs_hold_no_secrets(processes: Processes) -> None:
    program = """
import logging, structlog
from taskyard.cli import logs
from taskyard.settings import Settings
settings = Settings.model_validate({"secret_key": "a-very-long-secret-key"})
logs.configure(settings, ["a-very-long-secret-key"])
structlog.get_logger("ours").info("signed in", token="abcdef", password="ghijkl", user="ada")
logging.getLogger("theirs").warning("connecting with %s", "a-very-long-secret-key")
try:
    raise ValueError("a-very-long-secret-key")
except ValueError:
    logging.getLogger("theirs").exception("it broke")
"""
    process = processes.start(sys.executable, "-c", program, env={"PATH": os.environ["PATH"]})
    assert await process.ended(START_SECONDS) == 0
    lines = [json.loads(line) for line in process.output().splitlines()]
    assert [line["event"] for line in lines] == ["signed in", "connecting with [hidden]", "it broke"]
    assert lines[0] | {"token": "[hidden]", "password": "[hidden]", "user": "ada"} == lines[0]
    assert "a-very-long-secret-key" not in process.output()
