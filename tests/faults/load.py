"""Work for a yard that is being maltreated, and the judgement afterwards: nothing lost, stuck, or done twice."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from random import Random
from uuid import UUID

from taskyard.domain.errors import Unavailable
from taskyard.domain.executions import Execution, Status
from taskyard.domain.jobs import Command, Job, Kind
from taskyard.services import calls as call_service
from taskyard.services import events, jobs
from taskyard.store import executions as executions_store
from taskyard.store.database import Tx
from tests.adapters.receiver import Answer, Receiver, answer
from tests.processes import eventually
from tests.runtime.yards import Yard

BODY = '{"execution": "{{ execution.id }}", "run": "{{ execution.run_id }}", "attempt": {{ execution.attempt }}}'
OVER = {Status.SUCCESS, Status.FAILURE, Status.DEAD_LETTER}
YEARLY = "0 0 1 1 *"


@dataclass
class Load:
    """Jobs of three sorts: calls and commands run at once, and calls that have just become due."""

    yard: Yard
    receiver: Receiver
    folder: Path
    random: Random = field(default_factory=lambda: Random(20_261_120))
    runs: list[UUID] = field(default_factory=list[UUID])
    due: list[UUID] = field(default_factory=list[UUID])
    commands: dict[UUID, Path] = field(default_factory=dict[UUID, Path])

    def __post_init__(self) -> None:
        self.receiver.on("/slow", _after(0.2))

    async def give(self, calls: int = 6, due: int = 6, commands: int = 2) -> None:
        """Give a portion of work; it counts as acknowledged once the transaction is committed."""
        async with self.yard.database.write() as tx:
            runs = [await self._call(tx) for _ in range(calls)]
            asked = [(await jobs.run_now(tx, self.yard.actor, job.id)).id for job in runs]
            timed = [await self._call(tx, schedule=YEARLY) for _ in range(due)]
            lines = [await self._command(tx) for _ in range(commands)]
            started = {(await jobs.run_now(tx, self.yard.actor, job.id)).id: marker for job, marker in lines}
        await self.yard.make_due(*timed)
        self.runs += [*asked, *started]
        self.due += [job.id for job in timed]
        self.commands |= started

    async def give_patiently(self) -> None:
        """As `give`, again and again while the database is away."""
        while True:
            with suppress(Unavailable):
                return await self.give()
            await asyncio.sleep(0.1)

    async def _call(self, tx: Tx, schedule: str | None = None) -> Job:
        blank = Job(id=UUID(int=0), tenant_id=self.yard.actor.tenant_id, name="call", schedule=schedule)
        job = await jobs.create(tx, self.yard.actor, blank)
        path = "/slow" if self.random.random() < 0.3 else "/"
        url = self.receiver.url(path)
        await call_service.create(tx, self.yard.actor, job.id, url=url, method="POST", body_template=BODY)
        return job

    async def _command(self, tx: Tx) -> tuple[Job, Path]:
        marker = self.folder / f"marker-{self.random.getrandbits(64):016x}"
        command = Command(f"sleep {self.random.uniform(0, 0.2):.3f}; echo ran >> {marker}")
        blank = Job(
            id=UUID(int=0), tenant_id=self.yard.actor.tenant_id, name="command", kind=Kind.COMMAND, command=command
        )
        return await jobs.create(tx, self.yard.actor, blank), marker

    async def over(self, timeout: float = 90) -> list[Execution]:
        """Wait until all that was asked for has ended; all executions, oldest first."""

        async def look() -> bool:
            with suppress(Unavailable):
                async with self.yard.database.read() as tx:
                    left = "SELECT count(*) FROM executions WHERE status IN ('queued', 'running')"
                    active = (await tx.connection.exec_driver_sql(left)).scalar_one()
                    fired = "SELECT count(*) FROM jobs WHERE schedule IS NOT NULL AND last_run_at IS NOT NULL"
                    return active == 0 and (await tx.connection.exec_driver_sql(fired)).scalar_one() == len(self.due)
            return False

        await eventually(look, timeout, "the end of everything that was asked for")
        return await self.all_executions()

    async def all_executions(self) -> list[Execution]:
        """Every execution of the yard, oldest first."""
        async with self.yard.database.read() as tx:
            found, _ = await executions_store.page(tx, self.yard.actor.tenant_id, limit=100_000)
        return found[::-1]

    async def judge(self) -> list[Execution]:
        """Check the whole history once everything is over; all executions."""
        found = await self.over()
        by_run = {run: list(each) for run, each in groupby(sorted(found, key=_order), key=lambda each: each.run_id)}
        self._nothing_lost(found, by_run)
        self._nothing_twice(by_run)
        await self._history_whole(found)
        return found

    def _nothing_lost(self, found: Sequence[Execution], by_run: dict[UUID, list[Execution]]) -> None:
        assert set(self.runs) <= set(by_run), "an acknowledged run is not there"
        fired = Counter(each.job_id for each in found if each.due_at is not None and each.attempt == 1)
        assert fired == Counter(self.due), "a due time was lost or fired twice"
        for attempts in by_run.values():
            last = attempts[-1]
            assert [each.attempt for each in attempts] == list(range(1, len(attempts) + 1))
            assert last.status is Status.SUCCESS or (last.status, last.reason) == (Status.DEAD_LETTER, "worker lost")
            assert all((each.status, each.reason) == (Status.FAILURE, "worker lost") for each in attempts[:-1])

    def _nothing_twice(self, by_run: dict[UUID, list[Execution]]) -> None:
        for ident, marker in self.commands.items():
            assert len(by_run[ident]) == 1, "a command was started again"
            lines = marker.read_text().count("\n") if marker.exists() else 0
            assert lines <= 1
            assert lines == 1 or by_run[ident][0].status is not Status.SUCCESS
        called = Counter(json.loads(each.body)["execution"] for each in self.receiver.requests)
        assert set(called.values()) <= {1}, "an attempt was made twice"
        calls = [each for attempts in by_run.values() for each in attempts if each.kind is Kind.HTTP]
        assert all(called[str(each.id)] == 1 for each in calls if each.status is Status.SUCCESS)

    async def _history_whole(self, found: Sequence[Execution]) -> None:
        async with self.yard.database.read() as tx:
            told = await events.after(tx, self.yard.actor.tenant_id, 0, limit=1_000_000)
        assert [event.seq for event in told] == list(range(1, len(told) + 1))
        ends = {"execution.succeeded", "execution.failed", "execution.dead_lettered"}
        ended = Counter(event.execution_id for event in told if event.type in ends)
        assert ended == Counter(each.id for each in found)


def lost(found: Sequence[Execution]) -> list[Execution]:
    """The attempts whose worker was lost."""
    return [each for each in found if each.reason == "worker lost"]


def moment(execution: Execution) -> datetime:
    """When an attempt ended."""
    assert execution.finished_at is not None
    return execution.finished_at


def _order(execution: Execution) -> tuple[str, int]:
    return str(execution.run_id), execution.attempt


def _after(seconds: float) -> Answer:
    async def give(received: object, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await answer(200, b"ok")(received, writer)  # pyright: ignore[reportArgumentType]

    return give
