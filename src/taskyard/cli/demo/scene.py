"""What the demo shows: all of it read from the yard, nothing made up."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from taskyard.domain.events import Event
from taskyard.domain.executions import ACTIVE, Execution
from taskyard.domain.jobs import Kind

if TYPE_CHECKING:
    from taskyard import bootstrap
    from taskyard.domain.actors import Actor

PAGE = 200


@dataclass(slots=True)
class Scene:
    """The yard at this moment: executions oldest first, all events, the lines printed by commands."""

    chapter: str = ""
    names: dict[UUID, str] = field(default_factory=dict[UUID, str])
    next_runs: dict[str, datetime] = field(default_factory=dict[str, datetime])
    executions: list[Execution] = field(default_factory=list[Execution])
    events: list[Event] = field(default_factory=list[Event])
    lines: list[str] = field(default_factory=list[str])

    def name(self, execution: Execution) -> str:
        """The job's name, or what else it is."""
        return self.names.get(execution.job_id, "") if execution.job_id else execution.kind.value

    def of(self, name: str) -> list[Execution]:
        """The attempts of that job, oldest first."""
        return [each for each in self.executions if self.name(each) == name]

    def over(self, name: str) -> bool:
        """Whether the job, or kind, has run and nothing of it is left to do."""
        attempts = self.of(name)
        return bool(attempts) and all(each.status not in ACTIVE for each in attempts)

    def sentence(self, event: Event) -> str:
        """An event in a few words."""
        named = self.names.get(event.job_id, "") if event.job_id else str(event.data.get("url", ""))
        told = event.data.get("error") or event.data.get("reason") or ""
        attempt = f"attempt {event.data['attempt']}" if "attempt" in event.data else ""
        return " ".join(part for part in (named, attempt, f"({told})" if told else "") if part)


class SceneReader:
    """Reads a running yard into a scene, again and again; `tell` hears of every reading."""

    def __init__(self, running: "bootstrap.Process", actor: "Actor", tell: Callable[[Scene], None]) -> None:
        self.scene = Scene()
        self._tell = tell
        self._database = running.base.database
        self._actor = actor
        self._offset = 0
        self._tail = ""
        self._heard: set[UUID] = set()

    async def refresh(self) -> None:
        """Read what is new."""
        from taskyard.services import deliveries, events, executions, jobs, subscriptions

        scene = self.scene
        async with self._database.read() as tx:
            known, _ = await jobs.page(tx, self._actor, limit=PAGE)
            found, _ = await executions.page(tx, self._actor, limit=PAGE)
            receivers, _ = await subscriptions.page(tx, self._actor)
            for each in receivers:
                found += (await deliveries.page(tx, self._actor, each.id, status=None, skip=0, limit=PAGE))[0]
            last = scene.events[-1].seq if scene.events else 0
            scene.events += await events.history(tx, self._actor, after=last, limit=PAGE)
        scene.names |= {job.id: job.name for job in known}
        scene.next_runs = {job.name: job.next_run_at for job in known if job.next_run_at}
        scene.executions = sorted(found, key=lambda each: (each.created_at, each.id))
        await self._listen()
        self._tell(scene)

    async def _listen(self) -> None:
        """The output of the commands, each to its end: the sample job may come in between."""
        from taskyard.services import outputs

        commands = [each.id for each in self.scene.executions if each.kind is Kind.COMMAND and each.started_at]
        speaking = next((each for each in commands if each not in self._heard), None)
        if speaking is None:
            return
        async with self._database.read() as tx:
            reading = await outputs.read(tx, self._actor, speaking, self._offset)
        self._offset = reading.next_offset
        text = self._tail + b"".join(chunk.content for chunk in reading.chunks).decode(errors="replace")
        *whole, self._tail = text.split("\n")
        self.scene.lines += whole
        if reading.ended:
            self._heard.add(speaking)
            self._offset, self._tail = 0, ""
