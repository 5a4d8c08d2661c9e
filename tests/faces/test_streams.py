"""Server-sent events over a real server: live, resumed, and ended with the hub."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import APIRouter, FastAPI

from taskyard.domain.events import Event, Fact
from taskyard.faces.kit.auth import DefaultActor, WhetherStillAllowed, guarded, principal
from taskyard.faces.kit.streams import EventSourceResponse, ServerSentEvent, events_of
from taskyard.faces.kit.yard import TheYard
from taskyard.services import events
from tests.faces.conftest import Person, World

pytestmark = pytest.mark.anyio

router = APIRouter(route_class=guarded(principal))


def frame(event: Event) -> dict[str, Any]:
    return {"seq": event.seq, "type": event.type}


@router.get("/stream", response_class=EventSourceResponse)
async def stream(
    yard: TheYard, actor: DefaultActor, still_allowed: WhetherStillAllowed, after: int | None = None
) -> AsyncGenerator[ServerSentEvent]:
    async for each in events_of(yard.hub, actor, still_allowed, after, frame):
        yield each


@contextlib.asynccontextmanager
async def served(world: World) -> AsyncGenerator[str]:
    app = FastAPI()
    app.state.yard = world.yard
    app.include_router(router)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5))
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def tell(world: World, person: Person, count: int) -> None:
    async with world.yard.database.write() as tx:
        await events.append(tx, [Fact(person.actor.tenant_id, "job.updated")] * count)


async def frames(lines: AsyncIterator[str], count: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    one: dict[str, str] = {}
    async with asyncio.timeout(20):
        while len(found) < count:
            line = await anext(lines)
            if not line:
                found += [one] if "data" in one else []
                one = {}
            name, _, value = line.partition(": ")
            one[name] = value
    return found


async def test_events_come_live_and_are_resumed(world: World) -> None:
    alice = await world.user()
    await tell(world, alice, 2)
    bearer = {"Authorization": f"Bearer {alice.token}"}
    async with served(world) as url, httpx2.AsyncClient(base_url=url, headers=bearer) as http:
        async with http.stream("GET", "/stream?after=0") as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            first = await frames(lines, 2)
            assert [one["id"] for one in first] == ["1", "2"]
            assert first[0]["event"] == "job.updated"
            assert json.loads(first[0]["data"]) == {"seq": 1, "type": "job.updated"}
            await tell(world, alice, 1)
            assert [one["id"] for one in await frames(lines, 1)] == ["3"]
        await tell(world, alice, 2)
        async with http.stream("GET", "/stream?after=3") as answer:
            assert [one["id"] for one in await frames(answer.aiter_lines(), 2)] == ["4", "5"]


async def test_a_stream_ends_with_the_hub(world: World) -> None:
    alice = await world.user()
    bearer = {"Authorization": f"Bearer {alice.token}"}
    async with (
        served(world) as url,
        httpx2.AsyncClient(base_url=url, headers=bearer) as http,
        http.stream("GET", "/stream") as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == ": listening"
        await world.yard.hub.close()
        async with asyncio.timeout(20):
            assert [line async for line in lines if line.startswith("data")] == []
