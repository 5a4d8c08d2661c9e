"""Webhooks and their deliveries in the house's own API."""

from typing import Any
from uuid import UUID

import pytest

from taskyard.domain.actors import system
from taskyard.services import subscriptions
from tests.faces.conftest import Person, World
from tests.faces.house_work import REFUSED, begin, finish, made_job

pytestmark = pytest.mark.anyio

WANTED: dict[str, Any] = {
    "url": "https://myapp.com/webhooks/taskassistant",
    "event_types": ["agent.completed", "usage.quota_exceeded", "subscription.expiring"],
    "secret": "webhook_secret_key_123",
    "description": "Production webhook",
    "is_active": True,
}


async def made(person: Person, **facts: Any) -> dict[str, Any]:
    answer = await person.http.post("/api/v1/webhooks", json=WANTED | facts)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def secret_of(world: World, person: Person, webhook_id: str) -> str:
    async with world.yard.database.read() as tx:
        found = await subscriptions.get(tx, system(person.actor.tenant_id), UUID(webhook_id))
    return found.secret


async def test_creating_as_documented(each_world: World) -> None:
    person = await each_world.user()
    answer = await person.http.post("/api/v1/webhooks", json=WANTED)
    assert answer.status_code == 201
    webhook = answer.json()
    assert {"id", "url", "event_types", "is_active", "created_at"} <= webhook.keys()
    assert webhook["event_types"] == WANTED["event_types"]
    assert "secret" not in webhook
    assert WANTED["secret"] not in answer.text
    assert await secret_of(each_world, person, webhook["id"]) == WANTED["secret"]
    curl = {"url": "https://myapp.com/webhooks", "event_types": ["agent.completed"], "secret": "my_secret_key"}
    assert (await person.http.post("/api/v1/webhooks", json=curl)).status_code == 201


async def test_a_secret_made_here_is_told_once(world: World) -> None:
    person = await world.user()
    body = {"url": "https://example.com", "event_types": ["*"]}
    webhook = (await person.http.post("/api/v1/webhooks", json=body)).json()
    assert webhook["secret"] == await secret_of(world, person, webhook["id"])
    path = f"/api/v1/webhooks/{webhook['id']}"
    for answer in (await person.http.get(path), await person.http.get("/api/v1/webhooks")):
        assert webhook["secret"] not in answer.text
    fresh = (await person.http.post(f"{path}/rotate-secret")).json()["secret"]
    assert fresh != webhook["secret"]
    assert await secret_of(world, person, webhook["id"]) == fresh
    own = await person.http.post(f"{path}/rotate-secret", json={"secret": "of my own choice"})
    assert "of my own choice" not in own.text
    assert await secret_of(world, person, webhook["id"]) == "of my own choice"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_reading_changing_removing(world: World, method: str) -> None:
    person = await world.user()
    first, second = await made(person), await made(person, url="https://example.com/2")
    page = (await person.http.get("/api/v1/webhooks", params={"limit": 1})).json()
    assert (page["items"], page["total"], page["limit"], page["offset"]) == ([second], 2, 1, 0)
    path = f"/api/v1/webhooks/{first['id']}"
    changes = {"event_types": ["execution.*"], "description": None, "is_active": False, "secret": "another one"}
    changed = (await person.http.request(method, path, json=changes)).json()
    expected = first | changes | {"updated_at": changed["updated_at"]}
    del expected["secret"]
    assert changed == expected
    assert await secret_of(world, person, first["id"]) == "another one"
    assert (await person.http.get(path)).json() == changed
    assert (await person.http.delete(path)).status_code == 204
    assert (await person.http.get(path)).status_code == 404


async def test_what_is_wrong_is_named(world: World) -> None:
    person = await world.user()
    webhook = await made(person)
    wrong: list[tuple[dict[str, Any], list[Any]]] = [
        ({"url": "example.com"}, ["body", "url"]),
        ({"url": "https://a/" + "x" * 2000}, ["body", "url"]),
        ({"url": None}, ["body", "url"]),
        ({"event_types": []}, ["body", "event_types"]),
        ({"event_types": ["no.such"]}, ["body", "event_types", 0]),
        ({"event_types": "agent.completed"}, ["body", "event_types"]),
        ({"secret": "short"}, ["body", "secret"]),
        ({"description": "x" * 2001}, ["body", "description"]),
        ({"is_active": 1}, ["body", "is_active"]),
    ]
    for facts, place in wrong:
        for method, path, body in (
            ("POST", "/api/v1/webhooks", WANTED | facts),
            ("PATCH", f"/api/v1/webhooks/{webhook['id']}", facts),
        ):
            answer = await person.http.request(method, path, json=body)
            assert (answer.status_code, [issue["loc"] for issue in answer.json()["detail"]]) == (422, [place]), facts
    assert (await person.http.get(f"/api/v1/webhooks/{webhook['id']}")).json() == webhook


async def test_deliveries_are_told_and_sent_again(each_world: World) -> None:
    person = await each_world.user()
    webhook = await made(person, event_types=["job.created"])
    await made_job(person)
    path = f"/api/v1/webhooks/{webhook['id']}/deliveries"
    page = (await person.http.get(path)).json()
    assert page["total"] == 1
    first = page["items"][0]
    assert (first["event_type"], first["status"], first["attempt"]) == ("job.created", "queued", 1)
    assert first["next_try_at"] is not None
    created = (await person.http.get("/api/v1/events", params={"type": "job.created"})).json()["items"][0]
    assert first["event_seq"] == created["seq"]
    early = await person.http.post(f"{path}/{first['id']}/redeliver")
    assert early.status_code == 409
    await finish(each_world, await begin(each_world, first["id"]), REFUSED)
    tries = (await person.http.get(path)).json()["items"]
    assert [(each["attempt"], each["status"], each["delivery_id"]) for each in tries] == [
        (2, "queued", first["delivery_id"]),
        (1, "failure", first["delivery_id"]),
    ]
    assert (tries[1]["error"], tries[1]["response_code"], tries[1]["next_try_at"]) == ("HTTP 400", 400, None)
    again = await person.http.post(f"{path}/{first['id']}/redeliver")
    assert (again.status_code, again.json()["delivery_id"]) == (202, first["delivery_id"])
    failed = (await person.http.get(path, params={"status": "failure"})).json()
    assert [each["id"] for each in failed["items"]] == [first["id"]]
    assert (await person.http.get("/api/v1/executions")).json()["total"] == 0
    run_again = await person.http.post(f"/api/v1/executions/{first['id']}/retry")
    assert (run_again.status_code, run_again.json()["error_code"]) == (409, "IS_DELIVERY")


async def test_trying_out(world: World) -> None:
    person = await world.user()
    webhook = await made(person)
    path = f"/api/v1/webhooks/{webhook['id']}"
    answer = await person.http.post(f"{path}/test")
    assert (answer.status_code, answer.json()["event_type"]) == (202, "webhook.test")
    assert (await person.http.get(f"{path}/deliveries")).json()["total"] == 1
    await person.http.patch(path, json={"is_active": False})
    assert (await person.http.post(f"{path}/test")).status_code == 409


async def test_a_delivery_is_found_at_its_own_webhook_only(world: World) -> None:
    person = await world.user()
    webhook, other = await made(person), await made(person)
    delivery = (await person.http.post(f"/api/v1/webhooks/{webhook['id']}/test")).json()
    path = f"deliveries/{delivery['id']}/redeliver"
    assert (await person.http.post(f"/api/v1/webhooks/{other['id']}/{path}")).status_code == 404
    await finish(world, await begin(world, delivery["id"]), REFUSED)
    await person.http.delete(f"/api/v1/webhooks/{webhook['id']}")
    assert (await person.http.post(f"/api/v1/webhooks/{webhook['id']}/{path}")).status_code == 404
