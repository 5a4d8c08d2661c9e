"""The peer, for the storm: APScheduler 3 with its SQL job store in a SQLite file and its pool of threads.

Arguments: the file, base URL, how many jobs, threads, seconds of grace for late starts (0: any). Says when all are due;
says how many calls were made once each job has run, failed or been missed.
"""

import itertools
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_MISSED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import create_engine, event

from bench.sides.talk import hear, say

_ENOUGH = httpx2.Limits(max_connections=200, max_keepalive_connections=200)
_client = httpx2.Client(trust_env=False, timeout=30, limits=_ENOUGH)
_LEAD_SECONDS = 2.0
_FILLED_PER_SECOND = 500


def call(url: str) -> None:
    """GET `url`. Raises when it is not answered with 2xx."""
    _client.get(url).raise_for_status()


def fill(path: Path, base: str, count: int, grace: int | None, due_at: datetime) -> None:
    """Store the jobs, once a year from `due_at` on. Nothing is synced meanwhile: filling is not measured."""
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def hurry(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")

    scheduler = BackgroundScheduler(jobstores={"default": SQLAlchemyJobStore(engine=engine)}, timezone=UTC)
    scheduler.start(paused=True)
    for number in range(count):
        trigger = IntervalTrigger(days=365, start_date=due_at, timezone=UTC)
        scheduler.add_job(call, trigger, args=[f"{base}/{number}"], next_run_time=due_at, misfire_grace_time=grace)
    scheduler.shutdown()
    engine.dispose()


def filled(path: Path, base: str, count: int, grace: int | None) -> datetime:
    """As `fill`, and the moment, shortly ahead, at which all are due."""
    for lead in itertools.count(1):
        due_at = datetime.now(UTC) + timedelta(seconds=(_LEAD_SECONDS + count / _FILLED_PER_SECOND) * lead)
        fill(path, base, count, grace, due_at)
        if datetime.now(UTC) + timedelta(seconds=_LEAD_SECONDS) < due_at:
            return due_at
        path.unlink()
    raise AssertionError


def main(path: Path, base: str, count: int, threads: int, grace: int | None) -> None:
    """Store, run, count."""
    due_at = filled(path, base, count, grace)
    left = threading.Semaphore(0)
    results: list[int] = []

    def ended(told: Any) -> None:
        results.append(told.code)
        left.release()

    scheduler = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(url=f"sqlite:///{path}")},
        executors={"default": ThreadPoolExecutor(threads)},
        timezone=UTC,
    )
    scheduler.add_listener(ended, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR | EVENT_JOB_MISSED)
    scheduler.start()
    say(due_at=due_at.timestamp())
    for _ in range(count):
        left.acquire()
    say(executed=results.count(EVENT_JOB_EXECUTED), missed=results.count(EVENT_JOB_MISSED))
    hear()
    scheduler.shutdown(wait=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]) or None)
