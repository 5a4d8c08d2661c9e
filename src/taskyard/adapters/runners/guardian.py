"""The guardian: a tiny process beside the worker, so that `kill -9` of the worker leaves no command running."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import taskyard
from taskyard.adapters.runners.process_table import entry

# The packages' folder goes behind the standard library, so that nothing in it can take a standard module's place.
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from taskyard.adapters.runners.guardian_program import main; main()"
)
_PACKAGES = str(Path(taskyard.__file__).parents[1])


class Guardian:
    """Tells the guardian process which commands run; starts it at the first, and again when it has died.

    No answer is awaited: what is written into the pipe is read even if this process is killed right after. `watch` and
    `forget` raise `OSError` only when no guardian can be started.
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
        if self._process is None or self._process.poll() is not None:
            self._start()
        else:
            self._tell(f"+{pid} {found.started}\n")

    def forget(self, pid: int) -> None:
        """The command of `pid` is over and its tree is dead."""
        if self._watched.pop(pid, None) is not None and self._process is not None:
            self._tell(f"-{pid}\n", restart=bool(self._watched))

    async def close(self) -> None:
        """Lets the guardian go; it kills what is still being watched."""
        process, self._process = self._process, None
        self._watched.clear()
        if process is not None:
            _hang_up(process)
            await asyncio.to_thread(process.wait)

    def _start(self) -> None:
        """A fresh guardian that knows every command now running."""
        if self._process is not None:
            _hang_up(self._process)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, _PACKAGES],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env={},
            start_new_session=True,
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        self._tell("".join(f"+{pid} {started}\n" for pid, started in self._watched.items()), restart=False)

    def _tell(self, lines: str, *, restart: bool = True) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        message = lines.encode()
        written: int | None = None
        with suppress(BrokenPipeError):
            written = self._process.stdin.write(message)
        if written != len(message) and restart:
            # Dead, or stopped for so long that the pipe is full: its list is no longer ours.
            self._process.kill()
            self._process.wait()
            self._start()


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
