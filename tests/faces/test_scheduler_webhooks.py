"""D3's webhooks, health and metrics."""

from typing import Any
from uuid import uuid4

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from taskyard.domain.actors import Role
from tests.faces.conftest import MakeWorld, World
from tests.faces.house_work import colleague
from tests.faces.test_scheduler_jobs import make_job

pytestmark = pytest.mark.anyio

WEBHOOK = {
    "url": "https://api.example.com/webhook",
    "method": "POST",
    "headers": {"Authorization": "Bearer api-key", "Content-Type": "application/json"},
    "query_params": {"param1": "value1"},
    "body_template": '{"action": "backup"}',
}
SHORT = {"url": WEBHOOK["url"], "method": "POST"}


async def test_create_get_update_delete_as_documented(each_world: World) -> None:
    alice = await each_world.user()
    job = await make_job(alice)
    made = await alice.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK})
    assert made.status_code == 201
    webhook = made.json()
    assert webhook.items() >= {"job_id": job["id"], **WEBHOOK}.items()
    assert webhook.keys() == {"id", "job_id", "created_at", "updated_at", *WEBHOOK}
    path = f"/webhooks/{webhook['id']}"
    assert (await alice.http.get(path)).json() == webhook
    change = {
        "url": "https://api.example.com/new-webhook",
        "method": "PUT",
        "headers": {"A": "b"},
        "body_template": "x",
    }
    changed = await alice.http.put(path, json=change)
    assert changed.status_code == 200
    assert changed.json().items() >= change.items()
    assert changed.json()["query_params"] == WEBHOOK["query_params"]
    gone = await alice.http.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    missing = await alice.http.get(path)
    assert missing.json() == {"detail": "Webhook not found", "error_code": "WEBHOOK_NOT_FOUND", "status_code": 404}


async def test_unset_is_null_and_null_clears(world: World) -> None:
    alice = await world.user()
    job = await make_job(alice)
    bare = (await alice.http.post("/webhooks", json={"job_id": job["id"], **SHORT})).json()
    nothing = {"headers": None, "query_params": None, "body_template": None}
    assert bare.items() >= nothing.items()
    nulls = await alice.http.post("/webhooks", json={"job_id": job["id"], **SHORT, **nothing})
    assert nulls.json().items() >= nothing.items()
    full = (await alice.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK})).json()
    cleared = await alice.http.put(f"/webhooks/{full['id']}", json=nothing)
    assert cleared.json().items() >= nothing.items()
    for field in ("url", "method"):
        refused = await alice.http.put(f"/webhooks/{full['id']}", json={field: None})
        assert (refused.status_code, refused.json()["error_code"]) == (400, "VALIDATION_ERROR")


async def test_methods_in_any_case_and_query_values_of_any_plain_kind(world: World) -> None:
    alice = await world.user()
    job = await make_job(alice)
    query = {"n": 5, "x": 1.5, "yes": True, "no": False, "text": "t"}
    body = {"job_id": job["id"], **SHORT, "method": "pAtCh", "query_params": query}
    made = (await alice.http.post("/webhooks", json=body)).json()
    assert made["method"] == "PATCH"
    assert made["query_params"] == {"n": "5", "x": "1.5", "yes": "true", "no": "false", "text": "t"}


@pytest.mark.parametrize(
    "change",
    [
        {"job_id": "no-uuid"},
        {"url": "ftp://example.com"},
        {"url": "no url"},
        {"url": ""},
        {"url": "https://example.com/" + "x" * 481},
        {"url": None},
        {"method": "OPTIONS"},
        {"method": ""},
        {"method": 5},
        {"headers": []},
        {"headers": {"A": 1}},
        {"headers": {"A": None}},
        {"url": "http://%31/"},
        {"headers": {f"X-{number}": "x" for number in range(101)}},
        {"headers": {"X" * 257: "x"}},
        {"query_params": {"a": "x" * 8192}},
        {"headers": {"A b": "c"}},
        {"headers": {"A": "b\r\nC: d"}},
        {"headers": {"A": "b\0"}},
        {"query_params": {"a": None}},
        {"query_params": {"a": ["b"]}},
        {"query_params": {"a\0": "b"}},
        {"query_params": "a=b"},
        {"body_template": {"a": 1}},
        {"body_template": "a\0b"},
    ],
)
async def test_what_a_webhook_may_not_be(world: World, change: dict[str, Any]) -> None:
    alice = await world.user()
    job = await make_job(alice)
    answer = await alice.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK, **change})
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize("field", ["headers", "query_params"])
async def test_a_large_mistake_has_a_small_answer(world: World, field: str) -> None:
    alice = await world.user()
    job = await make_job(alice)
    many = {str(number): [] for number in range(20_000)}
    answer = await alice.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK, field: many})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_ERROR")
    assert len(answer.content) < 500


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
async def test_numbers_that_are_none(world: World, number: str) -> None:
    alice = await world.user()
    job = await make_job(alice)
    made = (await alice.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK})).json()
    content = '{"url": "https://example.com", "method": "POST", "job_id": "%s", "query_params": {"a": %s}}'
    headers = {"Content-Type": "application/json"}
    for method, path in (("POST", "/webhooks"), ("PUT", f"/webhooks/{made['id']}")):
        answer = await alice.http.request(method, path, content=content % (job["id"], number), headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_ERROR")
        assert answer.json()["detail"] == f"body: malformed JSON: {number} is no number here"
    assert (await alice.http.get(f"/webhooks/{made['id']}")).json() == made


async def test_the_longest_url(world: World) -> None:
    alice = await world.user()
    job = await make_job(alice)
    url = "https://example.com/" + "x" * 480
    assert (await alice.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK, "url": url})).status_code == 201


async def test_whose_webhook_it_is(world: World) -> None:
    alice, bob = await world.user(), await world.user()
    job = await make_job(alice)
    webhook = (await alice.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK})).json()
    for method in ("GET", "PUT", "DELETE"):
        foreign = await bob.http.request(method, f"/webhooks/{webhook['id']}", json={})
        assert (foreign.status_code, foreign.json()["error_code"]) == (403, "FORBIDDEN")
        unknown = await bob.http.request(method, f"/webhooks/{uuid4()}", json={})
        assert (unknown.status_code, unknown.json()["error_code"]) == (404, "WEBHOOK_NOT_FOUND")
        malformed = await bob.http.request(method, "/webhooks/7", json={})
        assert (malformed.status_code, malformed.json()["error_code"]) == (400, "VALIDATION_ERROR")
    theirs = await bob.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK})
    assert (theirs.status_code, theirs.json()["error_code"]) == (403, "FORBIDDEN")
    nobodys = await bob.http.post("/webhooks", json={"job_id": str(uuid4()), **WEBHOOK})
    assert (nobodys.status_code, nobodys.json()["error_code"]) == (404, "JOB_NOT_FOUND")
    assert (await alice.http.get(f"/webhooks/{webhook['id']}")).json() == webhook


async def test_viewers_see_masks(world: World) -> None:
    owner = await world.operator()
    viewer = await colleague(world, owner, Role.VIEWER)
    job = await make_job(owner)
    url = "https://me:secret@example.com/a?key=secret"
    made = (await owner.http.post("/webhooks", json={"job_id": job["id"], **WEBHOOK, "url": url})).json()
    assert made["url"] == url
    masks = {
        "url": "https://example.com/a",
        "headers": {"Authorization": "***", "Content-Type": "***"},
        "query_params": {"param1": "***"},
        "body_template": "***",
    }
    assert (await viewer.http.get(f"/webhooks/{made['id']}")).json() == {**made, **masks}
    assert (await owner.http.get(f"/webhooks/{made['id']}")).json() == made
    bare = (await owner.http.post("/webhooks", json={"job_id": job["id"], **SHORT})).json()
    assert (await viewer.http.get(f"/webhooks/{bare['id']}")).json() == bare


async def test_health_of_the_face(world: World) -> None:
    http = world.client()
    assert (await http.get("/faces/scheduler/health")).json() == {"status": "healthy", "service": "scheduler"}
    # No clock runs in this test.
    stopped = await http.get("/health/detailed")
    assert stopped.status_code == 503
    assert stopped.json() == {
        "status": "unhealthy",
        "service": "scheduler",
        "database": "connected",
        "redis": "disabled",
        "scheduler_service": "stopped",
    }


async def test_redis_is_asked_when_there_is_one(make_world: MakeWorld) -> None:
    async def well() -> bool:
        return True

    world = await make_world(redis_ping=well)
    assert (await world.client().get("/health/detailed")).json()["redis"] == "connected"


async def test_metrics_as_documented(each_world: World) -> None:
    alice, bob = await each_world.user(), await each_world.user()
    job = await make_job(alice)
    await make_job(alice, enabled=False)
    await make_job(bob)
    await alice.http.post(f"/api/jobs/{job['id']}/run")
    answer = await alice.http.get("/metrics")
    body = answer.json()
    assert body.keys() == {"timestamp", "jobs", "executions"}
    assert body["timestamp"].endswith("Z")
    assert body["jobs"] == {"total": 2, "enabled": 1, "disabled": 1}
    numbers = body["executions"]
    assert (numbers["total"], numbers["queued"], numbers["running"], numbers["success"]) == (1, 1, 0, 0)
    assert {"failure", "dead_letter"} < numbers.keys()
    assert isinstance(numbers["success_rate"], float)
    assert isinstance(numbers["avg_duration_ms"], float)
    assert (await each_world.client().get("/metrics")).status_code == 401
    assert (await bob.http.get("/metrics", params={"account_id": alice.account})).status_code == 403


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/plain", "text/plain"),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            "application/openmetrics-text",
        ),
        ("Text/Plain", "text/plain"),
        ("APPLICATION/OpenMetrics-Text; Version=1.0.0", "application/openmetrics-text"),
        ("application/openmetrics-text; version=1.0.0; q=0, text/plain", "text/plain"),
        ("application/json;q=0.0, text/plain", "text/plain"),
        ("text/plain;q=0", "application/json"),
        ("text/plainer", "application/json"),
        ("Application/JSON, text/plain", "application/json"),
        ("*/*", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/html", "application/json"),
    ],
)
async def test_metrics_for_prometheus(world: World, accept: str, kind: str) -> None:
    owner = await world.operator()
    await make_job(owner)
    answer = await owner.http.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(kind)
    if kind == "application/json":
        return
    parse = openmetrics if "openmetrics" in kind else prometheus
    families = {family.name: family for family in parse(answer.text)}
    enabled = {sample.labels["enabled"]: sample.value for sample in families["taskyard_jobs"].samples}
    assert enabled == {"true": 1.0, "false": 0.0}
    assert {"taskyard_executions", "taskyard_queue_depth", "taskyard_clock_lateness_seconds"} <= families.keys()


async def test_what_is_the_whole_yards_is_for_its_operator(world: World) -> None:
    alice = await world.user()
    answer = await alice.http.get("/metrics", headers={"Accept": "text/plain"})
    names = {family.name for family in prometheus(answer.text)}
    assert names == {"taskyard_jobs", "taskyard_executions", "taskyard_execution_duration_average_seconds"}
