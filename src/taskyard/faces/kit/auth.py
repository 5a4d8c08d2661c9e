"""Who is calling: the credential of a request, in the order of RULINGS §2, proven by the identity service."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery, HTTPBearer
from starlette.requests import HTTPConnection

from taskyard.domain.actors import Actor, Permission, Principal
from taskyard.domain.errors import Forbidden, Unauthenticated, Unavailable
from taskyard.faces.kit.bodies import JsonRequest
from taskyard.faces.kit.yard import Yard, the_yard

SESSION_COOKIES = ("next-auth.session-token", "__Secure-next-auth.session-token", "taskyard_session")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# These only describe the credentials in the OpenAPI pages; `principal` is what checks them.
bearer_scheme = HTTPBearer(auto_error=False, scheme_name="Bearer", description="A token from sign-in")
key_scheme = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="ApiKey")
key_query_scheme = APIKeyQuery(name="api_key", auto_error=False, scheme_name="ApiKeyInQuery")
cookie_scheme = APIKeyCookie(name=SESSION_COOKIES[0], auto_error=False, scheme_name="Session")


class Means(StrEnum):
    """How a caller proves who it is."""

    BEARER = "bearer"
    KEY = "key"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller shows. Never logged."""

    means: Means
    secret: str


def credential(connection: HTTPConnection) -> Credential | None:
    """The first credential in the order Bearer, X-API-Key, `?api_key=`, cookie. A bad one is not made up for by the
    next: the caller would not learn that it is bad.
    """
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return Credential(Means.BEARER, token.strip())
    key = connection.headers.get("x-api-key") or connection.query_params.get("api_key")
    if key:
        return Credential(Means.KEY, key)
    session = next((connection.cookies[name] for name in SESSION_COOKIES if connection.cookies.get(name)), None)
    return Credential(Means.SESSION, session) if session else None


async def authenticate(connection: HTTPConnection, yard: Yard) -> Principal:
    """The proven caller of a request or WebSocket. Raises `Unauthenticated`, or `Forbidden` for a cookie that some
    other site makes a browser send.
    """
    shown = credential(connection)
    if shown is None:
        raise Unauthenticated
    match shown.means:
        case Means.BEARER:
            return await yard.identity.authenticate_bearer(shown.secret)
        case Means.KEY:
            return await yard.identity.authenticate_key(shown.secret)
        case Means.SESSION:
            _check_origin(connection, yard.cors_origins)
            return await yard.identity.authenticate_session(shown.secret)


def _check_origin(connection: HTTPConnection, trusted: tuple[str, ...]) -> None:
    """A browser sends cookies whoever asks it to; only our own pages and listed origins may change things with them."""
    if connection.scope["type"] == "http" and connection.scope["method"] in SAFE_METHODS:
        return
    origin = connection.headers.get("origin")
    if origin is None or origin in trusted:
        return
    if urlsplit(origin).netloc != connection.headers.get("host"):
        raise Forbidden("Requests from this origin are not allowed")


async def principal(connection: HTTPConnection) -> Principal:
    """The proven caller, once per request. Raises `Unauthenticated`."""
    known: Principal | None = getattr(connection.state, "principal", None)
    if known is None:
        known = await authenticate(connection, the_yard(connection))
        connection.state.principal = known
    return known


Caller = Annotated[Principal, Depends(principal)]


def default_actor(caller: Caller) -> Actor:
    """The caller in the tenant that is meant unless one is named."""
    return caller.default


DefaultActor = Annotated[Actor, Depends(default_actor)]

StillAllowed = Callable[[], Awaitable[bool]]


def still_allowed(connection: HTTPConnection, actor: DefaultActor) -> StillAllowed:
    """Asks whether the caller of a long answer would still be let in with what they showed at its beginning."""

    async def ask() -> bool:
        try:
            now = (await authenticate(connection, the_yard(connection))).within(actor.tenant_id)
        except (Unauthenticated, Forbidden):
            return False
        except Unavailable:
            # Nothing new can be told meanwhile.
            return True
        return Permission.READ in now.permissions

    return ask


WhetherStillAllowed = Annotated[StillAllowed, Depends(still_allowed)]


def guarded(check: Callable[[Request], Awaitable[object]]) -> type[APIRoute]:
    """The class of routes that make `check` before anything else, and then read JSON strictly. FastAPI itself parses
    the body before it asks who is calling, and would tell a stranger that their JSON is broken instead of that they are
    a stranger.
    """

    class Guarded(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def checked(request: Request) -> Response:
                await check(request)
                return await handle(JsonRequest(request.scope, request.receive))

            return checked

    return Guarded
