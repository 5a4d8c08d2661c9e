"""The peer's client: sends tasks, lets the worker begin, and watches the results come in.

Arguments: `fill` and how many, or `trigger`, a rate per second and for how many seconds. The worker is started on
another queue, so that it begins when it is told to consume.
"""

import sys
import time
from typing import Any

import redis

from bench.sides.celery_tasks import app
from bench.sides.talk import hear, say

_POLL_SECONDS = 0.01
_START_SECONDS = 60


def main(order: str, *numbers: str) -> None:
    """Do as ordered."""
    _await_worker()
    if order == "fill":
        _fill(int(numbers[0]))
    else:
        _trigger(float(numbers[0]), float(numbers[1]))


def _await_worker() -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not app.control.ping(timeout=0.3):
        if time.monotonic() > deadline:
            raise TimeoutError("the Celery worker did not answer")


def _consume() -> None:
    app.control.add_consumer("celery", reply=False)


def _task(name: str) -> Any:
    return app.tasks[f"bench.sides.celery_tasks.{name}"]


def _fill(count: int) -> None:
    """Send `count` tasks, say so; begin when told and say when the last result was there."""
    results = redis.Redis.from_url(app.conf.result_backend)
    for _ in range(count):
        _task("noop").delay()
    say(ready=True)
    hear()
    began = time.time()
    _consume()
    # The results have a Redis database of their own, so counting its keys counts them, at no cost to the worker.
    while int(results.dbsize()) < count:
        time.sleep(_POLL_SECONDS)
    say(began=began, ended=time.time())


def _trigger(rate: float, seconds: float) -> None:
    """Begin; when told, send at that rate and say for each task when it was asked for, sent and started."""
    _consume()
    stamp = _task("stamp")
    stamp.delay().get(timeout=_START_SECONDS)
    say(ready=True)
    hear()
    sent: list[tuple[float, float, Any]] = []
    first = time.monotonic()
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, first + number / rate - time.monotonic()))
        asked = time.time()
        result: Any = stamp.delay()
        sent.append((asked, time.time(), result))
    stamps = [(asked, told, float(result.get(timeout=_START_SECONDS))) for asked, told, result in sent]
    say(stamps=stamps)


if __name__ == "__main__":
    main(*sys.argv[1:])
