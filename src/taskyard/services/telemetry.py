"""Instruments of one process, in Prometheus' terms. Counts of the whole yard come from the database (`metrics`)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


class Telemetry:
    """What this process counts and times; a registry of its own, so that several yards fit in one test process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.begun = Counter(
            "taskyard_executions_begun", "Executions this process began", ["kind"], registry=self.registry
        )
        self.finished = Counter(
            "taskyard_executions_finished",
            "Executions this process ended, by verdict",
            ["kind", "verdict"],
            registry=self.registry,
        )
        self.duration = Histogram(
            "taskyard_execution_duration_seconds",
            "How long runs took",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.start_latency = Histogram(
            "taskyard_execution_start_latency_seconds",
            "From the moment an execution could run to its beginning",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge("taskyard_executions_in_flight", "Runs under way here", registry=self.registry)
        self.fired = Counter("taskyard_clock_fired", "Due times this clock decided", registry=self.registry)
        self.lateness = Histogram(
            "taskyard_clock_lateness_seconds",
            "How late the latest due time of each pass was",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.loop_lag = Histogram(
            "taskyard_event_loop_lag_seconds",
            "How much later than asked for the event loop woke a sleeper",
            buckets=_SECONDS,
            registry=self.registry,
        )

    def render(self) -> bytes:
        """All instruments in the text format a Prometheus server scrapes."""
        return generate_latest(self.registry)
