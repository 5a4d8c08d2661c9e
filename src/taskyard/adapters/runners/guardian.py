"""The guardian: a tiny process beside the worker, so that `kill -9` of the worker leaves no command running."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, cast

import taskyard
from taskyard.adapters.runners.guardian_program import DEAF_TO
from taskyard.adapters.runners.process_table import entry

# The packages' folder goes behind the standard library, so that nothing in it can take a standard module's place.
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); from taskyard.adapters.runners.guardian_program import main; main()"
)
_PACKAGES = str(Path(taskyard.__file__).parents[1])
_NEEDED_BY_PYTHON = ("LD_LIBRARY_PATH",)


class Guardian:
    """Tells the guardian process which commands run; starts it at the first, and again when it has died.

    No answer is awaited: what is written into the pipe is read even if this process is killed right after. `watch` and
    `forget` raise `OSError` when no guardian can be started.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._watched: dict[int, int] = {}

    @property
    def pid(self) -> int | None:
        """The number of the guardian's process, once there is one."""
        return self._process.pid if self._process else None

    def watch(self, pid: int) -> None:
        """From now on the tree of `pid`, which leads its own session, dies with this process."""
        found = entry(pid)
        if found is None:
            return
        self._watched[pid] = found.started
        try:
            self._tell(f"+{pid} {found.started}\n")
        except OSError:
            del self._watched[pid]
            raise

    def forget(self, pid: int) -> None:
        """The command of `pid` is over and its tree is dead."""
        if self._watched.pop(pid, None) is not None:
            self._tell(f"-{pid}\n")

    async def close(self) -> None:
        """Lets the guardian go; it kills what is still being watched."""
        process, self._process = self._process, None
        self._watched.clear()
        if process is not None:
            _pipe(process).close()
            await asyncio.to_thread(process.wait)

    def _tell(self, line: str) -> None:
        """Writes `line`, or gives a fresh guardian the whole list, of which `line` is part already."""
        process = self._process
        if process is not None and process.poll() is None and _write(process, line):
            return
        if process is not None:
            # Dead, or stopped for so long that the pipe is full: its list is no longer ours, so it must not act on it.
            process.kill()
            process.wait()
            _pipe(process).close()
            self._process = None
        self._process = fresh = _start()
        _write(fresh, "".join(f"+{pid} {started}\n" for pid, started in self._watched.items()))


def _start() -> subprocess.Popen[bytes]:
    # The signals are blocked across the start and the child inherits that: it is deaf before its first instruction.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, DEAF_TO)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, _PACKAGES],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env={name: os.environ[name] for name in _NEEDED_BY_PYTHON if name in os.environ},
            start_new_session=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.set_blocking(_pipe(process).fileno(), False)
    return process


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", process.stdin)


def _write(process: subprocess.Popen[bytes], lines: str) -> bool:
    """Whether all of `lines` went into the pipe."""
    message = lines.encode()
    try:
        return os.write(_pipe(process).fileno(), message) == len(message)
    except (BrokenPipeError, BlockingIOError):
        return False
