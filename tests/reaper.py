"""What the tests start must not outlive them, not even when pytest is killed with SIGKILL.

A small process of its own holds the other end of a pipe. While the tests live it is told which process groups and
folders are theirs; when the pipe ends, however that came about, it ends the groups and removes the folders.
"""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE_SECONDS = 10


class Reaper:
    """The tests' side of the pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        assert self._process.stdin is not None
        self._pipe = self._process.stdin

    def watch(self, group: int, last_signal: signal.Signals = signal.SIGKILL) -> None:
        """The process group `group` is to get `last_signal` at the end, and SIGKILL after ten seconds more."""
        self._tell(f"watch {group} {int(last_signal)}")

    def forget(self, group: int) -> None:
        """The process group has ended; its number may be somebody else's from now on."""
        self._tell(f"forget {group}")

    def remove(self, folder: Path) -> None:
        """`folder` is to be removed at the end."""
        self._tell(f"remove {folder}")

    def close(self) -> None:
        """The end: returns when everything is gone."""
        self._pipe.close()
        self._process.wait(GRACE_SECONDS * 2)

    def _tell(self, line: str) -> None:
        os.write(self._pipe.fileno(), f"{line}\n".encode())


@functools.cache
def reaper() -> Reaper:
    """The reaper of this process, started when first asked for."""
    return Reaper()


def close_reaper() -> None:
    """Ends everything that was started and is not yet gone, if anything was."""
    if reaper.cache_info().currsize:
        reaper().close()
        reaper.cache_clear()


def running(pid: int) -> bool:
    """Whether the process exists and is more than an entry nobody has collected yet."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return not Path("/proc/self/stat").exists()


def send(group: int, number: int) -> None:
    """Signals the whole group; one that has gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def listen() -> None:
    """The reaper's own main: listens until the pipe ends, then cleans up."""
    groups: dict[int, int] = {}
    folders: list[str] = []
    for line in sys.stdin:
        order, _, rest = line.rstrip("\n").partition(" ")
        if order == "watch":
            group, number = map(int, rest.split())
            groups[group] = number
        elif order == "forget":
            groups.pop(int(rest), None)
        else:
            folders.append(rest)
    for group, number in groups.items():
        send(group, number)
        send(group, signal.SIGCONT)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and any(running(group) for group in groups):
        time.sleep(0.02)
    for group in groups:
        send(group, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    listen()
