"""Real programs for the tests: started, waited for without fixed sleeps, stopped, frozen, killed, cleaned up."""

import asyncio
import inspect
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, overload

import httpx2

from tests.reaper import reaper, send

POLL_SECONDS = 0.02
SETTINGS = re.compile(
    r"^(TASKYARD_.*|(DATABASE_URL|REDIS_URL|SECRET_KEY|API_KEY|SUPABASE_JWT_SECRET)(_FILE)?)$", re.IGNORECASE
)

T = TypeVar("T")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@overload
async def eventually(check: Callable[[], Awaitable[T | None]], timeout: float = 10, what: str = "") -> T: ...
@overload
async def eventually(check: Callable[[], T | None], timeout: float = 10, what: str = "") -> T: ...
async def eventually(check: Callable[[], object], timeout: float = 10, what: str = "") -> object:
    """Asks `check` (plain or async) every 20 ms until it says something truthy, and returns that.

    What `check` raises comes through at once. Fails the test after `timeout` seconds, naming `what` or the source
    of the check.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout} s: {what or inspect.getsource(check).strip()}")
        await asyncio.sleep(POLL_SECONDS)


def clean_environment() -> dict[str, str]:
    """The environment of the tests without any setting of Taskyard."""
    return {name: value for name, value in os.environ.items() if not SETTINGS.match(name)}


class Process:
    """One program in a session and process group of its own, with its output in the file `log`."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        last_signal: signal.Signals = signal.SIGKILL,
        run_as: pwd.struct_passwd | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as sink:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
                user=run_as.pw_uid if run_as else None,
                group=run_as.pw_gid if run_as else None,
                extra_groups=[] if run_as else None,
            )
        reaper().watch(self.pid, last_signal)

    @property
    def pid(self) -> int:
        """Of the program, and of its process group."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; the negative signal number when a signal ended it."""
        return self._popen.poll()

    def output(self) -> str:
        """All it has written so far, stdout and stderr together."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def terminate(self) -> None:
        """SIGTERM to the program."""
        self._popen.terminate()

    def kill(self) -> None:
        """SIGKILL to the program alone: what it started itself lives on, as in a real crash."""
        self._popen.kill()

    def suspend(self) -> None:
        """SIGSTOP: it stands still and holds all it has."""
        self._popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `suspend`."""
        self._popen.send_signal(signal.SIGCONT)

    async def line(self, pattern: str, timeout: float = 10) -> re.Match[str]:
        """Waits for output that matches `pattern` (a regular expression, `^` and `$` per line)."""
        wanted = re.compile(pattern, re.MULTILINE)

        def look() -> re.Match[str] | None:
            ended = self.returncode is not None
            found = wanted.search(self.output())
            if ended and not found:
                raise AssertionError(self._obituary(f"without a line like {pattern!r}"))
            return found

        return await eventually(look, timeout, f"a line like {pattern!r} in:\n{self.output()}")

    async def answers(self, url: str, status: int = 200, timeout: float = 20) -> None:
        """Waits until GET `url` is answered with `status`."""
        async with httpx2.AsyncClient(trust_env=False, timeout=timeout) as client:

            async def ask() -> bool:
                if self.returncode is not None:
                    raise AssertionError(self._obituary(f"before {url} answered {status}"))
                try:
                    return (await client.get(url)).status_code == status
                except httpx2.TransportError:
                    return False

            await eventually(ask, timeout, f"{status} from {url}")

    async def ended(self, timeout: float = 10) -> int:
        """Waits for its end; the exit code, or the negative signal number."""
        await eventually(lambda: self.returncode is not None, timeout, f"the end of {self._popen.args!r}")
        assert self._popen.returncode is not None
        return self._popen.returncode

    async def stop(self, timeout: float = 10) -> int:
        """SIGTERM and its end, as `ended`."""
        self.terminate()
        return await self.ended(timeout)

    def wait(self, timeout: float) -> int:
        """As `ended`, for code that is not async. Raises `subprocess.TimeoutExpired`."""
        return self._popen.wait(timeout)

    def close(self) -> None:
        """Kills what is left of the whole process group."""
        send(self.pid, signal.SIGKILL)
        self._popen.wait()
        reaper().forget(self.pid)

    def _obituary(self, circumstance: str) -> str:
        return f"{self._popen.args!r} ended with {self.returncode} {circumstance}:\n{self.output()}"


class Processes:
    """Starts programs for one test; `close` ends them all, with all they started in their groups."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Process] = []

    def start(self, *argv: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Process:
        """Starts `argv` in the test's folder; `env` is added to an environment without settings of Taskyard."""
        process = Process(
            argv,
            log=self._folder / f"process-{len(self._started)}.log",
            env={**clean_environment(), "PYTHONUNBUFFERED": "1", **(env or {})},
            cwd=cwd or self._folder,
        )
        self._started.append(process)
        return process

    def taskyard(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Process:
        """Starts `taskyard ARGUMENTS` with the Python of the tests."""
        return self.start(sys.executable, "-m", "taskyard", *arguments, env=env)

    def close(self) -> None:
        """Ends all, and prints what they wrote: pytest shows it beside a failed test."""
        for process in self._started:
            process.close()
            print(f"--- {process.log.name} ({process.returncode})\n{process.output()[-20_000:]}")
