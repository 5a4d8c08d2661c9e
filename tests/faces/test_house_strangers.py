"""Every route of `/api/v1` against somebody else's ids, and against members who may only read.

The routes come from the face itself, so that a new one is tested or fails here.
"""

import json
from typing import Any

import pytest
from fastapi.routing import APIRoute

from taskyard.domain.actors import Role
from taskyard.faces import assistant
from taskyard.faces.assistant import house
from tests.faces.conftest import MakeWorld, Person, World
from tests.faces.house_work import begin, colleague, dead_letter, finish, made_job, queued, running

pytestmark = pytest.mark.anyio

Operation = tuple[str, str]

BODIES: dict[Operation, Any] = {
    ("POST", "/api/v1/jobs"): {"name": "x"},
    ("POST", "/api/v1/jobs/{job_id}/calls"): {"url": "https://example.com"},
    ("POST", "/api/v1/dead-letters/replay"): {"all": True},
    ("POST", "/api/v1/queues/{name}/clear"): {"confirm": True},
    ("POST", "/api/v1/webhooks"): {"url": "https://example.com", "event_types": ["*"]},
    ("POST", "/api/v1/executions/{execution_id}/priority"): {"queue": "low"},
    ("POST", "/api/v1/keys"): {"name": "x"},
}
NOBODYS = {"name"}
"""Parameters that name no tenant's things."""
NEEDS_AN_ENDED_ONE = ("/retry", "/redeliver")
HOUSE = tuple(router.prefix for router in house.routers)
WRITING = ("POST", "PUT", "PATCH", "DELETE")


async def operations(make_world: MakeWorld) -> tuple[World, list[Operation]]:
    """A yard, and every documented operation of the assistant face."""
    world = await make_world()
    spec = assistant.build(world.yard).openapi()
    found = [(method.upper(), path) for path, methods in spec["paths"].items() for method in methods]
    return world, found


async def things_of(world: World, owner: Person) -> dict[str, str]:
    """One of everything that has an id, by the name of the parameter."""
    webhook = {"url": "https://example.com", "event_types": ["webhook.test"], "secret": "alice's secret"}
    job = await made_job(owner)
    hook = (await owner.http.post("/api/v1/webhooks", json=webhook)).json()
    key = (await owner.http.post("/api/v1/keys", json={"name": "k"})).json()
    return {
        "job_id": job["id"],
        "call_id": job["calls"][0]["id"],
        "execution_id": await queued(owner, job["id"]),
        "ended": await dead_letter(world, owner),
        "webhook_id": hook["id"],
        "delivery": (await owner.http.post(f"/api/v1/webhooks/{hook['id']}/test")).json()["id"],
        "key_id": key["id"],
        "name": "low",
    }


def url_of(operation: Operation, things: dict[str, str]) -> str:
    path = operation[1]
    wanted = dict(things)
    if "/dead-letters/" in path or path.endswith(NEEDS_AN_ENDED_ONE):
        wanted["execution_id"] = things["ended"]
    return path.format(**wanted)


def parameters(operation: Operation) -> set[str]:
    return {part[1:-1] for part in operation[1].split("/") if part.startswith("{")}


async def send(person: Person, operation: Operation, things: dict[str, str]) -> Any:
    body = BODIES.get(operation, {}) if operation[0] in ("POST", "PUT", "PATCH") else None
    return await person.http.request(operation[0], url_of(operation, things), json=body)


async def test_every_house_route_is_documented(make_world: MakeWorld) -> None:
    _, known = await operations(make_world)
    for router in house.routers:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            assert {(method, route.path) for method in route.methods or ()} <= set(known)


async def test_somebody_elses_ids_are_not_found_on_any_route(make_world: MakeWorld) -> None:
    world, known = await operations(make_world)
    alice, bob = await world.user(), await world.user()
    things = await things_of(world, alice)
    own = await things_of(world, bob)
    before = await everything(alice)
    asked = [each for each in known if parameters(each) - NOBODYS]
    assert len(asked) >= 30
    for operation in asked:
        answer = await send(bob, operation, things)
        assert answer.status_code == 404, (operation, answer.text)
        assert answer.json().keys() == {"detail", "error_code", "timestamp"}
        assert "alice" not in answer.text
        # A foreign id behind one's own is foreign all the same.
        for name in parameters(operation) - NOBODYS if len(parameters(operation)) > 1 else ():
            mixed = await send(bob, operation, own | {name: things[name]})
            assert mixed.status_code == 404, (operation, name)
    assert await everything(alice) == before


async def everything(person: Person) -> str:
    """All that the person can list."""
    nouns = ("jobs", "executions", "dead-letters", "webhooks", "keys", "events")
    pages = {noun: (await person.http.get(f"/api/v1/{noun}", params={"limit": 100})).json() for noun in nouns}
    for key in pages["keys"]["items"]:
        del key["last_used_at"]
    return json.dumps(pages, sort_keys=True)


async def test_the_same_requests_succeed_for_their_owner(make_world: MakeWorld) -> None:
    """Else the test above would prove nothing."""
    world, known = await operations(make_world)
    alice = await world.operator()
    for operation in known:
        if not operation[1].startswith(HOUSE) or operation[1] == "/api/v1/events/stream":
            continue
        things = await things_of(world, alice)
        if operation[1].endswith("/redeliver"):
            await finish(world, await begin(world, things["delivery"]))
        answer = await send(alice, operation, things)
        assert 200 <= answer.status_code < 300, (operation, answer.text)


async def test_lists_show_nothing_of_others(world: World) -> None:
    alice, bob = await world.user(), await world.user()
    things = await things_of(world, alice)
    for noun in ("jobs", "executions", "dead-letters", "webhooks", "keys"):
        assert (await bob.http.get(f"/api/v1/{noun}")).json()["items"] == [], noun
    assert (await bob.http.get("/api/v1/events")).json()["items"] == []
    for noun, name in (("executions", "job_id"), ("dead-letters", "job_id"), ("events", "job_id")):
        assert (await bob.http.get(f"/api/v1/{noun}", params={name: things[name]})).json()["items"] == []
    of_run = {"run_id": things["execution_id"]}
    assert (await bob.http.get("/api/v1/executions", params=of_run)).json()["items"] == []
    for body in ({"ids": [things["ended"]]}, {"job_id": things["job_id"]}):
        assert (await bob.http.post("/api/v1/dead-letters/replay", json=body)).status_code == 404
    assert (await bob.http.post("/api/v1/dead-letters/replay", json={"all": True})).json()["replayed"] == 0


async def test_viewers_change_nothing(make_world: MakeWorld) -> None:
    world, known = await operations(make_world)
    alice = await world.operator()
    viewer = await colleague(world, alice, Role.VIEWER)
    things = await things_of(world, alice)
    delivered = await begin(world, things["delivery"])
    await finish(world, delivered)
    before = await everything(alice)
    writing = [each for each in known if each[0] in WRITING and each[1].startswith(HOUSE)]
    assert len(writing) > 20
    for operation in writing:
        answer = await send(viewer, operation, things)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "FORBIDDEN"), (operation, answer.text)
    assert await everything(alice) == before


async def test_strangers_are_told_so_first(make_world: MakeWorld) -> None:
    world, known = await operations(make_world)
    alice = await world.user()
    execution = await running(world, alice)
    things = await things_of(world, alice) | {"execution_id": str(execution.id)}
    stranger = world.client()
    for operation in known:
        if operation[1].startswith(HOUSE):
            answer = await stranger.request(operation[0], url_of(operation, things), content=b"{")
            assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHORIZED"), operation
