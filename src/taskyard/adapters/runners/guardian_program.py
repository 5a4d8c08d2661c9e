"""The guardian's own process: it outlives a killed worker just long enough to kill what that worker had started.

It reads lines from its standard input, `+PID START` for a command that began and `-PID` for one that is over. The end
of that input means the worker is gone, however it went: the kernel closes the pipe even after SIGKILL. What is then
still on the list is killed. Standard library only: it is started without site-packages.
"""

import signal
import sys
import time
from collections.abc import Iterable

from taskyard.adapters.runners.process_table import Identity, entry, kill_round

# Only the end of the worker ends the guardian: whoever stops a whole service signals all its processes.
DEAF_TO = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PAUSE_SECONDS = 0.01
PATIENCE_SECONDS = 10.0


def main() -> None:
    """Listens until the worker is gone, then kills what it left."""
    for number in DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    kill_all(remaining(sys.stdin.buffer))


def remaining(lines: Iterable[bytes]) -> dict[int, int]:
    """The commands that began and are not over, process number to start time; a torn last line is not one."""
    watched: dict[int, int] = {}
    for line in lines:
        if not line.endswith(b"\n"):
            continue
        if line.startswith(b"+"):
            pid, started = line[1:].split()
            watched[int(pid)] = int(started)
        elif line.startswith(b"-"):
            watched.pop(int(line[1:]), None)
    return watched


def kill_all(watched: dict[int, int]) -> None:
    """Kills the trees of `watched` until they are gone; a number that is somebody else's by now is left alone."""
    known: dict[int, frozenset[Identity]] = {
        pid: frozenset() for pid, started in watched.items() if _ours(pid, started)
    }
    deadline = time.monotonic() + PATIENCE_SECONDS
    while known and time.monotonic() < deadline:
        for root in list(known):
            hit = kill_round(root, known[root])
            if hit:
                known[root] |= hit
            else:
                del known[root]
        time.sleep(PAUSE_SECONDS)


def _ours(pid: int, started: int) -> bool:
    """Whether `pid` still names our command: its number is given away only when its group and session are empty."""
    leader = entry(pid)
    return leader is None or leader.started == started
