"""What belongs to the house and to no face: health, and the documentation with its picker."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Literal

from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from taskyard.faces.kit import wellbeing
from taskyard.faces.kit.names import FaceName
from taskyard.faces.kit.wire import Moment
from taskyard.faces.kit.yard import Yard

ALL = "all"
DOCUMENTS = {
    FaceName.PLANNER: "Planner",
    FaceName.WORKBENCH: "Workbench",
    FaceName.TRACKER: "Tracker",
    FaceName.SCHEDULER: "Scheduler",
    FaceName.ASSISTANT: "Assistant and house",
}
PATHS = frozenset({"/", "/health", "/docs", "/redoc", "/openapi.json"})


def routes(yard: Yard, faces: Sequence[FaceName], union: Callable[[], dict[str, Any]]) -> list[Route]:
    """The house's own routes; `union` gives the document of all `faces`."""

    async def answer_health(_request: Request) -> JSONResponse:
        return await _health(yard)

    async def openapi(_request: Request) -> JSONResponse:
        return JSONResponse(union())

    async def docs(request: Request) -> HTMLResponse:
        return _page(request, faces, redoc=False)

    async def redoc(request: Request) -> HTMLResponse:
        return _page(request, faces, redoc=True)

    return [
        Route("/", docs),
        Route("/health", answer_health),
        Route("/openapi.json", openapi),
        Route("/docs", docs),
        Route("/redoc", redoc),
    ]


class Services(BaseModel):
    """What the yard stands on, each in a word."""

    database: str
    scheduler: str
    claude_code: str


class Health(BaseModel):
    """The union of D0-E10, D2-E09 and D3-E13."""

    status: Literal["healthy", "unhealthy"]
    service: str
    services: Services
    timestamp: Moment
    version: str


async def _health(yard: Yard) -> JSONResponse:
    """200, or 503 while the database is away."""
    state = await wellbeing.look(yard)
    body = Health(
        status="healthy" if state.database else "unhealthy",
        service="scheduler",
        services=Services(
            database=state.database_word,
            scheduler=state.scheduler_word,
            claude_code="available" if yard.claude_code else "unavailable",
        ),
        timestamp=datetime.now(UTC),
        version=yard.version,
    )
    return JSONResponse(body.model_dump(mode="json"), 200 if state.database else 503)


def documented() -> dict[str, Any]:
    """The house's own paths as a document of all faces shows them."""
    _, schema = models_json_schema([(Health, "serialization")], ref_template="#/components/schemas/{model}")
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}
    health = {
        "tags": ["house"],
        "summary": "Health",
        "description": "How the yard is, without a credential.",
        "operationId": "house_health",
        "responses": {
            "200": {"description": "Healthy", "content": content},
            "503": {"description": "The database is away", "content": content},
        },
    }
    return {"paths": {"/health": {"get": health}}, "components": {"schemas": schema["$defs"]}}


def _page(request: Request, faces: Sequence[FaceName], *, redoc: bool) -> HTMLResponse:
    chosen = next((face for face in faces if face.value == request.query_params.get("spec")), None)
    document = "/openapi.json" if chosen is None else f"/faces/{chosen.value}/openapi.json"
    make = get_redoc_html if redoc else get_swagger_ui_html
    page = make(openapi_url=document, title="Taskyard API")
    html = bytes(page.body).decode()
    before, opening, after = html.partition("<body>")
    return HTMLResponse(before + opening + _picker(faces, chosen, document, redoc=redoc) + after)


def _picker(faces: Sequence[FaceName], chosen: FaceName | None, document: str, *, redoc: bool) -> str:
    """Plain links, which also work when the viewer below cannot be loaded."""
    path, other, other_name = ("/redoc", "/docs", "Swagger UI") if redoc else ("/docs", "/redoc", "ReDoc")
    links = [_link(path, None, "All", current=chosen is None)]
    links += [_link(path, face, DOCUMENTS[face], current=face is chosen) for face in faces]
    links += [_link(other, chosen, other_name), f'<a href="{escape(document)}">JSON</a>']
    style = "font:15px system-ui,sans-serif;padding:12px 20px;display:flex;gap:18px;border-bottom:1px solid #ddd"
    return f'<nav style="{style}"><strong>Taskyard API</strong>{"".join(links)}</nav>'


def _link(path: str, face: FaceName | None, name: str, *, current: bool = False) -> str:
    mark = ' aria-current="page" style="font-weight:bold"' if current else ""
    return f'<a href="{path}?spec={face.value if face else ALL}"{mark}>{escape(name)}</a>'
