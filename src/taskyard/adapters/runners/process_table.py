"""The machine's process table as /proc tells it, and signals to a whole tree of processes.

Only the standard library is used and nothing of asyncio: the guardian runs this file without site-packages.
A process is named by its number *and* its start time, so a number that the kernel gave away again is never signalled.
"""

import os
import signal
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

Identity = tuple[int, int]


class Entry(NamedTuple):
    """One living process; `started` is in clock ticks since boot."""

    pid: int
    parent: int
    group: int
    session: int
    started: int

    @property
    def identity(self) -> Identity:
        return (self.pid, self.started)


def entry(pid: int) -> Entry | None:
    """The living process `pid`, or None when there is none or only its zombie."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 4096)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return _parsed(pid, text)


def _parsed(pid: int, text: bytes) -> Entry | None:
    # proc_pid_stat(5): the name in parentheses may contain anything, so fields are counted from its last bracket.
    fields = text[text.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    state, threads = fields[0], int(fields[17])
    # A process whose first thread has ended shows as a zombie while its other threads run on.
    if state in (b"Z", b"X") and threads <= 1:
        return None
    return Entry(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def living() -> list[Entry]:
    """Every living process this one may see."""
    found = (entry(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208
    return [one for one in found if one is not None]


def tree(entries: Iterable[Entry], root: int, known: Iterable[Identity] = ()) -> list[Entry]:
    """The members of `root`'s tree: its group and session, those `known` as members before, and all their children.

    `known` keeps a member that changed its session and then lost its parent.
    """
    remembered = frozenset(known)
    children: defaultdict[int, list[Entry]] = defaultdict(list)
    members: dict[int, Entry] = {}
    for one in entries:
        children[one.parent].append(one)
        if root in (one.pid, one.group, one.session) or one.identity in remembered:
            members[one.pid] = one
    unvisited = list(members)
    while unvisited:
        for child in children[unvisited.pop()]:
            if child.pid not in members:
                members[child.pid] = child
                unvisited.append(child.pid)
    return list(members.values())


def send(target: Identity, number: signal.Signals) -> bool:
    """Signals exactly the process `target`; False when it is gone or not ours to signal (it became another user)."""
    pid, started = target
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return _send_by_number(target, number)
    try:
        found = entry(pid)
        if found is None or found.started != started:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(descriptor)
    return True


def _send_by_number(target: Identity, number: signal.Signals) -> bool:
    """For kernels and containers without pidfd_open."""
    found = entry(target[0])
    if found is None or found.identity != target:
        return False
    try:
        os.kill(target[0], number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def send_to_group(group: int, number: signal.Signals) -> None:
    """Signals a process group at once; the caller knows that `group` still is the one it means."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def kill_round(root: int, known: Iterable[Identity] = ()) -> frozenset[Identity]:
    """Sends SIGKILL to the whole tree of `root` and returns whom: the tree is dead when nobody is left to be sent it.

    One round is not always enough: a process can fork between the look and the signal. The look comes first, because
    the children of a dead parent can no longer be told from strangers.
    """
    members = tree(living(), root, known)
    send_to_group(root, signal.SIGKILL)
    return frozenset(one.identity for one in members if send(one.identity, signal.SIGKILL))
