"""The yard's own processes, started by its command line with a short lease."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from tests.processes import Process, Processes, free_port

LEASE_SECONDS = 2
SECRET_KEY = "a secret key of thirty-two bytes."
"""The one the tests' own access to the database uses (see `tests.runtime.yards`)."""


class Members:
    """Starts servers and workers of one yard."""

    def __init__(self, processes: Processes, database_url: str, data_dir: Path) -> None:
        self._processes = processes
        self._environment = {
            "DATABASE_URL": database_url,
            "SECRET_KEY": SECRET_KEY,
            "TASKYARD_DATA_DIR": str(data_dir),
            "TASKYARD_LEASE_SECONDS": str(LEASE_SECONDS),
            "TASKYARD_RETRY_BASE_SECONDS": "0.2",
            "TASKYARD_SHUTDOWN_GRACE_SECONDS": "2",
            "TASKYARD_RATE_LIMITS": "off",
        }

    def worker(self, environment: Mapping[str, str] | None = None) -> Process:
        """A worker with a clock, just started."""
        return self._processes.taskyard("worker", env={**self._environment, **(environment or {})})

    def server(self, environment: Mapping[str, str] | None = None) -> tuple[Process, str]:
        """A server with clock and worker, just started, and its address."""
        port = free_port()
        process = self._processes.taskyard(
            "serve", "--port", str(port), env={**self._environment, **(environment or {})}
        )
        return process, f"http://127.0.0.1:{port}"


async def working(process: Process) -> None:
    """Wait until a worker says that it works."""
    await process.line("Taskyard works", timeout=90)


def integrity(path: Path) -> str:
    """What SQLite itself says of a database file; "ok" when it is whole."""
    with sqlite3.connect(path) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
