"""Bringing down all that a command started: SIGTERM, time to tidy up, SIGKILL until nothing is left.

What belongs to a command: its process group, its session, and every descendant whose line of parents leads there at the
moment of looking. A daemon that left the session *and* whose parent is gone is out of reach; only the sandbox's
process namespace holds it.
"""

import asyncio
import logging
import signal
from collections.abc import Iterable

from taskyard.adapters.runners.process_table import Identity, kill_round, living, send, send_to_group, tree

SHORTEST_PAUSE_SECONDS = 0.001
LONGEST_PAUSE_SECONDS = 0.05
KILL_PATIENCE_SECONDS = 10.0

log = logging.getLogger(__name__)


class ProcessTree:
    """The processes of one command; `root` leads their group and session and must not be reaped before `kill` is done.

    An unreaped root keeps its number, so a group signal can never reach a stranger. `spare_root` leaves the root out
    of SIGTERM: bubblewrap would die of it at once and take the sandbox with it, without a grace.
    """

    def __init__(self, root: int, *, spare_root: bool = False) -> None:
        self._root = root
        self._spare_root = spare_root
        self._known: frozenset[Identity] = frozenset()

    async def terminate(self, grace_seconds: float) -> None:
        """Asks everyone to end, and returns when all have or `grace_seconds` have passed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_seconds
        self._known = await asyncio.to_thread(_ask_to_end, self._root, self._spare_root)
        pause = SHORTEST_PAUSE_SECONDS
        while (left := deadline - loop.time()) > 0:
            members = await asyncio.to_thread(_members, self._root, self._known)
            if not members:
                return
            self._known |= members
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def kill(self) -> None:
        """Kills everyone and returns when nobody lives; a cancellation meanwhile is raised only then.

        A process the kernel will not let die (stuck in a disk or network mount) is waited for 10 s, then logged.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + KILL_PATIENCE_SECONDS
        pause = SHORTEST_PAUSE_SECONDS
        cancelled: asyncio.CancelledError | None = None
        while True:
            try:
                stubborn = await asyncio.to_thread(kill_round, self._root, self._known)
                if not stubborn:
                    break
                self._known |= stubborn
                if loop.time() > deadline:
                    log.warning("processes survive SIGKILL: %s", sorted(pid for pid, _ in stubborn))
                    break
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled


def _members(root: int, known: Iterable[Identity]) -> frozenset[Identity]:
    return frozenset(one.identity for one in tree(living(), root, known))


def _ask_to_end(root: int, spare_root: bool) -> frozenset[Identity]:
    """SIGTERM once to each member: programs commonly take a second one for "at once". SIGCONT wakes stopped ones."""
    members = tree(living(), root)
    asked = [one.identity for one in members if one.pid != root] if spare_root else []
    if not spare_root:
        asked = [one.identity for one in members if one.group != root]
    for number in (signal.SIGTERM, signal.SIGCONT):
        if not spare_root:
            send_to_group(root, number)
        for identity in asked:
            send(identity, number)
    return frozenset(one.identity for one in members)
