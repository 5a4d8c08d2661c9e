"""The environment a command sees: a few harmless names of the server's, and the run's own.

The list says what may pass, not what may not: a secret that is added to the server tomorrow stays out by itself.
`seclusion` closes the other way to it, through /proc.
"""

import os
import re
from collections.abc import Mapping

from taskyard.adapters.runners.readiness import NotRunnable

PASSED = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL"})
PASSED_PREFIX = "LC_"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def scrubbed(server: Mapping[str, str]) -> dict[str, str]:
    """What of the server's environment a command may see: where programs are, who and where it is, its language."""
    kept = {name: value for name, value in server.items() if name in PASSED or name.startswith(PASSED_PREFIX)}
    return {"PATH": os.defpath, **kept, "TERM": "dumb"}


def command_environment(server: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The scrubbed environment with the run's `own` variables added, which win.

    Raises `NotRunnable` for a name no shell could read or a value no process could be given.
    """
    for name, value in own.items():
        if not _NAME.fullmatch(name):
            raise NotRunnable(
                f"environment variable {name!r} is not a valid name: use letters, digits and underscores, "
                "and do not begin with a digit"
            )
        if "\0" in value:
            raise NotRunnable(f"the value of environment variable {name} contains a NUL byte: remove it")
    return {**scrubbed(server), **own}
