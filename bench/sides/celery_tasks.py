"""The peer's tasks: Celery on Redis with late acknowledgement and a result backend, as its documentation sets it up.

`BENCH_BROKER` and `BENCH_RESULTS` are Redis addresses; `BENCH_PREFETCH` is the prefetch multiplier, 4 unless given.
"""

import os
import time

from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_RESULTS"])
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "4")),
    broker_connection_retry_on_startup=True,
)


@app.task
def noop() -> None:
    """Do nothing."""


@app.task
def stamp() -> float:
    """When it started, in seconds since 1970."""
    return time.time()
