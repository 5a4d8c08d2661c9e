"""Closing this process to its neighbours: a command runs as the worker's own user, who may look into /proc/PID.

A scrubbed environment is worth little while `cat /proc/$PPID/environ` shows the server's. The kernel forbids that for a
process that says it must not be dumped (prctl(2) PR_SET_DUMPABLE, proc(5)): its environment, memory and open files are
then root's to read, and a debugger of the same user cannot attach.
"""

import ctypes
import sys

_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4


def seclude_this_process() -> bool:
    """Closes this process, for good, to others of its user; False where the system has no such thing.

    Call it once at the start of a process that runs commands. It holds nothing back from root: a worker that runs as
    root needs the sandbox. Programs started later are not affected.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0
