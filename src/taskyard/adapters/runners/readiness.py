"""What stops a command before it starts, told so that its owner can mend it."""

import errno
import os
from pathlib import Path

_REMEDIES = {
    errno.E2BIG: "the command or its environment is too long for this system: put the command into a script file",
    errno.EMFILE: "the worker has too many files open: raise its limit (ulimit -n) or run fewer commands at once",
    errno.ENFILE: "this machine has too many files open: raise fs.file-max or run fewer commands at once",
    errno.EAGAIN: "this machine allows no more processes: raise the limit (ulimit -u) or run fewer commands at once",
    errno.ENOMEM: "this machine has no memory left to start a program: run fewer commands at once",
}


class NotRunnable(Exception):
    """The command cannot be started; the message is one sentence that says why and how to mend it."""


def start_problem(error: OSError | ValueError, shell: str) -> NotRunnable:
    """The sentence for what starting a process raised."""
    if isinstance(error, ValueError):
        return NotRunnable("the command contains a character no program can be given (NUL or half a surrogate)")
    if isinstance(error, FileNotFoundError) and not Path(shell).exists():
        return NotRunnable(f"there is no shell at {shell}: install one to run commands on this machine")
    remedy = _REMEDIES.get(error.errno or 0)
    return NotRunnable(remedy or f"the command could not be started: {error.strerror or error}")


def existing_directory(path: str) -> Path:
    """`path` with every link followed, if a command can be started there; else raises `NotRunnable`."""
    if "\0" in path or not path:
        raise NotRunnable(f"working directory {path!r} is not a path: give the path of an existing directory")
    directory = Path(path)
    if not directory.is_absolute():
        raise NotRunnable(f"working directory {path} is relative: give its full path, beginning with /")
    try:
        resolved = directory.resolve(strict=True)
    except (OSError, RuntimeError):
        raise NotRunnable(f"working directory {path} does not exist: create it or choose another") from None
    if not resolved.is_dir():
        raise NotRunnable(f"working directory {path} is not a directory: choose one that is")
    if not os.access(resolved, os.X_OK):
        raise NotRunnable(f"working directory {path} may not be entered by the worker: change its permissions")
    return resolved


def usual_directory(environment: dict[str, str]) -> Path:
    """Where a command without a working directory starts: at home, as with cron, or at / when there is none."""
    try:
        return existing_directory(environment.get("HOME", "/"))
    except NotRunnable:
        return Path("/")
