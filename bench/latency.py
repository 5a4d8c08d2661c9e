"""(b) From trigger to start: "run now" at 50 a second, measured until the run is marked as started, and until it runs.

Peer: Celery on Redis, from `delay()` to the first line of the task. Limit: one commit on the same database and the
waking of another task of the event loop.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from bench import figures, yards
from bench.children import Child, Meter, child
from bench.scale import Scale
from bench.servers import Servers
from bench.throughput import URL
from bench.yards import Place
from tests.servers import run_apart

Waits = dict[str, list[float]]
"""Samples in seconds, by what was waited for."""

ASKED_TO_RUNNING = "asked → running"
COMMITTED_TO_STARTED = "committed → started"
COMMITTED_TO_RUNNING = "committed → running"
PERCENTS = (50, 95, 99, 100)
JOBS = 20
"""Triggered in turn: two runs of one job asked for at once wait for each other, as its row is locked."""


@dataclass(slots=True)
class Contestant:
    """One contestant and its samples from all rounds."""

    name: str
    play: Callable[[Servers, Scale], tuple[Waits, float]]
    waits: Waits = field(default_factory=dict[str, list[float]])
    cpu: list[float] = field(default_factory=list[float])

    def turn(self, servers: Servers, scale: Scale) -> None:
        """One round."""
        waits, cpu = self.play(servers, scale)
        self.cpu.append(cpu)
        for what, samples in waits.items():
            self.waits.setdefault(what, []).extend(samples)


def run(servers: Servers, scale: Scale) -> str:
    """Play all rounds; the report."""
    ours = [
        Contestant("Taskyard, SQLite, one process", lambda s, n: _yard(s, n, postgres=False, apart=False)),
        Contestant("Taskyard, PostgreSQL, one process", lambda s, n: _yard(s, n, postgres=True, apart=False)),
        Contestant("Taskyard, PostgreSQL, worker apart", lambda s, n: _yard(s, n, postgres=True, apart=True)),
    ]
    peer = Contestant("Celery, Redis, worker apart", _celery)
    limits = [
        Contestant("limit: SQLite commit, wake-up", lambda s, n: _limit(s, n, postgres=False)),
        Contestant("limit: PostgreSQL commit, wake-up", lambda s, n: _limit(s, n, postgres=True)),
    ]
    for number in range(scale.rounds):
        for contestant in (*ours, peer, *limits):
            scale.note(f"latency, round {number + 1} of {scale.rounds}: {contestant.name}")
            contestant.turn(servers, scale)
    return _report(ours, peer, limits, scale)


def _yard(servers: Servers, scale: Scale, *, postgres: bool, apart: bool) -> tuple[Waits, float]:
    server = servers.postgres if postgres else None
    with yards.new_place(server) as place, ExitStack() as stack:
        job_ids = run_apart(yards.add_jobs(place, [URL] * JOBS))
        since = datetime.now(UTC)

        def start(roles: str) -> Child:
            facts = (",".join(map(str, job_ids)), str(scale.trigger_rate), str(scale.trigger_seconds), roles)
            started = stack.enter_context(child("bench.sides.yard_latency", *place.arguments(), *facts))
            started.hear()
            return started

        worker = start("worker") if apart else start("trigger,worker")
        trigger = start("trigger") if apart else worker
        meter = Meter(*{worker.pid, trigger.pid}, *([server.pid] if server else []))
        trigger.say(go=True)
        asked = trigger.hear()["asked"]
        for each in {worker, trigger}:
            each.say(expected=len(asked))
        running = worker.hear()["started"]
        cpu = meter.micros_each(len(asked))
        worker.ended()
        return _waits(place, since, asked, running), cpu


def _waits(place: Place, since: datetime, asked: dict[str, tuple[float, float]], running: dict[str, float]) -> Waits:
    started = run_apart(yards.started_at(place, since))
    return {
        ASKED_TO_RUNNING: [running[ident] - before for ident, (before, _) in asked.items()],
        COMMITTED_TO_STARTED: [
            started[UUID(ident)][1].timestamp() - committed for ident, (_, committed) in asked.items()
        ],
        COMMITTED_TO_RUNNING: [running[ident] - committed for ident, (_, committed) in asked.items()],
    }


def _celery(servers: Servers, scale: Scale) -> tuple[Waits, float]:
    order = ("trigger", str(scale.trigger_rate), str(scale.trigger_seconds))
    with servers.celery(prefetch=4) as peer, peer.client(*order) as client:
        client.hear()
        meter = Meter(peer.worker.pid, client.pid, servers.redis.pid)
        client.say(go=True)
        stamps: list[tuple[float, float, float]] = client.hear()["stamps"]
        cpu = meter.micros_each(len(stamps))
    waits = {
        ASKED_TO_RUNNING: [running - asked for asked, _, running in stamps],
        COMMITTED_TO_RUNNING: [running - sent for _, sent, running in stamps],
    }
    return waits, cpu


def _limit(servers: Servers, scale: Scale, *, postgres: bool) -> tuple[Waits, float]:
    server = servers.postgres if postgres else None
    with yards.new_place(server) as place:
        url = place.url or f"sqlite:///{Path(place.data_dir) / 'limit.db'}"
        order = ("wake", str(scale.trigger_rate), str(scale.trigger_seconds))
        with child("bench.sides.commits", url, *order) as writer:
            writer.hear()
            meter = Meter(writer.pid, *([server.pid] if server else []))
            writer.say(go=True)
            waits: list[float] = writer.hear()["waits"]
            return {ASKED_TO_RUNNING: waits}, meter.micros_each(len(waits))


def _report(ours: Sequence[Contestant], peer: Contestant, limits: Sequence[Contestant], scale: Scale) -> str:
    rows: list[tuple[str, ...]] = []
    for contestant in (*ours, peer, *limits):
        for what, samples in contestant.waits.items():
            against = peer.waits.get(what, [])
            p50, p99 = (figures.percentile(samples, percent) for percent in (50, 99))
            rows.append(
                (
                    contestant.name,
                    what,
                    *(figures.millis(figures.percentile(samples, percent)) for percent in PERCENTS),
                    figures.ratio(figures.percentile(against, 50), p50),
                    figures.ratio(figures.percentile(against, 99), p99),
                    figures.count(figures.median(contestant.cpu)) if what == ASKED_TO_RUNNING else "",
                )
            )
    head = ("milliseconds", "", "p50", "p95", "p99", "max", "Celery's p50 / this", "Celery's p99 / this", "CPU µs each")
    title = (
        f"### Latency: {scale.trigger_rate:g} triggers a second for {scale.trigger_seconds:g} s, "
        f"rounds, taken together: {scale.rounds}"
    )
    return "\n\n".join((title, figures.table(head, rows)))
