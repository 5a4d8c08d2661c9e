"""D3's jobs and executions, in the order of its document."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from taskyard.domain.actors import Actor
from taskyard.domain.executions import Execution, Status, Trigger
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Kind
from taskyard.store import executions as stored
from taskyard.store import tables
from tests.faces.conftest import Person, World
from tests.faces.supabase import outside_token

pytestmark = pytest.mark.anyio

JOB = {"name": "Daily Backup", "schedule": "0 2 * * *", "type": 1}
FULL = {
    "id",
    "account_id",
    "name",
    "schedule",
    "type",
    "timezone",
    "enabled",
    "last_run_at",
    "next_run_at",
    "created_at",
    "updated_at",
}


async def make_job(person: Person, **change: Any) -> dict[str, Any]:
    answer = await person.http.post("/api/jobs", json={"account_id": person.account, **JOB, **change})
    assert answer.status_code == 201, answer.text
    return answer.json()


def at(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


async def test_create_a_job(each_world: World) -> None:
    alice = await each_world.user()
    job = await make_job(alice)
    assert job.keys() == FULL
    assert (job["account_id"], job["timezone"], job["enabled"], job["type"]) == (alice.account, "UTC", True, 1)
    assert job["last_run_at"] is None
    assert at(job["next_run_at"]).strftime("%H:%M:%S.%f") == "02:00:00.000000"
    assert "." not in job["next_run_at"]
    assert timedelta(0) < at(job["next_run_at"]) - datetime.now(UTC) <= timedelta(days=1)
    got = await alice.http.get(f"/api/jobs/{job['id']}")
    assert (got.status_code, got.json()) == (200, job)


@pytest.mark.parametrize("missing", ["account_id", "name", "schedule", "type"])
async def test_what_a_job_needs(world: World, missing: str) -> None:
    alice = await world.user()
    body = {"account_id": alice.account, **JOB}
    del body[missing]
    answer = await alice.http.post("/api/jobs", json=body)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "VALIDATION_ERROR"
    assert answer.json()["status_code"] == 400
    assert missing in answer.json()["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {"account_id": "no-uuid"},
        {"account_id": None},
        {"name": ""},
        {"name": "n" * 256},
        {"name": "a\0b"},
        {"name": 5},
        {"name": "   "},
        {"type": True},
        {"type": "1"},
        {"type": 1.5},
        {"type": None},
        {"type": 2**63},
        {"type": -(2**63) - 1},
        {"timezone": "Mars/Phobos"},
        {"timezone": "../../etc/passwd"},
        {"timezone": None},
        {"enabled": "yes"},
        {"enabled": None},
        {"schedule": None},
        {"schedule": "0 2 * * *\0"},
    ],
)
async def test_what_a_job_may_not_be(world: World, change: dict[str, Any]) -> None:
    alice = await world.user()
    answer = await alice.http.post("/api/jobs", json={"account_id": alice.account, **JOB, **change})
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize("schedule", ["", "* * * *", "* * * * * *", "61 * * * *", "@daily", "0 0 30 2 *", "x" * 255])
async def test_bad_cron_expressions(world: World, schedule: str) -> None:
    alice = await world.user()
    answer = await alice.http.post("/api/jobs", json={"account_id": alice.account, **JOB, "schedule": schedule})
    assert answer.status_code == 400
    expected = "INVALID_CRON_EXPRESSION" if schedule else "VALIDATION_ERROR"
    assert answer.json()["error_code"] == expected


@pytest.mark.parametrize(
    "schedule", ["0 */6 * * *", "0 0 * * 0", "*/15 * * * *", "0 0 1 * *", "0 9 * jan mon-fri", "0 0 * * 7"]
)
async def test_good_cron_expressions(world: World, schedule: str) -> None:
    assert (await make_job(await world.user(), schedule=schedule))["schedule"] == schedule


@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1])
async def test_types_are_of_64_bits(world: World, number: int) -> None:
    assert (await make_job(await world.user(), type=number))["type"] == number
    schemas = (await world.client().get("/openapi.json")).json()["components"]["schemas"]
    documented = schemas["SchedulerJobCreate"]["properties"]["type"]
    assert (documented["minimum"], documented["exclusiveMaximum"]) == (-(2**63), 2**63)


async def test_longest_name_and_unknown_fields(world: World) -> None:
    job = await make_job(await world.user(), name="n" * 255, type=-(2**62), colour="red", id="mine")
    assert len(job["name"]) == 255
    assert job["id"] != "mine"


async def test_a_disabled_job_has_no_next_run(world: World) -> None:
    alice = await world.user()
    job = await make_job(alice, enabled=False)
    assert job["next_run_at"] is None
    enabled = await alice.http.patch(f"/api/jobs/{job['id']}/enable")
    assert enabled.status_code == 200
    assert (enabled.json()["id"], enabled.json()["enabled"]) == (job["id"], True)
    assert enabled.json()["next_run_at"] is not None
    assert at(enabled.json()["updated_at"]) >= at(job["updated_at"])
    disabled = await alice.http.patch(f"/api/jobs/{job['id']}/disable")
    assert (disabled.json()["enabled"], disabled.json()["next_run_at"]) == (False, None)


async def test_lists_are_pages_of_one_account(each_world: World) -> None:
    alice, bob = await each_world.user(), await each_world.user()
    made = [await make_job(alice, name=f"Job {number}", enabled=number % 2 == 0) for number in range(5)]
    await make_job(bob)
    answer = await alice.http.get("/api/jobs", params={"account_id": alice.account})
    page = answer.json()
    assert (page["total"], page["skip"], page["limit"]) == (5, 0, 100)
    assert [item["id"] for item in page["items"]] == [job["id"] for job in reversed(made)]
    part = await alice.http.get("/api/jobs", params={"account_id": alice.account, "skip": 1, "limit": 2})
    assert (part.json()["total"], part.json()["skip"], part.json()["limit"]) == (5, 1, 2)
    assert part.json()["items"] == page["items"][1:3]
    for enabled, count in (("true", 3), ("false", 2)):
        some = await alice.http.get("/api/jobs", params={"account_id": alice.account, "enabled": enabled})
        assert some.json()["total"] == count


@pytest.mark.parametrize(
    "query",
    [
        "",
        "account_id=x",
        "skip=-1",
        "limit=0",
        "limit=1001",
        "limit=x",
        "enabled=perhaps",
        f"skip={2**63}",
        "limit=1e3",
    ],
)
async def test_lists_that_are_asked_for_badly(world: World, query: str) -> None:
    alice = await world.user()
    account = f"account_id={alice.account}&" if query and "account" not in query else ""
    answer = await alice.http.get(f"/api/jobs?{account}{query}")
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "VALIDATION_ERROR"


async def test_the_largest_page_and_a_far_one(each_world: World) -> None:
    alice = await each_world.user()
    answer = await alice.http.get(f"/api/jobs?account_id={alice.account}&limit=1000&skip={2**63 - 1}")
    assert (answer.status_code, answer.json()["items"]) == (200, [])


async def test_update_moves_the_next_run(each_world: World) -> None:
    alice = await each_world.user()
    job = await make_job(alice, schedule="0 3 * * *")
    path = f"/api/jobs/{job['id']}"
    change = {"name": "Updated Job Name", "type": 2, "timezone": "America/New_York"}
    answer = await alice.http.put(path, json=change)
    assert answer.status_code == 200
    body = answer.json()
    assert body.items() >= change.items()
    assert at(body["next_run_at"]).hour in (7, 8)
    assert (await alice.http.put(path, json={})).json() == body | {
        "updated_at": (await alice.http.get(path)).json()["updated_at"]
    }
    off = await alice.http.put(path, json={"enabled": False})
    assert off.json()["next_run_at"] is None


@pytest.mark.parametrize("field", ["name", "schedule", "type", "timezone", "enabled"])
async def test_update_with_null_is_no_value(world: World, field: str) -> None:
    alice = await world.user()
    job = await make_job(alice)
    answer = await alice.http.put(f"/api/jobs/{job['id']}", json={field: None})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_ERROR")
    bad = await alice.http.put(f"/api/jobs/{job['id']}", json={"schedule": "nonsense"})
    assert (bad.status_code, bad.json()["error_code"]) == (400, "INVALID_CRON_EXPRESSION")
    assert (await alice.http.get(f"/api/jobs/{job['id']}")).json() == job


async def test_delete_is_for_good(world: World) -> None:
    alice = await world.user()
    path = f"/api/jobs/{(await make_job(alice))['id']}"
    gone = await alice.http.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (await alice.http.get(path), await alice.http.delete(path)):
        assert answer.status_code == 404
        assert answer.json() == {"detail": "Job not found", "error_code": "JOB_NOT_FOUND", "status_code": 404}


EVERY_JOB_ROUTE = [
    ("GET", ""),
    ("PUT", ""),
    ("DELETE", ""),
    ("PATCH", "/enable"),
    ("PATCH", "/disable"),
    ("GET", "/executions"),
    ("POST", "/run"),
    ("GET", "/next"),
]


@pytest.mark.parametrize(("method", "rest"), EVERY_JOB_ROUTE)
async def test_whose_job_it_is(world: World, method: str, rest: str) -> None:
    alice, bob = await world.user(), await world.user()
    job = await make_job(alice)
    foreign = await bob.http.request(method, f"/api/jobs/{job['id']}{rest}", json={})
    assert (foreign.status_code, foreign.json()["error_code"]) == (403, "FORBIDDEN")
    assert job["name"] not in foreign.text
    unknown = await bob.http.request(method, f"/api/jobs/{uuid4()}{rest}", json={})
    assert (unknown.status_code, unknown.json()["error_code"]) == (404, "JOB_NOT_FOUND")
    malformed = await bob.http.request(method, f"/api/jobs/no-uuid{rest}", json={})
    assert (malformed.status_code, malformed.json()["error_code"]) == (400, "VALIDATION_ERROR")
    stranger = await world.client().request(method, f"/api/jobs/{job['id']}{rest}", json={})
    assert (stranger.status_code, stranger.json()["error_code"]) == (401, "UNAUTHORIZED")
    assert (await alice.http.get(f"/api/jobs/{job['id']}")).json() == job


async def test_another_account_is_forbidden(world: World) -> None:
    alice, bob = await world.user(), await world.user()
    body = {"account_id": alice.account, **JOB}
    for account in (alice.account, str(uuid4())):
        refused = await bob.http.post("/api/jobs", json=body | {"account_id": account})
        assert (refused.status_code, refused.json()["error_code"]) == (403, "FORBIDDEN")
        assert (await bob.http.get("/api/jobs", params={"account_id": account})).status_code == 403


async def test_an_outside_user_names_a_new_account_theirs(each_world: World) -> None:
    world, account = each_world, str(uuid4())
    carol = world.client({"Authorization": f"Bearer {outside_token()}"})
    mallory = world.client({"Authorization": f"Bearer {outside_token()}"})
    made = await carol.post("/api/jobs", json={"account_id": account, **JOB})
    assert (made.status_code, made.json()["account_id"]) == (201, account)
    assert (await carol.get("/api/jobs", params={"account_id": account})).json()["total"] == 1
    assert (await mallory.get("/api/jobs", params={"account_id": account})).status_code == 403
    assert (await mallory.get(f"/api/jobs/{made.json()['id']}")).status_code == 403
    fresh = str(uuid4())
    assert (await mallory.get("/api/jobs", params={"account_id": fresh})).json()["total"] == 0
    assert (await carol.get("/api/jobs", params={"account_id": fresh})).status_code == 403


async def test_next_runs_with_their_clocks(world: World) -> None:
    alice = await world.user()
    job = await make_job(alice, timezone="Europe/Berlin", enabled=False)
    answer = await alice.http.get(f"/api/jobs/{job['id']}/next")
    body = answer.json()
    assert (body["job_id"], body["timezone"], len(body["items"])) == (job["id"], "Europe/Berlin", 5)
    first = body["items"][0]
    assert first.keys() == {"run_at", "local", "dst"}
    assert datetime.fromisoformat(first["local"]) == at(first["run_at"])
    assert len((await alice.http.get(f"/api/jobs/{job['id']}/next?count=100")).json()["items"]) == 100
    for count in ("0", "101", "x"):
        assert (await alice.http.get(f"/api/jobs/{job['id']}/next?count={count}")).status_code == 400


async def test_run_now_shows_among_the_executions(each_world: World) -> None:
    alice = await each_world.user()
    job = await make_job(alice, enabled=False)
    run = await alice.http.post(f"/api/jobs/{job['id']}/run")
    assert run.status_code == 202
    assert (run.json()["status"], run.json()["attempt"], run.json()["started_at"]) == ("queued", 1, None)
    page = (await alice.http.get(f"/api/jobs/{job['id']}/executions")).json()
    assert (page["items"], page["total"], page["skip"], page["limit"]) == ([run.json()], 1, 0, 100)
    assert (await alice.http.get(f"/api/jobs/{job['id']}")).json()["last_run_at"] is not None


async def add_execution(world: World, actor: Actor, job_id: UUID, status: Status, **facts: Any) -> None:
    ident = new_id()
    async with world.yard.database.write() as tx:
        execution = Execution(
            id=ident,
            tenant_id=actor.tenant_id,
            run_id=ident,
            kind=Kind.HTTP,
            trigger=Trigger.SCHEDULE,
            status=status,
            created_at=tx.now,
            available_at=tx.now,
            job_id=job_id,
        )
        await stored.add(tx, [execution])
        # How it went is what a worker writes later.
        if facts:
            await tx.connection.execute(update(tables.executions).where(tables.executions.c.id == ident).values(facts))


async def test_executions_as_documented(world: World) -> None:
    alice = await world.user()
    job = await make_job(alice)
    begun = datetime(2024, 1, 1, 2, tzinfo=UTC)
    ran = {"worker_id": new_id(), "started_at": begun, "finished_at": begun + timedelta(seconds=5), "duration_ms": 5000}
    job_id = UUID(job["id"])
    await add_execution(world, alice.actor, job_id, Status.SUCCESS, response_code=200, **ran)
    await add_execution(world, alice.actor, job_id, Status.FAILURE, error="Connection timeout", attempt=2, **ran)
    await add_execution(world, alice.actor, job_id, Status.SKIPPED, reason="the earlier run is not over")
    path = f"/api/jobs/{job['id']}/executions"
    skipped, failed, won = (await alice.http.get(path)).json()["items"]
    shared = {
        "id",
        "job_id",
        "status",
        "started_at",
        "finished_at",
        "worker_id",
        "duration_ms",
        "attempt",
        "created_at",
    }
    assert won.keys() == shared | {"response_code"}
    assert failed.keys() == shared | {"error"}
    assert (won["started_at"], won["finished_at"]) == ("2024-01-01T02:00:00Z", "2024-01-01T02:00:05Z")
    assert (won["duration_ms"], won["response_code"], won["attempt"]) == (5000, 200, 1)
    assert (failed["error"], failed["attempt"]) == ("Connection timeout", 2)
    assert (skipped["status"], skipped["error"]) == ("skipped", "the earlier run is not over")
    for status in Status:
        found = await alice.http.get(path, params={"status": status.value})
        assert found.status_code == 200
        assert {item["status"] for item in found.json()["items"]} <= {status.value}
    assert (await alice.http.get(path, params={"status": "failure"})).json()["total"] == 1
    assert (await alice.http.get(path, params={"status": "nonsense"})).status_code == 400
    assert (await alice.http.get(path, params={"limit": 1, "skip": 1})).json()["items"] == [failed]
