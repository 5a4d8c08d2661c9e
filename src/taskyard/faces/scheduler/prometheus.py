"""Metrics in Prometheus' text form (RULINGS §5 D3)."""

import re
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.responses import Response

from taskyard.domain.executions import Status
from taskyard.services.metrics import Metrics

JSON = "application/json"
TEXT = ("text/plain", "application/openmetrics-text")
_REFUSING = re.compile(r"q\s*=\s*0(?:\.0{0,3})?")


def taken(accept: str) -> dict[str, str]:
    """The media ranges that `accept` takes, in lower case and with their parameters, by media type. A weight of 0
    refuses one (RFC 9110 §12.4.2).
    """
    ranges: dict[str, str] = {}
    for each in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        if not any(_REFUSING.fullmatch(parameter) for parameter in parameters):
            ranges.setdefault(kind, ";".join((kind, *parameters)))
    return ranges


def is_asked_for(accept: str) -> bool:
    """Whether a caller with this `Accept` wants Prometheus' form. Who also takes JSON gets JSON, as documented:
    browsers' HTTP clients send "application/json, text/plain, */*".
    """
    kinds = taken(accept)
    return JSON not in kinds and any(kind in kinds for kind in TEXT)


def exposition(found: Metrics, accept: str, process: CollectorRegistry | None, *, queues: bool) -> Response:
    """The numbers of an account, those of the queues if `queues`, and those of the process if given."""
    encode, content_type = choose_encoder(",".join(taken(accept).values()))
    own = CollectorRegistry(auto_describe=False)
    own.register(_Numbers(found, queues=queues))
    body: bytes = encode(own)
    if process is not None:
        # OpenMetrics ends with a mark, which must stand once and last.
        body = body.removesuffix(b"# EOF\n") + encode(process)
    return Response(body, headers={"Content-Type": content_type})


class _Numbers(Collector):
    """One reading as Prometheus' families."""

    def __init__(self, found: Metrics, *, queues: bool) -> None:
        self._found = found
        self._queues = queues

    def collect(self) -> Iterator[Metric]:
        found = self._found
        jobs = GaugeMetricFamily("taskyard_jobs", "Jobs of the account", labels=["enabled"])
        jobs.add_metric(["true"], found.jobs_enabled)
        jobs.add_metric(["false"], found.jobs_total - found.jobs_enabled)
        yield jobs
        executions = GaugeMetricFamily("taskyard_executions", "Executions kept of the account", labels=["status"])
        for status in Status:
            executions.add_metric([status.value], found.executions.by_status.get(status.value, 0))
        yield executions
        yield GaugeMetricFamily(
            "taskyard_execution_duration_average_seconds",
            "Average duration of the account's executions",
            value=found.executions.average_ms / 1000,
        )
        if self._queues:
            yield from self._of_queues()

    def _of_queues(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("taskyard_queue_depth", "Executions in a queue", labels=["queue", "state"])
        age = GaugeMetricFamily(
            "taskyard_queue_oldest_seconds", "Age of the oldest execution that could run", labels=["queue"]
        )
        paused = GaugeMetricFamily("taskyard_queue_paused", "1 while the queue is paused", labels=["queue"])
        for queue in self._found.queues:
            for state, count in (("waiting", queue.waiting), ("delayed", queue.delayed), ("running", queue.running)):
                depth.add_metric([queue.name.value, state], count)
            age.add_metric([queue.name.value], queue.oldest_seconds)
            paused.add_metric([queue.name.value], float(queue.paused_at is not None))
        yield depth
        yield age
        yield paused
