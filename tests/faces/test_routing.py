"""Which face answers: the table of RULINGS §2."""

import pytest

from taskyard.faces.door.routing import face_of
from taskyard.faces.kit.names import FaceName

P, W, T, S, A = (
    FaceName.PLANNER,
    FaceName.WORKBENCH,
    FaceName.TRACKER,
    FaceName.SCHEDULER,
    FaceName.ASSISTANT,
)
BEARER = {"authorization": "Bearer t"}
LOUD_BEARER = {"authorization": "BEARER t"}
BASIC = {"authorization": "Basic dTpw"}
KEY = {"x-api-key": "k"}
COOKIE = {"cookie": "a=b; next-auth.session-token=s"}
HOUSE_COOKIE = {"cookie": "taskyard_session=s"}
OTHER_COOKIE = {"cookie": "theme=dark; xnext-auth.session-token=s"}
IN_QUERY = {"api_key": "k"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "query", "expected"),
    [
        # Collections: credential first, then the slash.
        ("GET", "/api/tasks", {}, {}, P),
        ("GET", "/api/tasks/", {}, {}, W),
        ("POST", "/api/tasks", {}, {}, P),
        ("POST", "/api/tasks/", {}, {}, W),
        ("GET", "/api/tasks", BEARER, {}, W),
        ("GET", "/api/tasks", LOUD_BEARER, {}, W),
        ("GET", "/api/tasks", BASIC, {}, P),
        ("GET", "/api/tasks/", COOKIE, {}, P),
        ("GET", "/api/tasks/", HOUSE_COOKIE, {}, P),
        ("GET", "/api/tasks/", OTHER_COOKIE, {}, W),
        ("GET", "/api/tasks", {**BEARER, **COOKIE}, {}, W),
        ("GET", "/api/tasks/", {**KEY, **COOKIE}, {}, P),
        ("GET", "/api/tasks/", KEY, {}, W),
        ("HEAD", "/api/tasks", {}, {}, P),
        ("GET", "/api/projects", {}, {}, T),
        ("GET", "/api/projects/", {}, {}, W),
        ("GET", "/api/projects/", KEY, {}, T),
        ("GET", "/api/projects/", {}, IN_QUERY, T),
        ("GET", "/api/projects", BEARER, {}, W),
        ("GET", "/api/projects", {**BEARER, **KEY}, {}, W),
        ("GET", "/api/projects", COOKIE, {}, T),
        ("POST", "/api/projects", KEY, {}, W),
        # Items.
        ("GET", "/api/tasks/7", {}, {}, W),
        ("GET", "/api/tasks/7/", {}, {}, W),
        ("PUT", "/api/tasks/7", COOKIE, {}, P),
        ("DELETE", "/api/tasks/7", BEARER, {}, W),
        ("POST", "/api/tasks/bulk", COOKIE, {}, W),
        ("GET", "/api/tasks/7/history", COOKIE, {}, W),
        ("POST", "/api/tasks/7/execute", {}, {}, W),
        ("GET", "/api/projects/x/tasks", {}, {}, W),
        ("GET", "/api/projects/x/tasks", KEY, {}, T),
        ("GET", "/api/projects/x/tasks", {}, IN_QUERY, T),
        ("GET", "/api/projects/x/tasks", {**BEARER, **KEY}, IN_QUERY, W),
        ("GET", "/api/projects/x", KEY, {}, W),
        ("GET", "/api/projects/x/analytics", KEY, {}, W),
        # WebSockets.
        ("GET", "/ws", {}, {}, P),
        ("GET", "/ws", COOKIE, {}, P),
        ("GET", "/ws", BEARER, {}, P),
        ("GET", "/ws", KEY, {}, T),
        ("GET", "/ws/", {}, IN_QUERY, T),
        ("GET", "/ws/new", {}, IN_QUERY, W),
        ("GET", "/api/v1/ws", {}, IN_QUERY, A),
        # Owners of prefixes.
        ("GET", "/api/v1", {}, {}, A),
        ("GET", "/api/v1/tasks", COOKIE, {}, A),
        ("GET", "/api/v1x", {}, {}, W),
        ("GET", "/api/jobs", KEY, {}, S),
        ("PATCH", "/api/jobs/1/enable", {}, {}, S),
        ("POST", "/webhooks", {}, {}, S),
        ("PUT", "/webhooks/1/", {}, {}, S),
        ("GET", "/metrics", {}, {}, S),
        ("GET", "/health/detailed", {}, {}, S),
        ("POST", "/health", {}, {}, S),
        ("POST", "/webhook/start", BEARER, {}, T),
        ("GET", "/webhook/unknown", {}, {}, T),
        ("GET", "/api/stats/projects/x", BEARER, {}, T),
        ("GET", "/api/websocket/stats", {}, {}, T),
        ("GET", "/db-check", {}, {}, T),
        ("GET", "/redis-check", {}, {}, T),
        ("GET", "/api/logs", BEARER, {}, P),
        ("POST", "/execute-task", {}, {}, P),
        ("POST", "/api/auth/signin", {}, {}, P),
        ("POST", "/api/auth/signout", {}, {}, P),
        ("POST", "/api/auth/signup", {}, {}, P),
        ("POST", "/api/auth/login", COOKIE, {}, W),
        ("POST", "/api/auth/refresh", {}, {}, W),
        ("GET", "/api/health/", {}, {}, W),
        ("GET", "/nowhere", {}, {}, W),
        ("GET", "/", {}, {}, W),
    ],
)
def test_the_face_of_a_request(
    method: str, path: str, headers: dict[str, str], query: dict[str, str], expected: FaceName
) -> None:
    assert face_of(method, path, headers, query) is expected
