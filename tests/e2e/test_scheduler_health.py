"""D3's health, metrics and documentation pages over real HTTP, and what is said while the database is away."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from tests.adapters.receiver import Receiver, answer
from tests.e2e.yard import JOB, PREFIX, SHARED_YARD, Caller, Yard, calling, moment, open_yard, outside_token, refused
from tests.processes import eventually
from tests.servers import PostgresServer, RedisServer

pytestmark = SHARED_YARD

STATUSES = ("queued", "running", "success", "failure", "timed_out", "dead_letter")


async def test_e13_health(served: Yard) -> None:
    """D3-E13, S15: public, at both places."""
    async with calling(served, "", "") as nobody:
        for path in ("/health", "/health/", f"{PREFIX}/health"):
            answer = await nobody.http.get(path)
            assert answer.status_code == 200
            assert answer.json() == answer.json() | {"status": "healthy", "service": "scheduler"}
        assert answer.json() == {"status": "healthy", "service": "scheduler"}


async def test_e14_detailed_health(served: Yard, request: pytest.FixtureRequest) -> None:
    """D3-E14: with Redis, and without one."""
    expected = {
        "status": "healthy",
        "service": "scheduler",
        "database": "connected",
        "redis": "disabled" if "sqlite" in request.node.name else "connected",
        "scheduler_service": "running",
    }
    async with calling(served, "", "") as nobody:
        for path in ("/health/detailed", "/health/detailed/", f"{PREFIX}/health/detailed"):
            answer = await nobody.http.get(path)
            assert (answer.status_code, answer.json()) == (200, expected)


async def numbers(caller: Caller, **query: str) -> dict[str, Any]:
    """The metrics, whose sums and rates are right."""
    answer = await caller.http.get("/metrics", params=query)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found.keys() >= {"timestamp", "jobs", "executions"}
    assert moment(found["timestamp"])
    jobs, executions = found["jobs"], found["executions"]
    assert jobs["total"] == jobs["enabled"] + jobs["disabled"]
    counts = {name: count for name, count in executions.items() if isinstance(count, int)}
    assert counts.keys() >= {"total", *STATUSES}
    assert counts.pop("total") == sum(counts.values())
    rate = 100 * executions["success"] / executions["total"] if executions["total"] else 0
    assert executions["success_rate"] == pytest.approx(rate, abs=0.051)
    assert isinstance(executions["success_rate"], float)
    assert isinstance(executions["avg_duration_ms"], float)
    return found


async def test_e15_metrics(caller: Caller) -> None:
    """D3-E15, S16."""
    whose = {"account_id": caller.account}
    await caller.job()
    before = await numbers(caller, **whose)
    await caller.job(enabled=False)
    await caller.over(await caller.run())
    after = await numbers(caller, **whose)
    jobs = {name: after["jobs"][name] - before["jobs"][name] for name in ("total", "enabled", "disabled")}
    assert jobs == {"total": 2, "enabled": 1, "disabled": 1}
    assert after["executions"]["dead_letter"] == before["executions"]["dead_letter"] + 1
    assert await numbers(caller)


async def test_e15_success_rate_and_average(owner: Caller, called: Receiver) -> None:
    """D3-E15: a success and a failure, and what `numbers` computes of them."""
    before = (await numbers(owner))["executions"]
    await owner.over(await owner.run(called.url("/")))
    await owner.over(await owner.run(called.on("/gone", answer(404))))
    after = (await numbers(owner))["executions"]
    # The yard's sample job may run in between.
    assert after["success"] > before["success"]
    assert after["dead_letter"] == before["dead_letter"] + 1
    assert after["avg_duration_ms"] > 0


async def test_e15_metrics_for_prometheus(owner: Caller, outsider: Caller) -> None:
    """RULINGS §5 D3: the same numbers as text. What is the whole yard's is for its operator."""
    whose = {"account_id": outsider.account}
    await outsider.job()
    await outsider.over(await outsider.run(enabled=False))
    for kind, parse in (("text/plain", prometheus), ("application/openmetrics-text", openmetrics)):
        page = await outsider.http.get("/metrics", params=whose, headers={"Accept": kind})
        assert page.headers["Content-Type"].startswith(kind)
        families = {family.name: family for family in parse(page.text)}
        jobs = {sample.labels["enabled"]: sample.value for sample in families["taskyard_jobs"].samples}
        assert jobs == {"true": 1, "false": 1}
        ended = {sample.labels["status"]: sample.value for sample in families["taskyard_executions"].samples}
        assert {name: count for name, count in ended.items() if count} == {"dead_letter": 1}
        assert "taskyard_queue_depth" not in families
        whole = await owner.http.get("/metrics", headers={"Accept": kind})
        assert {"taskyard_queue_depth", "taskyard_clock_lateness_seconds"} <= {each.name for each in parse(whole.text)}
    both = await outsider.http.get("/metrics", params=whose, headers={"Accept": "application/json, text/plain, */*"})
    assert both.json()["jobs"] == {"total": 2, "enabled": 1, "disabled": 1}


async def test_e16_e17_interactive_documentation(served: Yard) -> None:
    """D3-E16, E17: and a document in which every documented path stands."""
    async with calling(served, "", "") as nobody:
        for path, viewer in (("/docs", "swagger-ui"), ("/redoc", "redoc")):
            for prefix in ("", PREFIX):
                page = await nobody.http.get(prefix + path)
                assert page.status_code == 200
                assert page.headers["Content-Type"].startswith("text/html")
                assert viewer in page.text
        document = (await nobody.http.get(f"{PREFIX}/openapi.json")).json()
    offered = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert offered >= {
        ("POST", "/api/jobs"),
        ("GET", "/api/jobs"),
        ("GET", "/api/jobs/{job_id}"),
        ("PUT", "/api/jobs/{job_id}"),
        ("DELETE", "/api/jobs/{job_id}"),
        ("PATCH", "/api/jobs/{job_id}/enable"),
        ("PATCH", "/api/jobs/{job_id}/disable"),
        ("GET", "/api/jobs/{job_id}/executions"),
        ("POST", "/webhooks"),
        ("GET", "/webhooks/{webhook_id}"),
        ("PUT", "/webhooks/{webhook_id}"),
        ("DELETE", "/webhooks/{webhook_id}"),
        ("GET", "/health"),
        ("GET", "/health/detailed"),
        ("GET", "/metrics"),
    }


async def detailed(caller: Caller) -> tuple[int, tuple[str, ...]]:
    """The detailed health: status code and words."""
    answer = await caller.http.get("/health/detailed")
    body = answer.json()
    assert body["service"] == "scheduler"
    return answer.status_code, tuple(body[name] for name in ("status", "database", "redis", "scheduler_service"))


async def test_x07_x15_x16_while_the_database_is_away(
    private_postgres: Callable[[], PostgresServer], tmp_path: Path
) -> None:
    """D3-E14, X07, X15, X16: 503 from health, 500 DATABASE_ERROR from everything else, and back again by itself.

    Redis away is told too, but the yard goes on without it.
    """
    database, redis = private_postgres(), RedisServer()
    redis.start()
    well = (200, ("healthy", "connected", "connected", "running"))
    try:
        with open_yard(tmp_path, DATABASE_URL=database.new_database(), REDIS_URL=redis.url) as yard:
            async with calling(yard, outside_token(), str(uuid4())) as caller:
                job = await caller.job()
                assert await detailed(caller) == well
                database.stop()
                assert await detailed(caller) == (503, ("unhealthy", "disconnected", "connected", "running"))
                assert (await caller.http.get("/health")).status_code == 503
                for answer in (
                    await caller.http.get(f"/api/jobs/{job['id']}"),
                    await caller.http.post("/api/jobs", json={"account_id": caller.account, **JOB}),
                    await caller.http.get("/metrics"),
                ):
                    sentence = refused(answer, 500, "DATABASE_ERROR")
                    assert "127.0.0.1" not in sentence
                database.start()

                async def is_well() -> bool:
                    return await detailed(caller) == well

                await eventually(is_well, timeout=30)
                assert (await caller.http.get(f"/api/jobs/{job['id']}")).json() == job
                (execution,) = await caller.over(await caller.run())
                assert execution["error"] == "job has no webhook"
                redis.stop()
                assert await detailed(caller) == (200, ("healthy", "connected", "disconnected", "running"))
    finally:
        redis.close()
