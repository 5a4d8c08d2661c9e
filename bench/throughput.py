"""(a) Durable executions per second: queued in the store → engine → worker → no-op runner → finished, fully told.

Peer: Celery on Redis (late acknowledgement, result backend, two prefork processes). Limit: bare inserts per second
on the same databases. Enqueuing is not in the figure: on both sides all work waits before the clock starts.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import figures, yards
from bench.children import Child, Meter, child
from bench.scale import Scale
from bench.servers import Servers
from bench.yards import Place
from tests.servers import run_apart

LONGEST_SECONDS = 300
GROUP = 200
"""Rows per commit of the grouped limit: as many as the yard gathers at most."""
URL = "http://127.0.0.1:9/"


@dataclass(slots=True)
class Contestant:
    """One line of the table: a rate per round, and processor time per execution of workers and of their store."""

    name: str
    play: Callable[[Servers, Scale], tuple[float, float, float]]
    rates: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])
    store_cpu: list[float] = field(default_factory=list[float])

    def turn(self, servers: Servers, scale: Scale) -> None:
        """One round."""
        rate, cpu, store_cpu = self.play(servers, scale)
        self.rates.append(rate)
        self.cpu.append(cpu)
        self.store_cpu.append(store_cpu)

    @property
    def rate(self) -> float:
        """The median round."""
        return figures.median(self.rates)

    @property
    def all_cpu(self) -> float:
        """Of workers and store together: SQLite's work is done in the worker, other stores' elsewhere."""
        return figures.median([sum(both) for both in zip(self.cpu, self.store_cpu, strict=True)])


def run(servers: Servers, scale: Scale) -> str:
    """Play all rounds; the report."""
    ours = [
        Contestant("Taskyard, SQLite, 1 process", lambda s, n: _yard(s, n, postgres=False, processes=1)),
        Contestant("Taskyard, PostgreSQL, 1 process", lambda s, n: _yard(s, n, postgres=True, processes=1)),
        Contestant("Taskyard, PostgreSQL, 2 processes", lambda s, n: _yard(s, n, postgres=True, processes=2)),
    ]
    peers = [
        Contestant("Celery, Redis, 2 processes (prefetch 4)", lambda s, n: _celery(s, n, prefetch=4)),
        Contestant("Celery, Redis, 2 processes (prefetch 50)", lambda s, n: _celery(s, n, prefetch=50)),
    ]
    limits = [
        Contestant("SQLite, one row per commit", lambda s, n: _limit(s, n, postgres=False, group=1)),
        Contestant(f"SQLite, {GROUP} rows per commit", lambda s, n: _limit(s, n, postgres=False, group=GROUP)),
        Contestant("PostgreSQL, one row per commit", lambda s, n: _limit(s, n, postgres=True, group=1)),
        Contestant(f"PostgreSQL, {GROUP} rows per commit", lambda s, n: _limit(s, n, postgres=True, group=GROUP)),
    ]
    for number in range(scale.rounds):
        for contestant in (*ours, *peers, *limits):
            scale.note(f"throughput, round {number + 1} of {scale.rounds}: {contestant.name}")
            contestant.turn(servers, scale)
    return _report(ours, peers, limits, scale)


def _yard(servers: Servers, scale: Scale, *, postgres: bool, processes: int) -> tuple[float, float, float]:
    count = scale.executions
    server = servers.postgres if postgres else None
    with yards.new_place(server) as place, ExitStack() as stack:
        _fill(place, count)
        workers = [stack.enter_context(child("bench.sides.yard_noop", *place.arguments())) for _ in range(processes)]
        for worker in workers:
            worker.hear()
        meter, store = Meter(*(worker.pid for worker in workers)), Meter(*([server.pid] if server else []))
        began = time.time()
        for worker in workers:
            worker.say(go=True)
        ended = _finished(workers, count)
        cpu, store_cpu = meter.micros_each(count), store.micros_each(count)
        for worker in workers:
            worker.say(stop=True)
            worker.ended()
        run_apart(yards.history(place)).require(succeeded=count)
    return count / (ended - began), cpu, store_cpu if server else 0.0


def _fill(place: Place, count: int) -> None:
    [job_id] = run_apart(yards.add_jobs(place, [URL]))
    run_apart(yards.enqueue(place, job_id, count))


def _finished(workers: Sequence[Child], count: int) -> float:
    """The moment at which the workers had finished `count` together."""
    heard: queue.SimpleQueue[tuple[Child, int, float] | None] = queue.SimpleQueue()

    def listen(worker: Child) -> None:
        try:
            while True:
                said = worker.hear()
                heard.put((worker, said["finished"], said["at"]))
        except RuntimeError:
            heard.put(None)

    for worker in workers:
        threading.Thread(target=listen, args=(worker,), daemon=True).start()
    finished = dict.fromkeys(workers, 0)
    while True:
        said = heard.get(timeout=LONGEST_SECONDS)
        if said is None:
            raise RuntimeError("\n".join(["a worker ended early:", *(worker.errors() for worker in workers)]))
        worker, number, at = said
        finished[worker] = number
        if sum(finished.values()) >= count:
            return at


def _celery(servers: Servers, scale: Scale, *, prefetch: int) -> tuple[float, float, float]:
    with servers.celery(prefetch=prefetch) as peer, peer.client("fill", str(scale.peer_executions)) as client:
        client.hear()
        meter, store = Meter(peer.worker.pid), Meter(servers.redis.pid)
        client.say(go=True)
        said = client.hear()
        seconds = said["ended"] - said["began"]
        count = scale.peer_executions
        return count / seconds, meter.micros_each(count), store.micros_each(count)


def _limit(servers: Servers, scale: Scale, *, postgres: bool, group: int) -> tuple[float, float, float]:
    server = servers.postgres if postgres else None
    with yards.new_place(server) as place:
        url = place.url or f"sqlite:///{Path(place.data_dir) / 'limit.db'}"
        with child("bench.sides.commits", url, "rate", str(scale.limit_seconds), str(group)) as writer:
            writer.hear()
            meter, store = Meter(writer.pid), Meter(*([server.pid] if server else []))
            writer.say(go=True)
            rate = float(writer.hear()["rate"])
            rows = rate * scale.limit_seconds
            return rate, meter.micros_each(rows), store.micros_each(rows) if server else 0.0


def _report(ours: Sequence[Contestant], peers: Sequence[Contestant], limits: Sequence[Contestant], scale: Scale) -> str:
    head = ("", "per second (lowest to highest)", "/ Celery (4)", "/ Celery (50)", "CPU µs each", "store's CPU µs each")
    head += ("Celery's (50) CPU / this, both",)
    rows = [
        (
            contestant.name,
            figures.spread(contestant.rates),
            *(figures.ratio(contestant.rate, peer.rate) for peer in peers),
            figures.count(figures.median(contestant.cpu)),
            figures.count(figures.median(contestant.store_cpu)),
            figures.ratio(peers[-1].all_cpu, contestant.all_cpu),
        )
        for contestant in (*ours, *peers)
    ]
    limit_head = ("the bare limit", "rows per second", "ours reaches", "CPU µs each", "store's CPU µs each")
    limit_rows = [
        (
            limit.name,
            figures.spread(limit.rates),
            figures.share(ours[place // 2].rate, limit.rate),
            figures.count(figures.median(limit.cpu)),
            figures.count(figures.median(limit.store_cpu)),
        )
        for place, limit in enumerate(limits)
    ]
    title = (
        f"### Throughput: {scale.executions:,} no-op executions (Celery: {scale.peer_executions:,} tasks), "
        f"rounds: {scale.rounds}, medians"
    )
    return "\n\n".join(
        (
            title,
            figures.table(head, rows),
            figures.table(limit_head, limit_rows),
        )
    )
