"""One ASGI app for one port: every documented path goes to its face; each face also answers under its own prefix."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.datastructures import Headers, QueryParams
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from taskyard.faces import assistant, scheduler
from taskyard.faces.door import pages
from taskyard.faces.door.routing import face_of
from taskyard.faces.kit.access_log import AccessLog
from taskyard.faces.kit.faults import FORMATS, Fault
from taskyard.faces.kit.names import FaceName
from taskyard.faces.kit.openapi import union
from taskyard.faces.kit.request_ids import HEADER, request_id
from taskyard.faces.kit.yard import Yard

Build = Callable[[Yard], FastAPI]
Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]

FACES: Mapping[FaceName, Build] = {
    FaceName.SCHEDULER: scheduler.build,
    FaceName.ASSISTANT: assistant.build,
}
"""The faces that are built; each is one line."""

PREFIX = "/faces/"
ALLOWED_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "Prefer",
    "X-API-Key",
    HEADER,
)
EXPOSED_HEADERS = (
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-RateLimit-Window",
    "X-Next-Offset",
    "X-Output-Complete",
    HEADER,
)


class Door:
    """Dispatches to the faces; what is no face's goes to `house`."""

    def __init__(self, house: ASGIApp, faces: Mapping[FaceName, FastAPI]) -> None:
        self._house = house
        self._faces = faces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._house(scope, receive, send)
            return
        path: str = scope["path"]
        plain = path.rstrip("/") or "/"
        if plain in pages.PATHS and scope.get("method") in ("GET", "HEAD"):
            await self._house({**scope, "path": plain}, receive, send)
            return
        named, rest = _named_face(path)
        face = named or face_of(scope.get("method", "GET"), path, Headers(scope=scope), _query(scope))
        scope.setdefault("state", {})["face"] = face.value
        below = scope.get("root_path", "") + (path[: len(path) - len(rest)] if named else "")
        # No redirects for slashes: a path with and without its final slash is the same path.
        facing = {**scope, "path": plain, "root_path": below}
        app = self._faces.get(face)
        await (app(facing, receive, send) if app is not None else _nobody(face, facing, receive, send))


def _named_face(path: str) -> tuple[FaceName | None, str]:
    """The face a path names by prefix, and the rest of the path."""
    if not path.startswith(PREFIX):
        return None, path
    name, slash, rest = path.removeprefix(PREFIX).partition("/")
    face = next((face for face in FaceName if face.value == name), None)
    return face, slash + rest


def _query(scope: Scope) -> QueryParams:
    return QueryParams(scope.get("query_string", b""))


async def _nobody(face: FaceName, scope: Scope, receive: Receive, send: Send) -> None:
    """A documented face that this yard does not serve: no such path, said in that face's words."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "No such path"})
        return
    code = "RESOURCE_NOT_FOUND" if face is FaceName.WORKBENCH else "NOT_FOUND"
    fault = Fault(404, code, "No such path", request_id=request_id(scope))
    await JSONResponse(FORMATS[face](fault), 404)(scope, receive, send)


def build(yard: Yard, *, lifespan: Lifespan | None = None, faces: Mapping[FaceName, Build] = FACES) -> ASGIApp:
    """The app to serve. `lifespan` is entered when the server starts and left when it stops."""
    built = {name: make(yard) for name, make in faces.items()}
    whole: dict[str, Any] = {}

    def document() -> dict[str, Any]:
        if not whole:
            specs = {name: app.openapi() for name, app in built.items()}
            whole.update(union(pages.documented(), specs, title="Taskyard", version=yard.version))
        return whole

    house = Starlette(routes=pages.routes(yard, tuple(built), document), lifespan=lifespan)
    door = CORSMiddleware(
        Door(house, built),
        allow_origins=yard.cors_origins,
        allow_credentials=True,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=ALLOWED_HEADERS,
        expose_headers=EXPOSED_HEADERS,
    )
    return AccessLog(door)
