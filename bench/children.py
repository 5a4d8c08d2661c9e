"""Starting contestants, talking with them, and reading what processor time they took."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.processes import clean_environment
from tests.reaper import reaper, send
from tests.servers import new_folder

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 30
_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class Child:
    """One program in a process group of its own; `say` and `hear` exchange lines of JSON with it."""

    def __init__(self, name: str, popen: "subprocess.Popen[str]", errors: Path) -> None:
        self.name = name
        self._popen = popen
        self._errors = errors

    @property
    def pid(self) -> int:
        """Of the program, and of its process group."""
        return self._popen.pid

    def say(self, **facts: Any) -> None:
        """Tell it something."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps(facts) + "\n")
        self._popen.stdin.flush()

    def hear(self) -> Mapping[str, Any]:
        """What it says next. Raises `RuntimeError` with its error output when it ended instead."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            self._popen.wait()
            raise RuntimeError(f"{self.name} ended with {self._popen.returncode}:\n{self.errors()}")
        return json.loads(line)

    def ended(self) -> None:
        """Wait for its end. Raises `RuntimeError` with its error output when it failed."""
        if self._popen.wait(PATIENCE_SECONDS):
            raise RuntimeError(f"{self.name} ended with {self._popen.returncode}:\n{self.errors()}")

    def errors(self) -> str:
        """The end of what it wrote to stderr."""
        return self._errors.read_text(encoding="utf-8", errors="replace")[-4000:]

    def stop(self) -> None:
        """Ask it to end, and make it after a while; nothing of its group is left."""
        self._popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(PATIENCE_SECONDS)
        send(self.pid, 9)
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()
        reaper().forget(self.pid)
        self._errors.unlink(missing_ok=True)


@functools.cache
def _logs() -> Path:
    """Where error output goes; removed at the latest when all is over."""
    return new_folder("taskyard-bench-logs-")


@functools.cache
def _compiled_once() -> dict[str, str]:
    """Where Python is told to keep no byte code, a folder for it: contestants start many times."""
    if not sys.dont_write_bytecode:
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(new_folder("taskyard-bench-code-"))}


@contextmanager
def child(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> Generator[Child]:
    """`python -m MODULE ARGUMENTS`, running within the block; it inherits no setting of Taskyard."""
    descriptor, name = tempfile.mkstemp(suffix=".log", dir=_logs())
    with os.fdopen(descriptor, "w") as errors:
        popen = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**clean_environment(), "PYTHONUNBUFFERED": "1", **_compiled_once(), **(env or {})},
            cwd=ROOT,
            start_new_session=True,
            text=True,
        )
    reaper().watch(popen.pid)
    started = Child(module, popen, Path(name))
    try:
        yield started
    finally:
        started.stop()


class Meter:
    """Reads the processor time that process trees have taken since it was made. NaN where there is no /proc."""

    def __init__(self, *roots: int) -> None:
        self._roots = roots
        self._before = _cpu_seconds(roots)

    def micros_each(self, count: float) -> float:
        """Microseconds they took since for each of `count` things done meanwhile."""
        return (_cpu_seconds(self._roots) - self._before) * 1e6 / count


def _cpu_seconds(roots: tuple[int, ...]) -> float:
    """Of the processes, their living descendants, and those descendants that ended and were waited for."""
    if not (_PROC / "self" / "stat").exists():
        return float("nan")
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in _PROC.glob("[0-9]*/stat"):
        try:
            facts = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        parents[pid] = int(facts[1])
        # utime, stime, cutime, cstime: proc_pid_stat(5), fields 14 to 17.
        ticks[pid] = sum(map(int, facts[11:15]))
    wanted = set(roots)
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in wanted} - wanted
        grown = bool(more)
        wanted |= more
    return sum(ticks.get(pid, 0) for pid in wanted) / _TICKS
