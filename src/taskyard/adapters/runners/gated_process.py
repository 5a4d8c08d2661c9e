"""A program that is started but waits at a gate until everything about it is in order.

The process is made as a shell that waits for one line; its limits are set and the guardian is told while it waits, and
only then the line is sent and the shell becomes the program. Should the worker die in between, the line never comes and
the shell ends: there is no moment at which a program runs unwatched. No code runs between fork and exec (`preexec_fn`),
which would be unsafe beside threads.
"""

import asyncio
import os
import resource
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from taskyard.adapters.runners.readiness import start_problem

_GATE = 'IFS= read -r _gate_line && exec "$@" </dev/null'


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process of a command may use (setrlimit(2)); None leaves the worker's own limit.

    `core` and `file_size` and `address_space` are in bytes. `processes` counts all processes of the worker's user,
    not only the command's, which is why it is unset unless the operator knows better.
    """

    core: int | None = 0
    open_files: int | None = 1024
    processes: int | None = None
    address_space: int | None = None
    file_size: int | None = None

    def by_resource(self) -> dict[int, int]:
        """The limits that are set, by their number in `resource`."""
        table = {
            resource.RLIMIT_CORE: self.core,
            resource.RLIMIT_NOFILE: self.open_files,
            resource.RLIMIT_NPROC: self.processes,
            resource.RLIMIT_AS: self.address_space,
            resource.RLIMIT_FSIZE: self.file_size,
        }
        return {number: value for number, value in table.items() if value is not None}


class GatedProcess:
    """One started program, leader of its own session, not reaped before `reap`.

    `stdout` and `stderr` are non-blocking descriptors. `on_exit` is called in the event loop when the program ended.
    """

    def __init__(self, process: subprocess.Popen[bytes], on_exit: Callable[[], None]) -> None:
        self._process = process
        self._gate, *outputs = (cast("IO[bytes]", pipe) for pipe in (process.stdin, process.stdout, process.stderr))
        self._outputs = outputs
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self._pidfd: int | None = None
        self.pid = process.pid
        self.ended = False
        self.stdout, self.stderr = (pipe.fileno() for pipe in outputs)
        for descriptor in (self.stdout, self.stderr):
            os.set_blocking(descriptor, False)
        self._await_exit()

    def limit(self, limits: Limits) -> None:
        """Sets the limits while the program waits; never above what the worker itself is allowed."""
        for number, wanted in limits.by_resource().items():
            _, hard = resource.prlimit(self.pid, number)
            value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.prlimit(self.pid, number, (value, value))

    def open_gate(self) -> None:
        """Lets the program begin."""
        with suppress(BrokenPipeError):
            self._gate.write(b"\n")
        self._gate.close()

    def reap(self) -> int | None:
        """The exit code, minus the signal's number if it was killed; None while it lives. Frees its number."""
        return self._process.poll()

    def close(self) -> None:
        """Gives back every descriptor."""
        self._stop_waiting()
        for pipe in (self._gate, *self._outputs):
            pipe.close()

    def discard(self) -> None:
        """Ends a program whose gate was never opened."""
        self._process.kill()
        self.close()
        self._process.wait()

    def _await_exit(self) -> None:
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except OSError:
            # Kernels before 5.3 and some containers have no pidfd: then a thread waits.
            threading.Thread(target=self._await_in_thread, name=f"wait-{self.pid}", daemon=True).start()
        else:
            self._loop.add_reader(self._pidfd, self._exited)

    def _await_in_thread(self) -> None:
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._exited)

    def _exited(self) -> None:
        self._stop_waiting()
        self.ended = True
        self._on_exit()

    def _stop_waiting(self) -> None:
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None


def start(
    argv: Sequence[str],
    *,
    shell: str,
    environment: Mapping[str, str],
    directory: Path,
    on_exit: Callable[[], None],
    pass_fds: Sequence[int] = (),
) -> GatedProcess:
    """Starts `argv` behind its gate; raises `NotRunnable`.

    Call it in the event loop's own thread: bubblewrap's `--die-with-parent` follows the thread that started it.
    """
    try:
        process = subprocess.Popen(
            [shell, "-c", _GATE, shell, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=directory,
            env=dict(environment),
            pass_fds=pass_fds,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise start_problem(error, shell) from error
    return GatedProcess(process, on_exit)
