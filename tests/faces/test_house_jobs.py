"""Jobs and their calls in the house's own API."""

import json
from typing import Any

import pytest

from taskyard.domain.actors import Role
from tests.faces.conftest import Person, World
from tests.faces.house_work import COMMAND_JOB, colleague, made_job, queued

pytestmark = pytest.mark.anyio

NOBODY = "00000000-0000-7000-8000-000000000000"


async def problem(person: Person, body: Any, path: str = "/api/v1/jobs", method: str = "POST") -> list[Any]:
    """The places of what is wrong."""
    content = json.dumps(body)
    answer = await person.http.request(method, path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, f"{content[:200]}: {answer.status_code} {answer.text}"
    assert answer.json()["error_code"] in ("VALIDATION_ERROR", "INVALID_CRON_EXPRESSION")
    return [issue["loc"] for issue in answer.json()["detail"]]


async def test_a_job_has_everything_and_keeps_it(each_world: World) -> None:
    person = await each_world.user()
    asked: dict[str, Any] = {
        "name": "nightly",
        "type": 7,
        "schedule": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "enabled": True,
        "queue": "high",
        "priority": 5,
        "retry": {"attempts": 5, "base_seconds": 1.5, "retry_on": ["5xx", "429"]},
        "timeout_seconds": 12.5,
        "overlap": "queue",
        "catch_up": "all",
        "catch_up_window_seconds": 600,
        "rerun_on_crash": False,
        "calls": [
            {"url": "https://example.com/a", "method": "get", "query_params": {"n": 1, "on": True}},
            {"url": "https://example.com/b", "headers": {"X-Key": "secret"}, "body_template": "{{ job.name }}"},
        ],
    }
    made = await made_job(person, **asked)
    expected_retry = (
        {"factor": 2.0, "max_seconds": 3600.0, "jitter": 0.1} | asked["retry"] | {"retry_on": ["429", "5xx"]}
    )
    for name, value in (asked | {"retry": expected_retry}).items():
        if name != "calls":
            assert made[name] == value, name
    assert [call["method"] for call in made["calls"]] == ["GET", "POST"]
    assert made["calls"][0]["query_params"] == {"n": "1", "on": "true"}
    assert made["calls"][1]["headers"] == {"X-Key": "secret"}
    assert made["next_run_at"].endswith("Z")
    assert made["tenant_id"] == person.account
    assert (await person.http.get(f"/api/v1/jobs/{made['id']}")).json() == made
    assert (await person.http.get("/api/v1/jobs")).json()["items"] == [made]


async def test_the_defaults_are_the_houses(world: World) -> None:
    person = await world.user()
    answer = await person.http.post("/api/v1/jobs", json={"name": "bare"})
    made = answer.json()
    shown = {name: made[name] for name in ("kind", "type", "schedule", "timezone", "enabled", "queue", "priority")}
    assert shown == {
        "kind": "http",
        "type": 0,
        "schedule": None,
        "timezone": "UTC",
        "enabled": True,
        "queue": "normal",
        "priority": 0,
    }
    nothing = ("command", "retry", "timeout_seconds", "rerun_on_crash", "next_run_at", "last_run_at")
    assert [made[name] for name in nothing] == [None] * len(nothing)
    assert made["calls"] == []


async def test_pages_and_filters(each_world: World) -> None:
    person = await each_world.user()
    for number in range(5):
        await made_job(person, name=f"job {number}", enabled=number != 3)
    page = (await person.http.get("/api/v1/jobs", params={"limit": 2, "offset": 1})).json()
    assert [job["name"] for job in page["items"]] == ["job 3", "job 2"]
    assert (page["total"], page["limit"], page["offset"]) == (5, 2, 1)
    off = (await person.http.get("/api/v1/jobs", params={"enabled": False})).json()
    assert [job["name"] for job in off["items"]] == ["job 3"]
    found = (await person.http.get("/api/v1/jobs", params={"search": "B 4"})).json()
    assert [job["name"] for job in found["items"]] == ["job 4"]
    for bad in ({"limit": 101}, {"limit": 0}, {"offset": -1}, {"search": "a\0"}, {"enabled": "maybe"}):
        assert (await person.http.get("/api/v1/jobs", params=bad)).status_code == 422, bad


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_only_what_is_sent_changes(world: World, method: str) -> None:
    person = await world.user()
    made = await made_job(person, schedule="0 * * * *", retry={"attempts": 5, "jitter": 0}, timeout_seconds=9)
    path = f"/api/v1/jobs/{made['id']}"
    changed = (await person.http.request(method, path, json={"retry": {"attempts": 2}, "priority": -1})).json()
    expected = made | {"retry": made["retry"] | {"attempts": 2}, "priority": -1, "updated_at": changed["updated_at"]}
    assert changed == expected
    cleared = {"retry": None, "timeout_seconds": None, "schedule": None}
    changed = (await person.http.request(method, path, json=cleared)).json()
    assert {name: changed[name] for name in (*cleared, "next_run_at")} == {**cleared, "next_run_at": None}
    assert await problem(person, {"name": None}, path, method) == [["body", "name"]]
    # What a reader sends back as it came changes nothing.
    assert (await person.http.request(method, path, json=changed)).status_code == 200


async def test_switching(world: World) -> None:
    person = await world.user()
    path = f"/api/v1/jobs/{(await made_job(person, schedule='0 * * * *'))['id']}"
    off = (await person.http.post(f"{path}/disable")).json()
    assert (off["enabled"], off["next_run_at"]) == (False, None)
    on = (await person.http.post(f"{path}/enable")).json()
    assert on["enabled"]
    assert on["next_run_at"]


async def test_running_by_hand_and_deleting(world: World) -> None:
    person = await world.user()
    job = await made_job(person, enabled=False)
    answer = await person.http.post(f"/api/v1/jobs/{job['id']}/run")
    assert answer.status_code == 202
    run = answer.json()
    assert (run["job_id"], run["status"], run["trigger"]) == (job["id"], "queued", "manual")
    gone = await person.http.delete(f"/api/v1/jobs/{job['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await person.http.get(f"/api/v1/jobs/{job['id']}")).json()["error_code"] == "JOB_NOT_FOUND"
    stopped = (await person.http.get(f"/api/v1/executions/{run['id']}")).json()
    assert (stopped["status"], stopped["reason"]) == ("cancelled", "the job was deleted")


async def test_next_runs_tell_what_the_clocks_do(world: World) -> None:
    person = await world.user()
    job = await made_job(person, schedule="30 2 * * *", timezone="Europe/Berlin", enabled=False)
    answer = (await person.http.get(f"/api/v1/jobs/{job['id']}/next", params={"count": 100})).json()
    assert (answer["job_id"], answer["timezone"], len(answer["items"])) == (job["id"], "Europe/Berlin", 100)
    assert [item["at"] for item in answer["items"]] == sorted({item["at"] for item in answer["items"]})
    assert all(item["local"][10:16] == "T02:30" for item in answer["items"] if item["dst"] is None)
    assert (await person.http.get(f"/api/v1/jobs/{job['id']}/next", params={"count": 101})).status_code == 422
    by_hand = await made_job(person)
    assert (await person.http.get(f"/api/v1/jobs/{by_hand['id']}/next")).json()["items"] == []


WRONG: list[tuple[Any, list[Any] | None]] = [
    ({}, [["body", "name"]]),
    ({"name": ""}, [["body", "name"]]),
    ({"name": " "}, [["body", "name"]]),
    ({"name": "a\0b"}, [["body", "name"]]),
    ({"name": "\ud800"}, [["body", "name"]]),
    ({"name": "x" * 256}, [["body", "name"]]),
    ({"name": 5}, [["body", "name"]]),
    ({"name": "x", "type": True}, [["body", "type"]]),
    ({"name": "x", "type": 2**63}, [["body", "type"]]),
    ({"name": "x", "enabled": "yes"}, [["body", "enabled"]]),
    ({"name": "x", "enabled": 1}, [["body", "enabled"]]),
    ({"name": "x", "priority": 51}, [["body", "priority"]]),
    ({"name": "x", "priority": 1.0}, [["body", "priority"]]),
    ({"name": "x", "queue": "deliveries"}, [["body", "queue"]]),
    ({"name": "x", "kind": "delivery"}, [["body", "kind"]]),
    ({"name": "x", "schedule": "61 * * * *"}, [["body", "schedule"]]),
    ({"name": "x", "schedule": "* * * *"}, [["body", "schedule"]]),
    ({"name": "x", "timezone": "Mars/Olympus"}, [["body", "timezone"]]),
    ({"name": "x", "timezone": "../../etc/passwd"}, [["body", "timezone"]]),
    ({"name": "x", "timeout_seconds": 0}, [["body", "timeout_seconds"]]),
    ({"name": "x", "timeout_seconds": 3601}, [["body", "timeout_seconds"]]),
    ({"name": "x", "timeout_seconds": True}, [["body", "timeout_seconds"]]),
    ({"name": "x", "retry": {"attempts": 0}}, [["body", "retry", "attempts"]]),
    ({"name": "x", "retry": {"attempts": True}}, [["body", "retry", "attempts"]]),
    ({"name": "x", "retry": {"factor": 0.5}}, [["body", "retry", "factor"]]),
    ({"name": "x", "retry": {"retry_on": ["sometimes"]}}, [["body", "retry", "retry_on"]]),
    ({"name": "x", "overlap": "pile up"}, [["body", "overlap"]]),
    ({"name": "x", "catch_up_window_seconds": -1}, [["body", "catch_up_window_seconds"]]),
    ({"name": "x", "calls": [{"url": "ftp://a"}]}, [["body", "calls", 0, "url"]]),
    ({"name": "x", "calls": [{"url": "https://a/" + "x" * 500}]}, [["body", "calls", 0, "url"]]),
    ({"name": "x", "calls": [{"url": "https://a", "method": "TRACE"}]}, [["body", "calls", 0, "method"]]),
    ({"name": "x", "calls": [{"url": "https://a"}] * 51}, [["body", "calls"]]),
    (
        {"name": "x", "calls": [{"url": "https://a", "headers": {"X": "a\r\nY: b"}}]},
        [["body", "calls", 0, "headers", "X"]],
    ),
    (
        {"name": "x", "calls": [{"url": "https://a", "body_template": "{{ job"}]},
        [["body", "calls", 0, "body_template"]],
    ),
    ({"name": "x", "calls": [{"url": "https://a", "headers": {"X Y": "a"}}]}, None),
    ({"name": "x", "calls": [{"url": "http://%31/"}]}, [["body", "calls", 0, "url"]]),
    ({"name": "x", "calls": [{"url": "https://a", "headers": {"X" * 257: "a"}}]}, None),
    ({"name": "x", "calls": [{"url": "https://a", "query_params": {"a": "x" * 8192}}]}, None),
    ({"name": "x", "command": "echo"}, [["body", "command"]]),
    ([], [["body"]]),
]


async def test_what_is_wrong_is_named(world: World) -> None:
    person = await world.user()
    for body, places in WRONG:
        found = await problem(person, body)
        assert places is None or found == places
    assert (await person.http.get("/api/v1/jobs")).json()["total"] == 0


async def test_a_large_mistake_has_a_small_answer(world: World) -> None:
    owner = await world.operator()
    many = {str(number): [] for number in range(20_000)}
    call = {"url": "https://example.com", "headers": many, "query_params": many}
    body = {"name": "x", "command": {"line": "env", "environment": many}, "calls": [call]}
    answer = await owner.http.post("/api/v1/jobs", json=body)
    assert answer.status_code == 422
    places = [issue["loc"] for issue in answer.json()["detail"]]
    assert places == [
        ["body", "command", "environment"],
        ["body", "calls", 0, "headers"],
        ["body", "calls", 0, "query_params"],
    ]
    assert len(answer.content) < 1000


async def test_numbers_that_are_none(world: World) -> None:
    person = await world.user()
    for number in ("NaN", "Infinity", "1e999"):
        content = f'{{"name": "x", "timeout_seconds": {number}}}'
        answer = await person.http.post("/api/v1/jobs", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422, number
        assert answer.json()["detail"][0]["msg"] == f"malformed JSON: {number} is no number here"


async def test_command_jobs(world: World) -> None:
    owner = await world.operator()
    made = (await owner.http.post("/api/v1/jobs", json=COMMAND_JOB)).json()
    assert made["command"] == {"line": "echo hello", "working_directory": None, "environment": {}}
    path = f"/api/v1/jobs/{made['id']}"
    whole = {"line": "env", "working_directory": "/tmp", "environment": {"KEY": "secret"}}
    assert (await owner.http.patch(path, json={"command": whole})).json()["command"] == whole
    assert (await owner.http.patch(path, json={"command": "ls"})).json()["command"] == whole | {"line": "ls"}
    retried = (await owner.http.patch(path, json={"retry": {"attempts": 2}})).json()["retry"]
    assert (retried["attempts"], retried["retry_on"]) == (2, ["exit_code", "timeout"])
    for wrong in ("", {"line": " "}, {"line": "a", "environment": {"A=B": "c"}}, {"environment": {}}, None, 5):
        await problem(owner, {**COMMAND_JOB, "command": wrong})
    assert await problem(owner, {**COMMAND_JOB, "calls": [{"url": "https://a"}]}) == [["body", "calls"]]
    refused = await owner.http.post(f"{path}/calls", json={"url": "https://example.com"})
    assert refused.status_code == 409


async def test_command_jobs_need_the_permission_execute(world: World) -> None:
    owner = await world.operator()
    stranger = await world.user()
    refused = await stranger.http.post("/api/v1/jobs", json=COMMAND_JOB)
    assert refused.status_code == 403
    assert "allow-commands" in refused.json()["detail"]
    job = await made_job(stranger)
    change = {"kind": "command", "command": "id"}
    assert (await stranger.http.patch(f"/api/v1/jobs/{job['id']}", json=change)).status_code == 403
    viewer = await colleague(world, owner, Role.VIEWER)
    assert (await viewer.http.post("/api/v1/jobs", json=COMMAND_JOB)).status_code == 403


async def test_calls(world: World) -> None:
    person = await world.user()
    job = await made_job(person)
    path = f"/api/v1/jobs/{job['id']}/calls"
    answer = await person.http.post(path, json={"url": "https://example.com/2", "method": "PUT", "headers": {"A": "b"}})
    assert answer.status_code == 201
    second = answer.json()
    page = (await person.http.get(path, params={"limit": 1, "offset": 1})).json()
    assert page == {"items": [second], "total": 2, "limit": 1, "offset": 1}
    changed = (await person.http.put(f"{path}/{second['id']}", json={"method": "delete", "headers": None})).json()
    assert changed == second | {"method": "DELETE", "headers": None, "updated_at": changed["updated_at"]}
    assert (await person.http.get(f"{path}/{second['id']}")).json() == changed
    assert await problem(person, {"url": None}, f"{path}/{second['id']}", "PUT") == [["body", "url"]]
    assert (await person.http.delete(f"{path}/{second['id']}")).status_code == 204
    assert (await person.http.delete(f"{path}/{second['id']}")).status_code == 404


async def test_a_call_is_found_at_its_own_job_only(world: World) -> None:
    person = await world.user()
    job, other = await made_job(person), await made_job(person)
    call = job["calls"][0]["id"]
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        body = None if method in ("GET", "DELETE") else {"method": "GET"}
        answer = await person.http.request(method, f"/api/v1/jobs/{other['id']}/calls/{call}", json=body)
        assert answer.status_code == 404, method
    assert len((await person.http.get(f"/api/v1/jobs/{job['id']}")).json()["calls"]) == 1


async def test_viewers_see_masks_and_change_nothing(world: World) -> None:
    owner = await world.operator()
    command = {"line": "env", "environment": {"KEY": "secret"}}
    await made_job(owner, name="c", kind="command", command=command, calls=[])
    call = {
        "url": "https://me:secret@example.com/a?key=secret",
        "headers": {"X-Key": "secret"},
        "query_params": {"key": "secret"},
        "body_template": "secret",
    }
    job = await made_job(owner, calls=[call])
    await queued(owner, job["id"])
    viewer = await colleague(world, owner, Role.VIEWER)
    path = f"/api/v1/jobs/{job['id']}"
    for seen in ("/api/v1/jobs", path, f"{path}/calls", f"{path}/calls/{job['calls'][0]['id']}"):
        shown = await viewer.http.get(seen)
        assert shown.status_code == 200
        assert "***" in shown.text
        assert "secret" not in shown.text
        assert "secret" in (await owner.http.get(seen)).text
    masked = (await viewer.http.get(f"{path}/calls")).json()["items"][0]
    assert (masked["url"], masked["body_template"]) == ("https://example.com/a", "***")
    assert (masked["headers"], masked["query_params"]) == ({"X-Key": "***"}, {"key": "***"})


async def test_ids_that_are_none(world: World) -> None:
    person = await world.user()
    assert (await person.http.get("/api/v1/jobs/5")).json()["detail"][0]["loc"] == ["path", "job_id"]
    assert (await person.http.get(f"/api/v1/jobs/{NOBODY}")).status_code == 404
