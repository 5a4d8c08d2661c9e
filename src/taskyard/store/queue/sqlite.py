"""PgQueuer's repository port on SQLite: the same engine, worker and tests for both databases.

Semantics follow PgQueuer's own statements: a row is claimed by exactly one dequeue (SQLite has one writer, so a claim
needs no row locks), a claim whose heartbeat is older than the timeout is handed out again, finished rows are removed.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from pgqueuer.adapters.inmemory.driver import InMemoryDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.domain import models, types
from pgqueuer.domain.types import HealthCheckId, QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter
from sqlalchemy import text
from sqlalchemy.sql.elements import TextClause

from taskyard.domain.errors import Unavailable
from taskyard.domain.hints import Hint, WorkQueued
from taskyard.store.columns import from_micros, to_micros
from taskyard.store.database import Database

# Lists are handed over as JSON: SQLAlchemy would spell out a list of its own for every length, each time anew.
_ANY_CLAIMABLE = text(
    """
    SELECT EXISTS (
        SELECT 1 FROM pgqueuer
        WHERE status = 'queued' AND entrypoint IN (SELECT value FROM json_each(:entrypoints)) AND execute_after <= :now
    ) OR EXISTS (
        SELECT 1 FROM pgqueuer
        WHERE status = 'picked' AND entrypoint IN (SELECT value FROM json_each(:entrypoints)) AND heartbeat < :stale
    )
    """
)
# Two ordered index scans joined, so that a long backlog is never sorted.
_CLAIM = text(
    """
    UPDATE pgqueuer SET status = 'picked', updated = :now, heartbeat = :now, queue_manager_id = :manager
    WHERE id IN (
        SELECT id FROM (
            SELECT id, priority FROM (
                SELECT id, priority FROM pgqueuer INDEXED BY ix_pgqueuer_order
                WHERE status = 'queued' AND entrypoint IN (SELECT value FROM json_each(:entrypoints))
                AND execute_after <= :now
                ORDER BY priority DESC, id LIMIT :size
            )
            UNION ALL
            SELECT id, priority FROM pgqueuer
            WHERE status = 'picked' AND heartbeat < :stale AND entrypoint IN (SELECT value FROM json_each(:entrypoints))
        ) ORDER BY priority DESC, id LIMIT min(:size, max(0, :cap - (
            SELECT count(*) FROM pgqueuer WHERE status = 'picked' AND queue_manager_id = :manager
        )))
    )
    RETURNING id, priority, created, updated, heartbeat, execute_after, entrypoint, payload, attempts
    """
)
_REMOVE = text("DELETE FROM pgqueuer WHERE id IN (SELECT value FROM json_each(:ids))")
_BEAT = text(
    "UPDATE pgqueuer SET heartbeat = :now WHERE status = 'picked' AND id IN (SELECT value FROM json_each(:ids))"
)
_PUT_BACK = text(
    "UPDATE pgqueuer SET status = 'queued', execute_after = :at, updated = :now, attempts = attempts + 1, "
    "queue_manager_id = NULL WHERE id = :id"
)
_QUEUED = text(
    """
    SELECT count(*) FROM pgqueuer
    WHERE status = 'queued' AND entrypoint IN (SELECT value FROM json_each(:entrypoints))
    """
)
_READY = text(
    """
    SELECT 1 FROM pgqueuer
    WHERE status = 'queued' AND entrypoint IN (SELECT value FROM json_each(:entrypoints)) AND execute_after <= :now
    LIMIT 1
    """
)
_SOONEST = text(
    """
    SELECT min((
        SELECT execute_after FROM pgqueuer
        WHERE status = 'queued' AND entrypoint = named.value AND execute_after > :now
        ORDER BY execute_after LIMIT 1
    )) FROM json_each(:entrypoints) AS named
    """
)
_VERSION = text("SELECT data_version FROM pragma_data_version")
_NO_CAP = 2**31
LOOK_SECONDS = 0.1
"""How often to look for commits of other processes, which nothing else would tell of."""


class Wakeups(InMemoryDriver):
    """PgQueuer's notifications, within this process."""

    def tell(self, channel: str, payload: str) -> None:
        """Deliver `payload` to all listeners at once; unlike `notify`, callable from a commit hook."""
        for listener in tuple(self._listeners[channel]):
            listener(payload)


class SqliteRepository:
    """What `QueueManager` needs of its repository; `driver` carries the wake-ups."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.driver = Wakeups()
        self.qbe = QueryBuilderEnvironment()
        self._woken = False
        self._left_behind = False

    async def dequeue(
        self,
        batch_size: int,
        entrypoints: dict[QueueEntrypoint, EntrypointExecutionParameter],
        queue_manager_id: QueueManagerId,
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> list[models.Job]:
        """Claim up to `batch_size` rows, best priority first, then oldest; stale claims compete with fresh ones."""
        woken, self._woken = self._woken, False
        names = [str(name) for name in entrypoints]
        if not names:
            return []
        now = self._now()
        facts = {
            "entrypoints": json.dumps(names),
            "now": now,
            "stale": now - heartbeat_timeout // timedelta(microseconds=1),
        }
        # Asking first spares the others the write lock; a wake-up has answered already.
        if not woken and not await self._count(_ANY_CLAIMABLE, facts):
            return []
        cap = _NO_CAP if global_concurrency_limit is None else global_concurrency_limit
        facts |= {"manager": str(queue_manager_id), "size": batch_size, "cap": cap}
        async with self._database.write() as tx:
            rows = (await tx.connection.execute(_CLAIM, facts)).mappings().all()
        claimed = [_job(row, queue_manager_id) for row in rows]
        return sorted(claimed, key=lambda job: (-job.priority, job.id))

    async def log_jobs(
        self, job_status: list[tuple[models.Job, types.JOB_STATUS, models.TracebackRecord | None]]
    ) -> None:
        """Remove ended rows. How they ended is told by executions and events, so no second log is kept."""
        await self._write(_REMOVE, {"ids": json.dumps([job.id for job, _, _ in job_status])})
        if self._left_behind:
            # What was ready and beyond this manager's cap has room now.
            self._wake()

    async def retry_job(
        self,
        job: models.Job,
        delay: timedelta,
        traceback_record: models.TracebackRecord | None,  # noqa: ARG002  the port names it
    ) -> None:
        """Put a claimed row back, to be handed out again after `delay`."""
        now = self._now()
        await self._write(_PUT_BACK, {"id": job.id, "now": now, "at": now + delay // timedelta(microseconds=1)})

    async def update_heartbeat(self, job_ids: list[types.JobId]) -> None:
        """Say that the claims `job_ids` are alive."""
        await self._write(_BEAT, {"ids": json.dumps(job_ids), "now": self._now()})

    async def queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        """How many rows wait, ready or delayed."""
        return await self._count(_QUEUED, {"entrypoints": json.dumps(entrypoints)})

    async def eligible_queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        """Whether any row is ready (1) or none (0); the engine only asks for more than zero."""
        ready = await self._count(_READY, {"entrypoints": json.dumps(entrypoints), "now": self._now()})
        self._left_behind = ready > 0
        return ready

    async def next_deferred_eta(self, entrypoints: list[QueueEntrypoint]) -> timedelta | None:
        """How long until the next delayed row is ready."""
        now = self._now()
        soonest = await self._database.ask(_SOONEST, {"entrypoints": json.dumps(entrypoints), "now": now})
        return None if soonest is None else timedelta(microseconds=soonest - now)

    async def aggregate_logs(self) -> None:
        """Nothing to fold: there is no log beside the executions."""

    async def notify_health_check(self, health_check_event_id: HealthCheckId) -> None:
        """Answer the engine's probe of its own wake-up channel."""
        self._tell({"type": "health_check_event", "id": str(health_check_event_id)})

    async def has_table(self, table: str) -> bool:
        """The migrations answer for the structure, so every question of the start-up check is a yes."""
        return bool(table)

    async def table_has_column(self, table: str, column: str) -> bool:
        """See `has_table`."""
        return bool(table and column)

    async def table_has_index(self, table: str, index: str) -> bool:
        """See `has_table`."""
        return bool(table and index)

    async def has_user_defined_enum(self, key: str, enum: str) -> bool:
        """See `has_table`."""
        return bool(key and enum)

    def _now(self) -> int:
        return to_micros(self._database.clock())

    async def _count(self, statement: TextClause, facts: dict[str, Any]) -> int:
        return int(await self._database.ask(statement, facts) or 0)

    async def _write(self, statement: TextClause, facts: dict[str, Any]) -> None:
        async with self._database.write() as tx:
            await tx.connection.execute(statement, facts)

    def wake(self, hints: Sequence[Hint]) -> None:
        """Let the engine look at once when a commit brought work."""
        if any(isinstance(hint, WorkQueued) for hint in hints):
            self._wake()

    async def watch_others(self) -> None:
        """Let the engine look when anybody has committed, until cancelled. A look that finds no change costs little."""
        seen = None
        while True:
            with suppress(Unavailable):
                version = await self._database.ask(_VERSION, {})
                if seen not in (None, version):
                    self._tell_of_change()
                seen = version
            await asyncio.sleep(LOOK_SECONDS)

    def _wake(self) -> None:
        self._woken = True
        self._tell_of_change()

    def _tell_of_change(self) -> None:
        self._tell({"type": "table_changed_event", "operation": "insert", "table": "pgqueuer"})

    def _tell(self, event: dict[str, Any]) -> None:
        channel = self.qbe.settings.channel
        stamped = event | {"channel": channel, "sent_at": datetime.now(UTC).isoformat()}
        self.driver.tell(channel, json.dumps(stamped))


def _job(row: Any, manager: QueueManagerId) -> models.Job:
    # Built without validation: the rows are our own, and this is the engine's hottest loop.
    return models.Job.model_construct(
        id=types.JobId(row["id"]),
        priority=row["priority"],
        created=from_micros(row["created"]),
        updated=from_micros(row["updated"]),
        heartbeat=from_micros(row["heartbeat"]),
        execute_after=from_micros(row["execute_after"]),
        status="picked",
        entrypoint=QueueEntrypoint(row["entrypoint"]),
        payload=row["payload"],
        attempts=row["attempts"],
        queue_manager_id=manager,
        slot=None,
        headers=None,
    )
