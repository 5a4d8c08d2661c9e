"""How much is measured: enough to trust, or just enough to see that the benchmarks work (`--quick`)."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of all measures. Rates are per second."""

    rounds: int = 5
    executions: int = 5_000
    peer_executions: int = 2_000
    limit_seconds: float = 2.0
    trigger_rate: float = 50.0
    trigger_seconds: float = 10.0
    due_jobs: int = 5_000

    def note(self, words: str) -> None:
        """Say on stderr what is going on; the report alone goes to stdout."""
        sys.stderr.write(f"{words}\n")
        sys.stderr.flush()


FULL = Scale()
QUICK = Scale(
    rounds=1,
    executions=1_000,
    peer_executions=500,
    limit_seconds=0.5,
    trigger_seconds=2.0,
    due_jobs=200,
)
