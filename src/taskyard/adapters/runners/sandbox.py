"""The bubblewrap sandbox: the machine read-only, one writable directory, no other process in sight.

What it is for: a command cannot write outside its working directory and /tmp (its own, gone afterwards), cannot read
the server's data directory nor its environment in /proc, and cannot leave a process behind: all of them die with the
sandbox's first. What it is not: the network stays, and files readable by the worker's user stay readable. A command
that signal N killed ends with exit code 128 + N there, for so bubblewrap tells it.
"""

import asyncio
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from taskyard.adapters.runners.readiness import NotRunnable

PROBE_SECONDS = 10.0
REMEDY = "set TASKYARD_SANDBOX=off to run commands without one"

_ISOLATION = (
    "--die-with-parent",
    *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    # Started by root, bubblewrap would leave the command the right to mount: the hidden could be uncovered.
    *("--cap-drop", "ALL"),
    *("--ro-bind", "/", "/"),
    *("--dev", "/dev"),
    *("--proc", "/proc"),
    *("--tmpfs", "/tmp"),  # noqa: S108
)
_SYSTEM_TREES = (Path("/proc"), Path("/sys"), Path("/dev"))


class Sandbox(StrEnum):
    """How commands are walled in (`TASKYARD_SANDBOX`)."""

    OFF = "off"
    BWRAP = "bwrap"


def bwrap_path() -> str:
    """Where bubblewrap is; raises `NotRunnable` when it is not installed."""
    found = shutil.which("bwrap")
    if found is None:
        raise NotRunnable(f"bubblewrap is not installed: install it (apt install bubblewrap), or {REMEDY}")
    return found


def bwrap_argv(
    program: str,
    command: Sequence[str],
    *,
    directory: Path | None,
    hidden: Iterable[Path],
    environment_fd: int,
    status_fd: int,
) -> list[str]:
    """The argument list that runs `command` in a sandbox, in `directory` (resolved) or else in its empty /tmp.

    The environment is read from a descriptor: set on bubblewrap itself, a variable such as LD_PRELOAD would run the
    user's code outside the sandbox, and as an argument it could be read by everyone on the machine. Raises
    `NotRunnable` for a directory that would undo the sandbox.
    """
    return [
        program,
        *_ISOLATION,
        *_mounts(directory, [path.resolve() for path in hidden]),
        *("--chdir", str(directory or "/tmp")),  # noqa: S108
        *("--args", str(environment_fd)),
        *("--json-status-fd", str(status_fd)),
        "--",
        *command,
    ]


def _mounts(directory: Path | None, hidden: Sequence[Path]) -> list[str]:
    """Hides first, then gives the directory, then hides again what lies in it: a later mount covers an earlier one."""
    if directory is None:
        return [option for path in hidden for option in _hide(path)]
    if directory == Path("/") or any(directory.is_relative_to(system) for system in _SYSTEM_TREES):
        raise NotRunnable(
            f"working directory {directory} cannot be given to a sandbox: choose one below it, such as a home"
        )
    if any(directory.is_relative_to(path) for path in hidden):
        raise NotRunnable(f"working directory {directory} lies in the server's own data: choose one outside of it")
    inside = [path for path in hidden if path.is_relative_to(directory)]
    outside = [path for path in hidden if path not in inside]
    return [
        *(option for path in outside for option in _hide(path)),
        *("--bind", str(directory), str(directory)),
        *(option for path in inside for option in _hide(path)),
    ]


def _hide(path: Path) -> tuple[str, ...]:
    """Covers a directory with an empty one and a file with nothing; what is not there cannot be mounted over."""
    if path.is_dir():
        return ("--tmpfs", str(path))
    if path.exists():
        return ("--ro-bind", "/dev/null", str(path))
    return ()


def environment_options(environment: Mapping[str, str]) -> bytes:
    """Options for bubblewrap's `--args` that make `environment`, and nothing else, what the command sees."""
    words = ["--clearenv"]
    for name, value in environment.items():
        words += ["--setenv", name, value]
    return b"".join(os.fsencode(word) + b"\0" for word in words)


def started_inside(status: bytes) -> bool:
    """Whether bubblewrap's status says that the command itself ran to its end: only then it tells an exit code."""
    for line in status.splitlines():
        with suppress(ValueError):
            if "exit-code" in json.loads(line):
                return True
    return False


async def sandbox_problem(sandbox: Sandbox) -> str | None:
    """Why commands cannot run in `sandbox` on this machine, with the remedy; None when they can."""
    if sandbox is Sandbox.OFF:
        return None
    try:
        program = bwrap_path()
    except NotRunnable as reason:
        return str(reason)
    process = await asyncio.create_subprocess_exec(
        *(program, *_ISOLATION, "--", "/bin/sh", "-c", ":"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={},
    )
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        return f"bubblewrap did not answer within {PROBE_SECONDS:g} s: try `bwrap --ro-bind / / true`, or {REMEDY}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return None
    return cannot_start(said.decode(errors="replace").strip())


def cannot_start(said: str) -> str:
    """The sentence for a bubblewrap that is installed and cannot work here; `said` is its own complaint."""
    return (
        f"bubblewrap cannot make a sandbox here ({said or 'it gave no reason'}): "
        f"allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1), or {REMEDY}"
    )
