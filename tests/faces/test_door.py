"""The front door: slashes, prefixes, formats of owners, health, documentation, and what every response carries."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from taskyard.faces import assistant, door, scheduler
from taskyard.faces.kit.names import FaceName
from taskyard.faces.kit.yard import Yard
from tests.faces.conftest import MakeWorld, World, migrated, open_world
from tests.servers import PostgresServer

pytestmark = pytest.mark.anyio


def client_of(app: ASGIApp) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://testserver")


@pytest.mark.parametrize("path", ["/api/jobs?account_id={}", "/api/jobs/?account_id={}"])
@pytest.mark.parametrize("prefix", ["", "/faces/scheduler"])
async def test_a_path_is_the_same_with_its_final_slash_and_under_its_prefix(
    world: World, prefix: str, path: str
) -> None:
    alice = await world.user()
    answer = await alice.http.get(prefix + path.format(alice.account))
    assert (answer.status_code, answer.json()["total"]) == (200, 0)


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/api/v1/nothing", 404, {"detail": "No such path", "error_code": "NOT_FOUND"}),
        ("PATCH", "/api/v1/users/me", 405, {"error_code": "METHOD_NOT_ALLOWED"}),
        ("GET", "/api/jobs/a/b/c", 404, {"error_code": "NOT_FOUND", "status_code": 404}),
        ("PATCH", "/api/jobs", 405, {"error_code": "METHOD_NOT_ALLOWED", "status_code": 405}),
        ("POST", "/health", 405, {"status_code": 405}),
        ("GET", "/nowhere", 404, {"data": None}),
        ("POST", "/docs", 404, {"data": None}),
        ("GET", "/api/tasks", 404, {"error": {"code": "NOT_FOUND", "message": "No such path", "details": {}}}),
        ("GET", "/db-check", 404, {"error": {"code": "NOT_FOUND", "message": "No such path", "details": {}}}),
        (
            "GET",
            "/faces/planner/api/tasks",
            404,
            {"error": {"code": "NOT_FOUND", "message": "No such path", "details": {}}},
        ),
        ("GET", "/faces/nobody/x", 404, {"data": None}),
        ("GET", "/faces/scheduler/api/v1/users/me", 404, {"status_code": 404}),
    ],
)
async def test_refusals_are_in_the_format_of_the_owner(
    world: World, method: str, path: str, status: int, expected: dict[str, Any]
) -> None:
    answer = await world.client().request(method, path)
    assert answer.status_code == status
    assert answer.json().items() >= expected.items()


async def test_a_405_names_every_method_that_is_answered(world: World) -> None:
    job = await world.client().post("/api/jobs/019a0000-0000-7000-8000-000000000000")
    assert job.headers["Allow"] == "GET, PUT, DELETE"
    assert (await world.client().delete("/api/jobs")).headers["Allow"] == "GET, POST"


async def test_a_path_with_two_owners_goes_by_the_credential(make_world: MakeWorld) -> None:
    world = await make_world()

    def face(name: str) -> Any:
        def build(yard: Yard) -> FastAPI:
            app = FastAPI(title=name)

            @app.get("/api/tasks")
            async def tasks() -> str:
                return name

            return app

        return build

    built = {FaceName.PLANNER: face("planner"), FaceName.WORKBENCH: face("workbench")}
    http = client_of(door.build(world.yard, faces=built))
    assert (await http.get("/api/tasks")).json() == "planner"
    assert (await http.get("/api/tasks/")).json() == "workbench"
    assert (await http.get("/api/tasks", headers={"Authorization": "Bearer x"})).json() == "workbench"
    assert (await http.get("/faces/planner/api/tasks/")).json() == "planner"
    paths = (await http.get("/openapi.json")).json()["paths"]
    assert {"/health", "/api/tasks", "/faces/workbench/api/tasks"} == paths.keys()


async def test_health_is_public_and_one_body_for_all(world: World) -> None:
    answer = await world.client().get("/health")
    body = answer.json()
    assert answer.status_code == 200
    assert (body["status"], body["service"], body["version"]) == ("healthy", "scheduler", "9.9.9")
    assert body["services"] == {"database": "connected", "scheduler": "stopped", "claude_code": "unavailable"}
    assert body["timestamp"].endswith("Z")


@pytest.mark.parametrize("path", ["/health", "/health/detailed", "/faces/scheduler/health"])
async def test_health_can_be_asked_for_without_its_body(world: World, path: str) -> None:
    http = world.client()
    assert (await http.head(path)).status_code == (await http.get(path)).status_code


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/", "/", "/docs?spec=scheduler", "/docs?spec=<script>"])
async def test_documentation_has_a_picker_that_needs_no_network(world: World, path: str) -> None:
    answer = await world.client().get(path)
    assert answer.status_code == 200
    for face in ("scheduler", "assistant"):
        assert f"?spec={face}" in answer.text
    assert "<script>'" not in answer.text
    assert "cdn.jsdelivr.net" in answer.headers["Content-Security-Policy"]


async def test_each_face_has_its_own_document_and_page(world: World) -> None:
    http = world.client()
    for face in ("scheduler", "assistant"):
        document = (await http.get(f"/faces/{face}/openapi.json")).json()
        assert document["servers"] == [{"url": f"/faces/{face}"}]
        assert (await http.get(f"/faces/{face}/docs")).status_code == 200
        assert (await http.get(f"/faces/{face}/redoc")).status_code == 200


async def test_the_union_has_every_path_once_and_every_reference_leads_somewhere(world: World) -> None:
    union = (await world.client().get("/openapi.json")).json()
    documents = [scheduler.build(world.yard).openapi(), assistant.build(world.yard).openapi()]
    of_faces = {path for document in documents for path in document["paths"]}
    assert union["paths"].keys() == of_faces | {"/faces/scheduler/health"}, "the house answers /health itself"
    health = union["paths"]["/health"]["get"]["responses"]
    assert health.keys() == {"200", "503"}
    answered = (await world.client().get("/health")).json()
    assert union["components"]["schemas"]["Health"]["properties"].keys() == answered.keys()
    operations = [operation["operationId"] for each in union["paths"].values() for operation in each.values()]
    assert len(operations) == len(set(operations))

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            found = [str(value["$ref"])] if "$ref" in value else []
            return found + [each for member in value.values() for each in references(member)]
        return [each for member in value for each in references(member)] if isinstance(value, list) else []

    found = references(union)
    assert found
    for reference in found:
        _, _, kind, name = reference.split("/")
        assert name in union["components"][kind]
    secured = {
        name
        for each in union["paths"].values()
        for one in each.values()
        for need in one.get("security", [])
        for name in need
    }
    assert secured <= union["components"]["securitySchemes"].keys()


async def test_listed_origins_may_use_cookies_and_others_may_not(world: World) -> None:
    http = world.client()
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    known = await http.options("/api/jobs", headers={"Origin": "https://ui.example", **asked})
    assert known.status_code == 200
    assert known.headers["Access-Control-Allow-Origin"] == "https://ui.example"
    assert known.headers["Access-Control-Allow-Credentials"] == "true"
    stranger = await http.options("/api/jobs", headers={"Origin": "https://evil.example", **asked})
    assert "Access-Control-Allow-Origin" not in stranger.headers
    plain = await http.get("/health", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in plain.headers


async def test_every_response_carries_its_number_and_protection(world: World) -> None:
    for path in ("/health", "/nowhere", "/api/jobs", "/api/v1/users/me"):
        answer = await world.client().get(path, headers={"X-Request-ID": "mine-1"})
        assert answer.headers["X-Request-ID"] == "mine-1"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["Cache-Control"] == "no-store"
    odd = await world.client().get("/health", headers={"X-Request-ID": "a b<script>"})
    assert len(odd.headers["X-Request-ID"]) == 36


async def test_the_log_tells_no_secrets(world: World) -> None:
    with capture_logs() as logs:
        await world.client({"Authorization": "Bearer hush1"}).get(
            "/api/jobs?api_key=hush2", headers={"Cookie": "taskyard_session=hush3"}
        )
    entry = next(entry for entry in logs if entry["event"] == "request")
    assert (entry["method"], entry["path"], entry["status"], entry["face"]) == ("GET", "/api/jobs", 401, "scheduler")
    assert "hush" not in str(logs)


@pytest.mark.parametrize("path", ["/api/jobs", "/api/v1/auth/register"])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large_is_refused_while_it_is_read(
    world: World, path: str, *, announced: bool
) -> None:
    alice = await world.user()
    sent = 0

    async def chunks() -> Any:
        nonlocal sent
        for _ in range(64):
            sent += 64 * 1024
            yield b" " * 64 * 1024

    content: Any = b" " * 4 * 1024 * 1024 if announced else chunks()
    answer = await alice.http.post(path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["error_code"] == "PAYLOAD_TOO_LARGE"


async def test_a_bug_is_told_by_its_number_alone(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await make_world()

    async def broken(_token: str) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(world.yard.identity, "authenticate_bearer", broken)
    http = world.client({"Authorization": "Bearer x"})
    with capture_logs() as logs:
        answer = await http.get("/api/jobs", headers={"X-Request-ID": "bug-7"})
        other = await http.get("/api/v1/users/me", headers={"X-Request-ID": "bug-8"})
    assert answer.status_code == other.status_code == 500
    assert answer.json() == {
        "detail": "Internal server error (request bug-7)",
        "error_code": "INTERNAL_ERROR",
        "status_code": 500,
    }
    assert other.json()["detail"] == "Internal server error (request bug-8)"
    assert {"x-ratelimit-limit", "x-request-id"} <= set(other.headers)
    assert [entry["request_id"] for entry in logs if entry["event"] == "unexpected"] == ["bug-7", "bug-8"]


async def test_sockets_nobody_answers_are_refused(world: World) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    for path in ("/ws", "/ws/new", "/api/v1/nothing"):
        scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "client": ("192.0.2.1", 1)}
        await world.door(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"] * 3


async def test_while_the_database_is_away_every_face_says_so(
    private_postgres: Callable[[], PostgresServer],
) -> None:
    server = await asyncio.to_thread(private_postgres)
    url = server.new_database()
    await migrated(url)
    async with open_world(url, redis_ping=failing) as world:
        alice = await world.user()
        await asyncio.to_thread(server.stop)
        job = await alice.http.get(f"/api/jobs?account_id={alice.account}")
        assert (job.status_code, job.json()["error_code"]) == (500, "DATABASE_ERROR")
        me = await alice.http.get("/api/v1/users/me")
        assert (me.status_code, me.json()["error_code"]) == (503, "DATABASE_ERROR")
        health = await world.client().get("/health")
        assert (health.status_code, health.json()["services"]["database"]) == (503, "disconnected")
        detailed = await world.client().get("/health/detailed")
        assert detailed.status_code == 503
        assert detailed.json() == {
            "status": "unhealthy",
            "service": "scheduler",
            "database": "disconnected",
            "redis": "disconnected",
            "scheduler_service": "running",
        }
        await asyncio.to_thread(server.start)
        assert (await alice.http.get("/api/v1/users/me")).status_code == 200


async def failing() -> None:
    raise ConnectionError
