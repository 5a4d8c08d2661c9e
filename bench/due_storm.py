"""(c) Thousands of HTTP jobs due in the same second: how late their calls arrive at a receiver.

Peer: APScheduler 3 with an SQL job store and its pool of threads. Limit: our guarded HTTP client making as many calls
of the same receiver, with no clock, queue or store; there the time counts from the first call.
"""

import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import figures, yards
from bench.children import Child, Meter, child
from bench.scale import Scale
from bench.servers import Servers
from bench.yards import Place
from tests.servers import new_folder, run_apart

LONGEST_SECONDS = 600
LEAD = timedelta(seconds=3)
"""A clock looks at the database at least once a second."""
AT_ONCE = 100
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Storm:
    """One storm as it arrived: seconds after the due time, in order; processor time in µs for each job."""

    arrived: list[float]
    cpu: float
    started: list[float] = field(default_factory=list[float])


class Receiver:
    """The local receiver, a process of its own."""

    def __init__(self, process: Child) -> None:
        self._process = process
        self.base = f"http://127.0.0.1:{process.hear()['port']}"

    def wait_for(self, count: int) -> None:
        """Until so many different calls have arrived."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while self._count() < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._count()} of {count} calls arrived")
            time.sleep(POLL_SECONDS)

    def lateness(self, since: float) -> list[float]:
        """Of all that arrived, in seconds after `since`; forgets them."""
        self._process.say(all=True)
        return sorted(at - since for at in self._process.hear()["arrived"].values())

    def _count(self) -> int:
        self._process.say(all=False)
        return int(self._process.hear()["count"])


@dataclass(slots=True)
class Contestant:
    """One contestant and its storms."""

    name: str
    play: Callable[[], Storm]
    storms: list[Storm] = field(default_factory=list[Storm])

    def late(self, percent: float) -> float:
        """The percentile of lateness of the median storm."""
        return figures.median([figures.percentile(storm.arrived, percent) for storm in self.storms])


def run(servers: Servers, scale: Scale) -> str:
    """Play all rounds; the report."""
    with ExitStack() as stack:
        receiver = Receiver(stack.enter_context(child("bench.sides.receiver")))
        count = scale.due_jobs
        urls = [f"{receiver.base}/{number}" for number in range(count)]
        scale.note(f"due storm: making {count:,} jobs on both databases")
        sqlite = stack.enter_context(_filled(None, servers, urls))
        postgres = stack.enter_context(_filled("postgres", servers, urls))
        ours = [
            Contestant("Taskyard, SQLite", lambda: _yard(sqlite, receiver, count)),
            Contestant("Taskyard, PostgreSQL", lambda: _yard(postgres, receiver, count)),
        ]
        peers = [
            Contestant("APScheduler, 10 threads", lambda: _apscheduler(receiver, count, 10, 0)),
            Contestant("APScheduler, 50 threads", lambda: _apscheduler(receiver, count, 50, 0)),
            Contestant("APScheduler as it comes (grace 1 s)", lambda: _apscheduler(receiver, count, 10, 1)),
        ]
        limit = Contestant("limit: the client alone", lambda: _limit(receiver, count))
        for number in range(scale.rounds):
            for contestant in (*ours, *peers, limit):
                scale.note(f"due storm, round {number + 1} of {scale.rounds}: {contestant.name}")
                contestant.storms.append(contestant.play())
    return _report(ours, peers, limit, scale)


@contextmanager
def _filled(database: str | None, servers: Servers, urls: list[str]) -> Generator[Place]:
    with yards.new_place(servers.postgres if database else None) as place:
        run_apart(yards.add_jobs(place, urls))
        yield place


def _yard(place: Place, receiver: Receiver, count: int) -> Storm:
    with child("bench.sides.yard_storm", *place.arguments()) as process:
        process.hear()
        due_at = datetime.now(UTC) + LEAD
        run_apart(yards.make_due(place, due_at))
        if datetime.now(UTC) + LEAD / 2 > due_at:
            raise TimeoutError("it took too long to say when the jobs are due")
        meter = Meter(process.pid)
        receiver.wait_for(count)
        while run_apart(yards.history(place)).active:
            time.sleep(POLL_SECONDS)
        cpu = meter.micros_each(count)
        process.say(stop=True)
        process.ended()
    starts = run_apart(yards.started_at(place, due_at))
    started = sorted((at - due).total_seconds() for due, at in starts.values() if due is not None)
    if len(started) != count:
        raise RuntimeError(f"{len(started)} executions for {count} due times")
    return Storm(receiver.lateness(due_at.timestamp()), cpu, started)


def _apscheduler(receiver: Receiver, count: int, threads: int, grace: int) -> Storm:
    folder = new_folder("taskyard-bench-")
    try:
        facts = (str(folder / "jobs.db"), receiver.base, str(count), str(threads), str(grace))
        with child("bench.sides.apscheduler_storm", *facts) as process:
            due_at = float(process.hear()["due_at"])
            meter = Meter(process.pid)
            process.hear()
            cpu = meter.micros_each(count)
        return Storm(receiver.lateness(due_at), cpu)
    finally:
        yards.remove(Path(folder))


def _limit(receiver: Receiver, count: int) -> Storm:
    with child("bench.sides.calls", receiver.base, str(count), str(AT_ONCE), "uvloop") as caller:
        caller.hear()
        meter = Meter(caller.pid)
        caller.say(go=True)
        began = float(caller.hear()["began"])
        return Storm(receiver.lateness(began), meter.micros_each(count))


def _report(ours: Sequence[Contestant], peers: Sequence[Contestant], limit: Contestant, scale: Scale) -> str:
    rows: list[tuple[str, ...]] = []
    for contestant in (*ours, *peers, limit):
        storms = contestant.storms
        # Who left calls out has no last one to compare.
        complete = all(len(storm.arrived) == scale.due_jobs for storm in storms)
        last = contestant.late(100) if complete else math.nan
        rows.append(
            (
                contestant.name,
                figures.count(figures.median([len(storm.arrived) for storm in storms])),
                *(figures.millis(contestant.late(percent)) for percent in (50, 99, 100)),
                *(figures.ratio(last, other.late(100)) for other in (*ours, limit)),
                figures.count(figures.median([storm.cpu for storm in storms])),
            )
        )
    head = ("lateness of arrival, ms", "arrived", "p50", "p99", "last")
    head += ("last / ours, SQLite", "last / ours, PostgreSQL", "last / limit", "CPU µs each")
    begun = [
        (
            contestant.name,
            *(
                figures.millis(
                    figures.median([figures.percentile(storm.started, percent) for storm in contestant.storms])
                )
                for percent in (50, 99, 100)
            ),
        )
        for contestant in ours
    ]
    return "\n\n".join(
        (
            f"### Due storm: {scale.due_jobs:,} HTTP jobs due in the same second, rounds: {scale.rounds}, medians",
            figures.table(head, rows),
            figures.table(("lateness of the start, ms", "p50", "p99", "last"), begun),
        )
    )
