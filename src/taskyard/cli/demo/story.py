"""The plot of the demo: what is asked of the yard, and in which order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskyard.cli.demo.receiver import Receiver
from taskyard.cli.demo.scene import SceneReader
from taskyard.domain.errors import Unavailable
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Command, Job, Kind
from taskyard.domain.retries import TRANSIENT, RetryPolicy

if TYPE_CHECKING:
    from taskyard import bootstrap
    from taskyard.domain.actors import Actor
    from taskyard.services.metrics import Metrics

LONGEST_WAIT_SECONDS = 30.0
LOOK_SECONDS = 0.08

BACKUP, REPORT, INVOICES = "backup", "report", "invoices"
BACKUP_LINE = (
    "for part in accounts orders mail pictures; do echo \"saving $part\"; sleep 0.7; done; echo 'all saved, on '$(date)"
)
BODY = '{"job": "{{ job.name }}", "attempt": {{ execution.attempt }}}'


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything the plot moves. `pace` is the pause, in seconds, that a reader gets between chapters."""

    running: "bootstrap.Process"
    actor: "Actor"
    receiver: Receiver
    reader: SceneReader
    pace: float


async def tell(stage: Stage) -> "Metrics":
    """Play the story to its end; the yard's own numbers of it. Raises `Unavailable` when the yard gets stuck."""
    from taskyard.services import metrics

    await _chapter(stage, "A yard opens: jobs on a clock, a subscriber to its dead letters")
    await _furnish(stage)
    await asyncio.sleep(stage.pace)

    await _chapter(stage, "A shell command runs, its output live; a call meets a busy server and is tried again")
    await _run(stage, BACKUP)
    await _run(stage, REPORT)
    await _until(stage, lambda: stage.reader.scene.over(REPORT), "the report")
    await asyncio.sleep(stage.pace)

    await _chapter(stage, "Another server is down for good: the call ends as a dead letter, and its subscriber is told")
    await _run(stage, INVOICES)
    await _until(stage, lambda: stage.reader.scene.over(INVOICES), "the dead letter")
    await _until(stage, lambda: stage.reader.scene.over(Kind.DELIVERY.value), "the delivery")
    await asyncio.sleep(stage.pace)

    await _chapter(stage, "The server is mended, the dead letter is replayed")
    stage.receiver.mended = True
    await _replay(stage)
    await _until(stage, lambda: stage.reader.scene.over(INVOICES), "the replay")
    await _until(stage, lambda: stage.reader.scene.over(BACKUP), "the backup")
    await _chapter(stage, "Everything that happened is in the history")
    async with stage.running.base.database.read() as tx:
        return await metrics.read(tx, stage.actor)


async def _chapter(stage: Stage, title: str) -> None:
    stage.reader.scene.chapter = title
    await stage.reader.refresh()


async def _until(stage: Stage, reached: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(LONGEST_WAIT_SECONDS):
            while not reached():
                await stage.reader.refresh()
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise Unavailable(
            f"The demo waited {LONGEST_WAIT_SECONDS:g} s for {what}; is this machine very busy?"
        ) from None


async def _furnish(stage: Stage) -> None:
    from taskyard.services import calls, jobs, subscriptions

    url = stage.receiver.url
    patient = RetryPolicy(attempts=3, base_seconds=1.2, retry_on=TRANSIENT)
    brief = RetryPolicy(attempts=2, base_seconds=0.8, retry_on=TRANSIENT)
    async with stage.running.base.database.write() as tx:
        await subscriptions.create(tx, stage.actor, url=f"{url}/events", event_types=["execution.dead_lettered"])
        nightly = _job(stage, BACKUP, schedule="30 2 * * *", command=Command(BACKUP_LINE))
        await jobs.create(tx, stage.actor, nightly)
        for name, schedule, policy in ((REPORT, "0 7 * * 1-5", patient), (INVOICES, "*/15 * * * *", brief)):
            job = await jobs.create(tx, stage.actor, _job(stage, name, schedule=schedule, retry=policy))
            await calls.create(
                tx,
                stage.actor,
                job.id,
                url=f"{url}/{name}",
                method="POST",
                headers={"Content-Type": "application/json"},
                body_template=BODY,
            )
    await stage.reader.refresh()


def _job(
    stage: Stage, name: str, *, schedule: str, command: Command | None = None, retry: RetryPolicy | None = None
) -> Job:
    return Job(
        id=new_id(),
        tenant_id=stage.actor.tenant_id,
        name=name,
        kind=Kind.COMMAND if command else Kind.HTTP,
        schedule=schedule,
        timezone="Europe/Berlin",
        command=command,
        retry=retry,
    )


async def _run(stage: Stage, name: str) -> None:
    from taskyard.services import jobs

    ident = next(ident for ident, known in stage.reader.scene.names.items() if known == name)
    async with stage.running.base.database.write() as tx:
        await jobs.run_now(tx, stage.actor, ident)
    await stage.reader.refresh()


async def _replay(stage: Stage) -> None:
    from taskyard.services import executions

    async with stage.running.base.database.write() as tx:
        await executions.replay(tx, stage.actor)
    await stage.reader.refresh()
