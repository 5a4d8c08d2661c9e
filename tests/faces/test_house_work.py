"""Executions, dead letters and queues in the house's own API."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from taskyard.domain.runs import Outcome, Verdict
from tests.faces.conftest import Person, World
from tests.faces.house_work import (
    COMMAND_JOB,
    REFUSED,
    SUCCESS,
    begin,
    dead_letter,
    finish,
    made_job,
    queued,
    running,
)

pytestmark = pytest.mark.anyio

NOBODY = "00000000-0000-7000-8000-000000000000"


async def shown(person: Person, execution_id: object) -> dict[str, object]:
    answer = await person.http.get(f"/api/v1/executions/{execution_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_execution_from_queue_to_end(each_world: World) -> None:
    person = await each_world.user()
    job = await made_job(person, queue="high", priority=3)
    ident = await queued(person, job["id"])
    waiting = await shown(person, ident)
    assert {name: waiting[name] for name in ("status", "queue", "priority", "attempt", "result", "held", "dead")} == {
        "status": "queued",
        "queue": "high",
        "priority": 3,
        "attempt": 1,
        "result": {},
        "held": False,
        "dead": False,
    }
    assert waiting["requested_by"] == str(person.actor.user_id)
    execution = await begin(each_world, ident)
    assert (await shown(person, ident))["worker_id"] == str(execution.worker_id)
    await finish(each_world, execution)
    over = await shown(person, ident)
    assert (over["status"], over["response_code"], over["result"]) == ("success", 200, dict(SUCCESS.result))
    assert over["duration_ms"] is not None
    assert [attempt["id"] for attempt in over["attempts"]] == [ident]  # type: ignore[attr-defined]


async def test_the_attempts_of_a_run_are_told_in_order(world: World) -> None:
    person = await world.user()
    first = await running(world, person, (await made_job(person, retry={"retry_on": ["400"]}))["id"])
    await finish(world, first, REFUSED)
    over = await shown(person, first.id)
    attempts = over["attempts"]
    assert isinstance(attempts, list)
    assert [(each["attempt"], each["status"]) for each in attempts] == [(1, "failure"), (2, "queued")]
    assert attempts[0]["error"] == "HTTP 400"
    page = (await person.http.get("/api/v1/executions", params={"run_id": str(first.id)})).json()
    assert [each["attempt"] for each in page["items"]] == [2, 1]


async def test_pages_and_filters(world: World) -> None:
    person = await world.user()
    job, other = await made_job(person), await made_job(person)
    ids = [await queued(person, job["id"]) for _ in range(3)]
    await queued(person, other["id"])
    await begin(world, ids[0])
    page = (await person.http.get("/api/v1/executions", params={"job_id": job["id"], "limit": 2})).json()
    assert [each["id"] for each in page["items"]] == [ids[2], ids[1]]
    assert (page["total"], page["limit"], page["offset"]) == (3, 2, 0)
    found = (await person.http.get("/api/v1/executions", params={"status": "running"})).json()
    assert [each["id"] for each in found["items"]] == [ids[0]]
    for bad in ({"status": "asleep"}, {"job_id": "5"}, {"limit": 101}):
        assert (await person.http.get("/api/v1/executions", params=bad)).status_code == 422, bad


async def test_cancelling(world: World) -> None:
    person = await world.user()
    ident = await queued(person)
    answer = await person.http.post(f"/api/v1/executions/{ident}/cancel", json={"reason": "not today"})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["reason"]) == ("cancelled", "not today")
    again = await person.http.post(f"/api/v1/executions/{ident}/cancel")
    assert (again.status_code, again.json()["error_code"]) == (409, "EXECUTION_OVER")
    execution = await running(world, person)
    asked = (await person.http.post(f"/api/v1/executions/{execution.id}/cancel")).json()
    assert asked["status"] == "running"
    assert asked["cancel_requested_at"]
    for bad in ({"reason": 5}, {"reason": "a\0"}, {"reason": "x" * 501}):
        assert (await person.http.post(f"/api/v1/executions/{execution.id}/cancel", json=bad)).status_code == 422
    await finish(world, execution, Outcome(Verdict.CANCELLED))
    assert (await shown(person, execution.id))["status"] == "cancelled"


async def test_running_again(world: World) -> None:
    person = await world.user()
    execution = await running(world, person)
    active = await person.http.post(f"/api/v1/executions/{execution.id}/retry")
    assert (active.status_code, active.json()["error_code"]) == (409, "EXECUTION_ACTIVE")
    await finish(world, execution)
    answer = await person.http.post(f"/api/v1/executions/{execution.id}/retry")
    assert answer.status_code == 201
    again = answer.json()
    assert (again["status"], again["trigger"], again["replay_of"]) == ("queued", "replay", str(execution.id))
    assert again["run_id"] != str(execution.run_id)


async def test_moving_what_waits(world: World) -> None:
    person = await world.user()
    ident = await queued(person)
    path = f"/api/v1/executions/{ident}/priority"
    moved = (await person.http.post(path, json={"queue": "high", "priority": 9})).json()
    assert (moved["queue"], moved["priority"]) == ("high", 9)
    assert (await person.http.post(path, json={"priority": -9})).json()["queue"] == "high"
    assert ((await shown(person, ident))["queue"], (await shown(person, ident))["priority"]) == ("high", -9)
    for bad in ({"priority": 51}, {"priority": True}, {"queue": "express"}):
        assert (await person.http.post(path, json=bad)).status_code == 422, bad
    await begin(world, ident)
    late = await person.http.post(path, json={"queue": "low"})
    assert (late.status_code, late.json()["error_code"]) == (409, "EXECUTION_NOT_WAITING")


async def test_dead_letters_one_by_one(each_world: World) -> None:
    person = await each_world.user()
    job = await made_job(person)
    first, second = await dead_letter(each_world, person, job["id"]), await dead_letter(each_world, person)
    page = (await person.http.get("/api/v1/dead-letters")).json()
    assert [(each["id"], each["error"], each["dead"]) for each in page["items"]] == [
        (second, "HTTP 400", True),
        (first, "HTTP 400", True),
    ]
    assert (await person.http.get("/api/v1/dead-letters", params={"job_id": job["id"]})).json()["total"] == 1
    answer = await person.http.post(f"/api/v1/dead-letters/{first}/replay")
    assert (answer.status_code, answer.json()["replay_of"]) == (201, first)
    assert (await person.http.post(f"/api/v1/dead-letters/{first}/replay")).status_code == 404
    assert (await person.http.delete(f"/api/v1/dead-letters/{second}")).status_code == 204
    assert (await person.http.delete(f"/api/v1/dead-letters/{second}")).status_code == 404
    assert (await person.http.get("/api/v1/dead-letters")).json()["total"] == 0
    assert (await shown(person, second))["status"] == "dead_letter"


async def test_many_dead_letters_at_once(world: World) -> None:
    person = await world.user()
    job, other = await made_job(person), await made_job(person)
    dead = [await dead_letter(world, person, job["id"]) for _ in range(3)] + [
        await dead_letter(world, person, other["id"])
    ]
    path = "/api/v1/dead-letters/replay"
    # One id that is none spoils the whole, and nothing is replayed.
    assert (await person.http.post(path, json={"ids": [dead[0], NOBODY]})).status_code == 404
    named = (await person.http.post(path, json={"ids": [dead[0], dead[0]]})).json()
    assert (named["replayed"], len(named["executions"])) == (1, 1)
    assert (await shown(person, named["executions"][0]))["replay_of"] == dead[0]
    of_job = (await person.http.post(path, json={"job_id": job["id"]})).json()
    assert (of_job["replayed"], of_job["remaining"]) == (2, 0)
    assert (await person.http.post(path, json={"job_id": job["id"]})).json()["replayed"] == 0
    assert (await person.http.post(path, json={"job_id": NOBODY})).status_code == 404
    assert (await person.http.post(path, json={"all": True})).json()["replayed"] == 1
    for bad in ({}, {"all": False}, {"all": 1}, {"ids": []}, {"ids": [NOBODY] * 1001}, {"all": True, "ids": [dead[0]]}):
        assert (await person.http.post(path, json=bad)).status_code == 422, bad


async def test_a_commands_dead_letter_needs_the_permission_execute(world: World) -> None:
    owner = await world.operator()
    job = (await owner.http.post("/api/v1/jobs", json=COMMAND_JOB)).json()
    ident = await dead_letter(world, owner, job["id"])
    async with world.yard.database.write() as tx:
        await tx.connection.exec_driver_sql("UPDATE tenants SET commands_allowed = 0")
    refused = await owner.http.post(f"/api/v1/dead-letters/{ident}/replay")
    assert (refused.status_code, refused.json()["error_code"]) == (403, "FORBIDDEN")
    assert (await owner.http.post(f"/api/v1/executions/{ident}/retry")).status_code == 403
    assert (await owner.http.post(f"/api/v1/jobs/{job['id']}/run")).status_code == 403


async def test_queues(each_world: World) -> None:
    owner = await each_world.operator()
    await queued(owner, (await made_job(owner, queue="low"))["id"])
    page = (await owner.http.get("/api/v1/queues")).json()
    assert [queue["name"] for queue in page["items"]] == ["high", "normal", "low", "deliveries"]
    assert [queue["waiting"] for queue in page["items"]] == [0, 0, 1, 0]
    assert (await owner.http.get("/api/v1/queues", params={"limit": 1, "offset": 2})).json()["items"] == [
        (await owner.http.get("/api/v1/queues/low")).json() | {"oldest_seconds": pytest.approx(0, abs=60)}  # type: ignore[dict-item]
    ]
    paused = (await owner.http.post("/api/v1/queues/low/pause", json={"reason": "lunch"})).json()
    assert (paused["paused"], paused["paused_reason"]) == (True, "lunch")
    assert datetime.fromisoformat(paused["paused_at"]) <= datetime.now(UTC)
    resumed = (await owner.http.post("/api/v1/queues/low/resume")).json()
    assert (resumed["paused"], resumed["paused_at"], resumed["paused_reason"]) == (False, None, None)
    assert (await owner.http.get("/api/v1/queues/express")).json()["error_code"] == "QUEUE_NOT_FOUND"


async def test_clearing_has_to_be_said_twice(world: World) -> None:
    owner = await world.operator()
    neighbour = await world.user()
    ident = await queued(owner)
    theirs = await queued(neighbour)
    for bad in ({}, {"confirm": False}, {"confirm": 1}, {"confirm": "true"}):
        assert (await owner.http.post("/api/v1/queues/normal/clear", json=bad)).status_code == 422, bad
    assert (await owner.http.post("/api/v1/queues/normal/clear")).status_code == 422
    assert (await owner.http.post("/api/v1/queues/normal/clear", json={"confirm": True})).json() == {"cleared": 1}
    assert (await shown(owner, ident))["status"] == "cancelled"
    assert (await shown(neighbour, theirs))["status"] == "queued"


async def test_only_the_operator_pauses(world: World) -> None:
    await world.operator()
    tenant = await world.user()
    for verb in ("pause", "resume"):
        assert (await tenant.http.post(f"/api/v1/queues/normal/{verb}")).status_code == 403
        assert (await tenant.http.post(f"/api/v1/queues/express/{verb}")).status_code == 404
    assert UUID(tenant.account)
