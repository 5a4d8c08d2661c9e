"""The scheduler face, put together."""

from fastapi import FastAPI

from taskyard.faces.kit import errors
from taskyard.faces.kit.body_limit import BodyLimit
from taskyard.faces.kit.openapi import own_refusals
from taskyard.faces.kit.yard import Yard
from taskyard.faces.scheduler.errors import MANNERS
from taskyard.faces.scheduler.routes import health, jobs, webhooks


def build(yard: Yard) -> FastAPI:
    """The face's own app. It expects paths without their final slash, as the door passes them on."""
    app = FastAPI(
        title="Scheduler API",
        version=yard.version,
        description="Jobs on a cron schedule, and the HTTP calls they make.",
        redirect_slashes=False,
    )
    app.state.yard = yard
    for router in (jobs.router, webhooks.router, health.public, health.router):
        app.include_router(router)
    app.add_middleware(BodyLimit, limit=yard.numbers.body_bytes)
    errors.install(app, MANNERS)
    own_refusals(app)
    return app
