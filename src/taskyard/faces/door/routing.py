"""Which face answers a request (RULINGS §2). Pure: it looks at the request line and at which credential is shown,
never at whether the credential is good.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from taskyard.faces.kit.auth import SESSION_COOKIES
from taskyard.faces.kit.names import FaceName

PLANNER, WORKBENCH, TRACKER = FaceName.PLANNER, FaceName.WORKBENCH, FaceName.TRACKER
SCHEDULER, ASSISTANT = FaceName.SCHEDULER, FaceName.ASSISTANT

OWNERS: tuple[tuple[str, FaceName], ...] = (
    ("/api/v1", ASSISTANT),
    ("/api/jobs", SCHEDULER),
    ("/webhooks", SCHEDULER),
    ("/metrics", SCHEDULER),
    ("/health", SCHEDULER),
    ("/webhook", TRACKER),
    ("/api/stats", TRACKER),
    ("/api/websocket", TRACKER),
    ("/db-check", TRACKER),
    ("/redis-check", TRACKER),
    ("/api/logs", PLANNER),
    ("/execute-task", PLANNER),
    ("/api/auth/signin", PLANNER),
    ("/api/auth/signout", PLANNER),
)
"""Who owns a path and all below it; whatever is not named is the workbench's."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A path that several faces document, with the methods each answers there. Without a telling credential `plain`
    gets it, or `slashed` when it was written with its final slash.
    """

    path: re.Pattern[str]
    methods: Mapping[FaceName, frozenset[str]]
    plain: FaceName
    slashed: FaceName


_COLLECTION = frozenset({"GET", "POST"})
_ITEM = frozenset({"GET", "PUT", "DELETE"})
_READ = frozenset({"GET"})

SHARED: tuple[Shared, ...] = (
    Shared(re.compile("/api/tasks"), {PLANNER: _COLLECTION, WORKBENCH: _COLLECTION}, PLANNER, WORKBENCH),
    # POST: `/api/tasks/bulk` of the workbench.
    Shared(re.compile("/api/tasks/[^/]+"), {PLANNER: _ITEM, WORKBENCH: _ITEM | {"POST"}}, WORKBENCH, WORKBENCH),
    Shared(re.compile("/api/projects"), {TRACKER: _READ, WORKBENCH: _COLLECTION}, TRACKER, WORKBENCH),
    Shared(re.compile("/api/projects/[^/]+/tasks"), {TRACKER: _READ, WORKBENCH: _READ}, WORKBENCH, WORKBENCH),
)


def face_of(method: str, path: str, headers: Mapping[str, str], query: Mapping[str, str]) -> FaceName:
    """The face that answers. `headers` are by lower-case name; `path` is as it was asked for, slash and all."""
    plain_path = path.rstrip("/") or "/"
    if plain_path == "/ws":
        return TRACKER if _shows_key(headers, query) else PLANNER
    for shared in SHARED:
        if shared.path.fullmatch(plain_path):
            return _of_shared(shared, method, headers, query, slash=path.endswith("/"))
    for prefix, owner in OWNERS:
        if plain_path == prefix or plain_path.startswith(prefix + "/"):
            return owner
    return PLANNER if plain_path.startswith("/api/auth/sign") else WORKBENCH


def _of_shared(
    shared: Shared, method: str, headers: Mapping[str, str], query: Mapping[str, str], *, slash: bool
) -> FaceName:
    asked = "GET" if method == "HEAD" else method
    able = [face for face, methods in shared.methods.items() if asked in methods] or list(shared.methods)
    for face in _faces_of_credentials(headers, query):
        if face in able:
            return face
    preferred = shared.slashed if slash else shared.plain
    return preferred if preferred in able else able[0]


def _faces_of_credentials(headers: Mapping[str, str], query: Mapping[str, str]) -> list[FaceName]:
    """The faces whose own credential is shown, in the order in which credentials count."""
    shown = {
        WORKBENCH: headers.get("authorization", "").lower().startswith("bearer "),
        TRACKER: _shows_key(headers, query),
        PLANNER: _shows_cookie(headers.get("cookie", "")),
    }
    return [face for face, is_shown in shown.items() if is_shown]


def _shows_key(headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    return bool(headers.get("x-api-key") or query.get("api_key"))


def _shows_cookie(cookies: str) -> bool:
    return any(part.strip().partition("=")[0] in SESSION_COOKIES for part in cookies.split(";"))
