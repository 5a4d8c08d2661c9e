"""D3's jobs and webhooks over real HTTP: every endpoint, field, status and parameter, for every kind of caller."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.e2e.yard import JOB, SHARED_YARD, Caller, is_uuid, moment, refused

pytestmark = SHARED_YARD

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
URL = "https://api.example.com/webhook"
WEBHOOK = {
    "url": URL,
    "method": "POST",
    "headers": {"Authorization": "Bearer api-key", "Content-Type": "application/json"},
    "query_params": {"param1": "value1"},
    "body_template": '{"action": "backup"}',
}
MINUTE = timedelta(minutes=1)
NEW_YORK = ZoneInfo("America/New_York")


async def test_e01_create_a_job(caller: Caller) -> None:
    """D3-E01, X09, B05."""
    sent = {"account_id": caller.account, **JOB, "timezone": "UTC", "enabled": True}
    answer = await caller.http.post("/api/jobs", json=sent)
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert job.keys() >= FULL
    assert job == job | sent
    assert is_uuid(job["id"])
    assert job["last_run_at"] is None
    assert moment(job["next_run_at"]).strftime("%H:%M:%S") == "02:00:00"
    assert timedelta(0) < moment(job["next_run_at"]) - moment(job["created_at"]) <= timedelta(days=1)
    assert moment(job["updated_at"]) >= moment(job["created_at"])
    short = await caller.job()
    assert (short["timezone"], short["enabled"]) == ("UTC", True)


async def test_e02_get_a_job(caller: Caller) -> None:
    """D3-E02, X08, X02, X14."""
    job = await caller.job()
    answer = await caller.http.get(f"/api/jobs/{job['id']}")
    assert (answer.status_code, answer.json()) == (200, job)
    refused(await caller.http.get(f"/api/jobs/{caller.account}"), 404, "JOB_NOT_FOUND")


async def test_e03_list_jobs(caller: Caller) -> None:
    """D3-E03, Q01 to Q04."""

    async def page(**query: Any) -> dict[str, Any]:
        answer = await caller.http.get("/api/jobs", params={"account_id": caller.account, **query})
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == {"items", "total", "skip", "limit"}
        return answer.json()

    before = {enabled: (await page(enabled=enabled))["total"] for enabled in ("true", "false")}
    backup = await caller.job()
    sync = await caller.job(name="Hourly Sync", schedule="0 * * * *")
    off = await caller.job(name="Off", enabled=False)
    everything = await page()
    assert (everything["skip"], everything["limit"]) == (0, 100)
    assert everything["total"] == sum(before.values()) + 3
    assert everything["items"][:3] == [off, sync, backup]
    part = await page(skip=1, limit=1)
    assert (part["items"], part["skip"], part["limit"], part["total"]) == ([sync], 1, 1, everything["total"])
    assert (await page(limit=1000))["limit"] == 1000
    assert (await page(enabled="true"))["total"] == before["true"] + 2
    switched_off = await page(enabled="false")
    assert (switched_off["total"], switched_off["items"][0]) == (before["false"] + 1, off)
    refused(await caller.http.get("/api/jobs"), 400, "VALIDATION_ERROR")


async def test_e04_update_a_job(caller: Caller) -> None:
    """D3-E04: all fields, one field, and those that are no value."""
    job = await caller.job()
    path = f"/api/jobs/{job['id']}"
    sent = {
        "name": "Updated Job Name",
        "schedule": "0 3 * * *",
        "type": 2,
        "timezone": "America/New_York",
        "enabled": False,
    }
    answer = await caller.http.put(path, json=sent)
    assert answer.status_code == 200
    assert answer.json() == answer.json() | {**sent, "id": job["id"], "account_id": caller.account}
    assert moment(answer.json()["updated_at"]) > moment(job["updated_at"])
    assert answer.json()["next_run_at"] is None
    one = (await caller.http.put(path, json={"enabled": True})).json()
    assert one == one | {**sent, "enabled": True}
    at = moment(one["next_run_at"]).astimezone(NEW_YORK)
    assert (at.hour, at.minute) == (3, 0)
    assert one["created_at"] == job["created_at"]
    refused(await caller.http.put(path, json={"schedule": "every day"}), 400, "INVALID_CRON_EXPRESSION")
    refused(await caller.http.put(path, json={"name": None}), 400, "VALIDATION_ERROR")
    assert (await caller.http.get(path)).json() == one
    refused(await caller.http.put(f"/api/jobs/{caller.account}", json={}), 404, "JOB_NOT_FOUND")


async def test_e05_delete_a_job(caller: Caller) -> None:
    """D3-E05, X10: gone with all that belongs to it."""
    job = await caller.job()
    webhook = await caller.webhook(job["id"], URL)
    path = f"/api/jobs/{job['id']}"
    answer = await caller.http.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    for gone in (
        await caller.http.get(path),
        await caller.http.put(path, json={"enabled": True}),
        await caller.http.delete(path),
        await caller.http.patch(f"{path}/enable"),
        await caller.http.get(f"{path}/executions"),
        await caller.http.post(f"{path}/run"),
        await caller.http.get(f"{path}/next"),
        await caller.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK}),
    ):
        assert refused(gone, 404, "JOB_NOT_FOUND") == "Job not found"
    refused(await caller.http.get(f"/webhooks/{webhook['id']}"), 404, "WEBHOOK_NOT_FOUND")
    listed = await caller.http.get("/api/jobs", params={"account_id": caller.account, "limit": 1000})
    assert job["id"] not in {item["id"] for item in listed.json()["items"]}


async def test_e06_e07_enable_and_disable_a_job(caller: Caller) -> None:
    """D3-E06, E07: the switch moves the next run; to turn it twice changes nothing."""
    job = await caller.job(schedule="*/5 * * * *")
    path = f"/api/jobs/{job['id']}"
    off = await caller.http.patch(f"{path}/disable")
    assert off.status_code == 200
    assert off.json() == off.json() | {"id": job["id"], "enabled": False, "next_run_at": None}
    assert moment(off.json()["updated_at"]) > moment(job["updated_at"])
    on = await caller.http.patch(f"{path}/enable")
    assert on.status_code == 200
    assert on.json() == on.json() | {"id": job["id"], "enabled": True}
    assert moment(on.json()["next_run_at"]) >= moment(job["next_run_at"])
    assert moment(on.json()["updated_at"]) > moment(off.json()["updated_at"])
    again = await caller.http.patch(f"{path}/enable")
    assert (again.status_code, again.json()["next_run_at"]) == (200, on.json()["next_run_at"])
    refused(await caller.http.patch(f"/api/jobs/{caller.account}/disable"), 404, "JOB_NOT_FOUND")


async def test_e08_a_job_that_never_ran_has_no_executions(caller: Caller) -> None:
    """D3-E08, Q05 to Q07; those that ran are in `test_scheduler_runs`."""
    path = f"/api/jobs/{(await caller.job())['id']}/executions"
    assert (await caller.http.get(path)).json() == {"items": [], "total": 0, "skip": 0, "limit": 100}
    for status in ("queued", "running", "success", "failure", "timed_out", "dead_letter"):
        answer = await caller.http.get(path, params={"status": status, "skip": 3, "limit": 1000})
        assert answer.json() == {"items": [], "total": 0, "skip": 3, "limit": 1000}
    for query in ({"status": "done"}, {"limit": 1001}, {"limit": 0}, {"skip": -1}):
        refused(await caller.http.get(path, params=query), 400, "VALIDATION_ERROR")


async def test_e09_e10_create_and_get_a_webhook(caller: Caller) -> None:
    """D3-E09, E10, X03."""
    job = await caller.job()
    answer = await caller.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK})
    assert answer.status_code == 201
    webhook = answer.json()
    assert webhook == webhook | {"job_id": job["id"], **WEBHOOK}
    assert is_uuid(webhook["id"])
    assert moment(webhook["updated_at"]) >= moment(webhook["created_at"])
    got = await caller.http.get(f"/webhooks/{webhook['id']}")
    assert (got.status_code, got.json()) == (200, webhook)
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        bare = await caller.webhook(job["id"], URL, method=method)
        assert bare["method"] == method
        assert [bare[name] for name in ("headers", "query_params", "body_template")] == [None, None, None]
    refused(await caller.http.get(f"/webhooks/{job['id']}"), 404, "WEBHOOK_NOT_FOUND")


async def test_e11_update_a_webhook(caller: Caller) -> None:
    """D3-E11."""
    job = await caller.job()
    webhook = (await caller.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK})).json()
    path = f"/webhooks/{webhook['id']}"
    sent = {
        "url": "https://api.example.com/new-webhook",
        "method": "PUT",
        "headers": {"Authorization": "Bearer new-api-key"},
        "body_template": '{"action": "update"}',
    }
    answer = await caller.http.put(path, json=sent)
    assert answer.status_code == 200
    assert answer.json() == answer.json() | {**sent, "id": webhook["id"], "job_id": job["id"]}
    assert answer.json()["query_params"] == WEBHOOK["query_params"]
    assert moment(answer.json()["updated_at"]) > moment(webhook["updated_at"])
    other = await caller.http.put(path, json={"query_params": {"param2": "value2"}})
    assert other.json() == other.json() | {**sent, "query_params": {"param2": "value2"}}
    refused(await caller.http.put(path, json={"method": "TRACE"}), 400, "VALIDATION_ERROR")
    refused(await caller.http.put(f"/webhooks/{job['id']}", json=sent), 404, "WEBHOOK_NOT_FOUND")


async def test_e12_delete_a_webhook(caller: Caller) -> None:
    """D3-E12."""
    job = await caller.job()
    webhook = await caller.webhook(job["id"], URL)
    path = f"/webhooks/{webhook['id']}"
    answer = await caller.http.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    for gone in (await caller.http.get(path), await caller.http.put(path, json={}), await caller.http.delete(path)):
        assert refused(gone, 404, "WEBHOOK_NOT_FOUND") == "Webhook not found"


WRONG_JOBS: list[dict[str, Any]] = [
    {"account_id": "no-uuid"},
    {"account_id": None},
    {"name": ""},
    {"name": "n" * 256},
    {"schedule": None},
    {"type": "1"},
    {"timezone": "Mars/Phobos"},
    {"enabled": "perhaps"},
]
WRONG_WEBHOOKS: list[dict[str, Any]] = [
    {"job_id": "no-uuid"},
    {"url": "https://example.com/" + "x" * 481},
    {"url": "ftp://example.com/"},
    {"method": "OPTIONS"},
    {"headers": ["a"]},
    {"query_params": "a=b"},
    {"body_template": {"a": 1}},
]


async def test_x06_what_is_not_valid(owner: Caller) -> None:
    """D3-X06, X11: 400 and a sentence that names the field; the limits themselves are still allowed."""
    for change in WRONG_JOBS:
        answer = await owner.http.post("/api/jobs", json={"account_id": owner.account, **JOB, **change})
        assert next(iter(change)) in refused(answer, 400, "VALIDATION_ERROR")
    for field in ("account_id", "name", "schedule", "type"):
        whole = {"account_id": owner.account, **JOB}
        del whole[field]
        assert field in refused(await owner.http.post("/api/jobs", json=whole), 400, "VALIDATION_ERROR")
    job = await owner.job(name="n" * 255)
    for change in WRONG_WEBHOOKS:
        answer = await owner.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK, **change})
        assert next(iter(change)) in refused(answer, 400, "VALIDATION_ERROR")
    for field in ("job_id", "url", "method"):
        whole = {"job_id": job["id"], **WEBHOOK}
        del whole[field]
        assert field in refused(await owner.http.post("/webhooks", json=whole), 400, "VALIDATION_ERROR")
    await owner.webhook(job["id"], "https://example.com/" + "x" * 480)
    for path in ("/api/jobs/7", "/api/jobs/7/executions", "/webhooks/7"):
        refused(await owner.http.get(path), 400, "VALIDATION_ERROR")
    for query in ({"limit": 1001}, {"limit": "many"}, {"skip": -1}, {"enabled": "perhaps"}, {"account_id": "x"}):
        answer = await owner.http.get("/api/jobs", params={"account_id": owner.account, **query})
        assert next(iter(query)) in refused(answer, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "schedule",
    [
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "daily",
        "0 0 31 2 *",
    ],
)
async def test_x01_bad_cron_expressions(owner: Caller, schedule: str) -> None:
    """D3-X01, B01."""
    answer = await owner.http.post("/api/jobs", json={"account_id": owner.account, **JOB, "schedule": schedule})
    refused(answer, 400, "INVALID_CRON_EXPRESSION")


def _midnight(at: datetime) -> bool:
    return (at.hour, at.minute) == (0, 0)


@pytest.mark.parametrize(
    ("schedule", "matches"),
    [
        ("0 2 * * *", lambda at: (at.hour, at.minute) == (2, 0)),
        ("0 */6 * * *", lambda at: at.hour % 6 == 0 and at.minute == 0),
        ("*/15 * * * *", lambda at: at.minute % 15 == 0),
        ("0 0 * * 0", lambda at: _midnight(at) and at.isoweekday() == 7),
        ("0 0 * * 7", lambda at: _midnight(at) and at.isoweekday() == 7),
        ("0 0 * * sat", lambda at: _midnight(at) and at.isoweekday() == 6),
        ("0 0 1 * *", lambda at: _midnight(at) and at.day == 1),
        ("30 4 1,15 * 5", lambda at: (at.hour, at.minute) == (4, 30) and (at.day in (1, 15) or at.isoweekday() == 5)),
        ("5-10/5 1 * * 1-3", lambda at: at.hour == 1 and at.minute in (5, 10) and at.isoweekday() <= 3),
    ],
)
async def test_b01_to_b05_cron_expressions(owner: Caller, schedule: str, matches: Callable[[datetime], bool]) -> None:
    """D3-B01 to B05, against a search through all minutes."""

    def after(at: datetime) -> Iterator[datetime]:
        at = at.replace(second=0, microsecond=0)
        while True:
            at += MINUTE
            if matches(at):
                yield at

    job = await owner.job(schedule=schedule)
    assert moment(job["next_run_at"]) == next(after(moment(job["created_at"])))
    answer = await owner.http.get(f"/api/jobs/{job['id']}/next", params={"count": 3})
    first, *others = [moment(item["run_at"]) for item in answer.json()["items"]]
    assert matches(first)
    assert others == list(islice(after(first), 2))


async def test_the_next_run_is_on_the_clock_of_the_zone(owner: Caller) -> None:
    """RULINGS §5 D3: `next_run_at` honours the zone, through its changes of clock."""
    job = await owner.job(schedule="30 12 * * *", timezone="America/New_York")
    coming = (await owner.http.get(f"/api/jobs/{job['id']}/next", params={"count": 100})).json()
    assert coming["timezone"] == "America/New_York"
    assert coming["items"][0]["run_at"] == job["next_run_at"]
    for item in coming["items"]:
        local = moment(item["run_at"]).astimezone(NEW_YORK)
        assert (local.hour, local.minute) == (12, 30)
        assert datetime.fromisoformat(item["local"]) == local
    moved = await owner.http.put(f"/api/jobs/{job['id']}", json={"timezone": "Asia/Kolkata"})
    assert moment(moved.json()["next_run_at"]).strftime("%H:%M") == "07:00"


def _offset(at: datetime, fold: int) -> timedelta:
    offset = at.replace(fold=fold).utcoffset()
    assert offset is not None
    return offset


def _day_of_change(hour: int, change: timedelta) -> datetime:
    """The next day on which New York's clocks change by `change`, at half past `hour`, which is touched by it."""
    today = datetime.now(NEW_YORK).replace(hour=hour, minute=30, second=0, microsecond=0)
    days = (today + timedelta(days=ahead) for ahead in range(1, 400))
    return next(at for at in days if _offset(at, 1) - _offset(at, 0) == change)


async def test_the_hour_that_is_skipped_and_the_hour_that_comes_twice(owner: Caller) -> None:
    """RULINGS §5 D3: as Debian's cron does, right after the gap, and once of two."""
    gap = _day_of_change(2, timedelta(hours=1))
    twice = _day_of_change(1, timedelta(hours=-1))
    for day, expected, mark in (
        (gap, gap.replace(hour=3, minute=0), "gap"),
        (twice, twice.replace(fold=0), "repeated"),
    ):
        schedule = f"{day.minute} {day.hour} {day.day} {day.month} *"
        job = await owner.job(schedule=schedule, timezone="America/New_York")
        coming = await owner.http.get(f"/api/jobs/{job['id']}/next", params={"count": 3})
        that_day = [item for item in coming.json()["items"] if item["local"].startswith(day.date().isoformat())]
        assert [(moment(item["run_at"]), item["dst"]) for item in that_day] == [(expected.astimezone(UTC), mark)]
