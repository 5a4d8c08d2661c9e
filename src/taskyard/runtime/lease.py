"""A process's lease: the proof, renewed in the database, that what runs under its name is still attended to."""

import asyncio
import logging
from collections.abc import Callable
from uuid import UUID

from taskyard.domain.errors import Unavailable
from taskyard.domain.rules import Rules
from taskyard.runtime.patience import outlived, patiently
from taskyard.services import workers
from taskyard.services.transactions import Database

_log = logging.getLogger(__name__)

# Renewed five times within what others wait for, and asked for a fifth less than that, so that lapsing, being noticed
# and being taken over all fit into one lease.
_RENEWALS = 5
_HELD_SHARE = 0.8


class Lease:
    """Holds `id`. When others have given this process up, `on_lost` is called and a new id is taken."""

    def __init__(self, database: Database, rules: Rules, roles: str, on_lost: Callable[[], None]) -> None:
        self._database = database
        self._seconds = rules.lease_seconds
        self._roles = roles
        self._on_lost = on_lost
        self._id: UUID | None = None
        self._let_go = False

    @property
    def id(self) -> UUID:
        """The name under which this process works now."""
        if self._id is None:
            raise RuntimeError("the lease has not been taken yet")
        return self._id

    async def take(self) -> None:
        """Register this process under a fresh id."""
        self._id = await patiently(self._register)

    async def _register(self) -> UUID:
        async with self._database.write() as tx:
            return await workers.register(tx, self._roles, self._seconds * _HELD_SHARE)

    async def keep(self) -> None:
        """Renew until cancelled."""
        while True:
            await asyncio.sleep(self._seconds / _RENEWALS)
            # Without renewal all that runs here would be taken over: go on, whatever happens.
            with outlived("renewing the lease"):
                async with self._database.write() as tx:
                    held = await workers.renew(tx, self.id, self._seconds * _HELD_SHARE)
                if self._let_go:
                    return
                if not held:
                    await self._start_anew()

    async def _start_anew(self) -> None:
        _log.warning("this process was given up for lost; it stops what it runs and starts under a new name")
        self._on_lost()
        await self.take()

    def let_go(self) -> None:
        """This process stops and is about to say so: a lease that is found ended was ended by itself."""
        self._let_go = True

    async def end(self) -> None:
        """Tell the others that this process stops."""
        self.let_go()
        try:
            async with self._database.write() as tx:
                await workers.end(tx, self.id, "stopped")
        except Unavailable:
            _log.warning("the database is away, so others learn of this stop only when the lease has lapsed")
