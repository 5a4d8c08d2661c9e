"""The assistant face, put together."""

from fastapi import FastAPI

from taskyard.faces.assistant import house
from taskyard.faces.assistant.errors import MANNERS
from taskyard.faces.assistant.routes import auth, keys, users
from taskyard.faces.kit import errors
from taskyard.faces.kit.body_limit import BodyLimit
from taskyard.faces.kit.limits import RateLimitHeaders
from taskyard.faces.kit.openapi import own_refusals
from taskyard.faces.kit.yard import Yard

ROUTERS = (auth.public, auth.router, users.router, keys.router, *house.routers)


def build(yard: Yard) -> FastAPI:
    """The face's own app. It expects paths without their final slash, as the door passes them on."""
    app = FastAPI(
        title="Taskyard API",
        version=yard.version,
        description="The assistant's documented API, and everything else the yard can do.",
        redirect_slashes=False,
    )
    app.state.yard = yard
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(BodyLimit, limit=yard.numbers.body_bytes)
    errors.install(app, MANNERS)
    app.add_middleware(RateLimitHeaders, otherwise=yard.numbers.assistant_tenant_minute)
    own_refusals(app)
    return app
