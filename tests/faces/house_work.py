"""What the tests of the house's own API share: work that is done by hand instead of by a worker, and a real server."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx2
import uvicorn

from taskyard.domain.actors import Role
from taskyard.domain.executions import Execution
from taskyard.domain.rules import Rules
from taskyard.domain.runs import Cause, Outcome, Stream, Verdict
from taskyard.services import accounts, attempts, outputs, workers
from taskyard.services.attempts import Finished
from taskyard.services.outputs import Chunk
from tests.faces.conftest import NO_HASH, Person, World

SUCCESS = Outcome(
    Verdict.SUCCEEDED, response_code=200, result={"calls": [{"status": 200, "headers": {}, "body": "ok"}]}
)
REFUSED = Outcome.failed(Cause.STATUS, "HTTP 400", response_code=400)
HTTP_JOB = {"name": "ping", "calls": [{"url": "https://example.com/hook"}]}
COMMAND_JOB = {"name": "hello", "kind": "command", "command": "echo hello"}


async def colleague(world: World, of: Person, role: Role) -> Person:
    """Another user of the same tenant."""
    world.people += 1
    async with world.yard.database.write() as tx:
        email = f"colleague{world.people}@example.com"
        user = await accounts.add_user(
            tx, of.actor, email=email, full_name="Colleague", password_hash=NO_HASH, role=role
        )
    return await world.known(world.yard.identity.issue(user.id, of.actor.tenant_id))


async def made_job(person: Person, **facts: Any) -> dict[str, Any]:
    """A job with one call, or what `facts` say."""
    answer = await person.http.post("/api/v1/jobs", json=HTTP_JOB | facts)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def queued(person: Person, job_id: str | None = None) -> str:
    """The id of an execution that waits."""
    ident = job_id or (await made_job(person))["id"]
    answer = await person.http.post(f"/api/v1/jobs/{ident}/run")
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


async def begin(world: World, execution_id: str) -> Execution:
    """The execution, running under a worker that nobody is."""
    async with world.yard.database.write() as tx:
        worker_id = await workers.register(tx, "worker", 3600)
        beginning = await attempts.begin(tx, Rules(), worker_id, [UUID(execution_id)])
    return beginning.begun[0].execution


async def finish(world: World, execution: Execution, outcome: Outcome = SUCCESS) -> None:
    """Its worker says how it ended."""
    assert execution.worker_id is not None
    async with world.yard.database.write() as tx:
        accepted = await attempts.finish(tx, Rules(), execution.worker_id, [Finished(execution, outcome)])
    assert accepted == {execution.id}


async def running(world: World, person: Person, job_id: str | None = None) -> Execution:
    """An execution that runs."""
    return await begin(world, await queued(person, job_id))


async def dead_letter(world: World, person: Person, job_id: str | None = None) -> str:
    """The id of an execution that failed for good."""
    execution = await running(world, person, job_id)
    await finish(world, execution, REFUSED)
    return str(execution.id)


class Printer:
    """What an execution prints, chunk by chunk."""

    def __init__(self, world: World, execution: Execution) -> None:
        self._world = world
        self._execution = execution
        self.position = 0

    async def out(self, *contents: bytes, stream: Stream = Stream.STDOUT) -> None:
        chunks: list[Chunk] = []
        for content in contents:
            chunks.append(Chunk(self._execution.id, self._execution.tenant_id, self.position, stream, content))
            self.position += len(content)
        async with self._world.yard.database.write() as tx:
            await outputs.append(tx, chunks)

    async def err(self, content: bytes) -> None:
        await self.out(content, stream=Stream.STDERR)


@asynccontextmanager
async def served(world: World) -> AsyncGenerator[str]:
    """The world's door behind a real server; its address."""
    config = uvicorn.Config(
        world.door, lifespan="off", log_config=None, ws="websockets-sansio", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server._serve([listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listening.close()


def over_network(person: Person, url: str) -> httpx2.AsyncClient:
    """The person's client on a real connection."""
    return httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {person.token}"}, timeout=20)
