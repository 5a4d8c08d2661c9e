"""What the routes of every face stand on, and how they reach it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from taskyard.domain.hints import Bus
from taskyard.domain.rules import Rules
from taskyard.faces.kit.hub import Hub
from taskyard.faces.kit.limits import Limiter, LimitNumbers
from taskyard.services.identity import Identity
from taskyard.services.telemetry import Telemetry
from taskyard.services.transactions import Database


@dataclass(frozen=True, slots=True)
class Yard:
    """One wired yard. `redis_ping` raises when Redis is away and is None when none is configured; `claude_code` says
    whether Claude Code can be run here, `runs_clock` whether this process fires schedules.
    """

    database: Database
    identity: Identity
    rules: Rules
    bus: Bus
    hub: Hub
    limiter: Limiter
    telemetry: Telemetry = field(default_factory=Telemetry)
    numbers: LimitNumbers = field(default_factory=LimitNumbers)
    version: str = "0"
    cors_origins: tuple[str, ...] = ()
    claude_code: bool = False
    runs_clock: bool = True
    redis_ping: Callable[[], Awaitable[object]] | None = None


def the_yard(connection: HTTPConnection) -> Yard:
    """The yard of the app that answers this connection."""
    yard: Yard = connection.app.state.yard
    return yard


TheYard = Annotated[Yard, Depends(the_yard)]
