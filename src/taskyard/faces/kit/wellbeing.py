"""How the yard is, in the words of the documented health pages (D0-E10, D3-E14)."""

import asyncio
from dataclasses import dataclass

from taskyard.faces.kit.yard import Yard
from taskyard.services import health

REDIS_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Wellbeing:
    """`redis` is None when none is configured."""

    database: bool
    scheduler: bool
    redis: bool | None

    @property
    def database_word(self) -> str:
        """D3's word."""
        return "connected" if self.database else "disconnected"

    @property
    def redis_word(self) -> str:
        """D3's word, and `disabled` (RULINGS §5 D3)."""
        if self.redis is None:
            return "disabled"
        return "connected" if self.redis else "disconnected"

    @property
    def scheduler_word(self) -> str:
        """D3's word."""
        return "running" if self.scheduler else "stopped"


async def look(yard: Yard) -> Wellbeing:
    """Ask the database and Redis; answers within a few seconds whatever is away."""
    state, redis = await asyncio.gather(health.check(yard.database), _redis(yard))
    # Which clocks are alive is known to the database alone; without it this process can speak for itself.
    scheduler = state.clocks > 0 if state.database else yard.runs_clock
    return Wellbeing(state.database, scheduler, redis)


async def _redis(yard: Yard) -> bool | None:
    if yard.redis_ping is None:
        return None
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            await yard.redis_ping()
    except Exception:
        # Whatever the client raises, Redis is not well.
        return False
    return True
