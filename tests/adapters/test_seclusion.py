"""A command must not read the server's secrets from the server's own process."""

import subprocess
import sys
import textwrap

# As root the process becomes another user first, since nothing is hidden from root; changing the user closes a process
# already, so it is opened again to begin with.
PROGRAM = """
    import ctypes, os, subprocess
    from taskyard.adapters.runners.seclusion import seclude_this_process

    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)

    def attack():
        line = "cat /proc/$PPID/environ; ls -l /proc/$PPID/fd"
        return subprocess.run(["/bin/sh", "-c", line], capture_output=True, env={}, cwd="/").stdout

    before = attack()
    assert b"the-secret" in before and b"->" in before, before
    assert seclude_this_process()
    assert attack() == b""
    print("secluded")
"""


def test_a_command_cannot_read_the_environment_of_a_secluded_worker() -> None:
    argv = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    done = subprocess.run(
        argv, env={"SECRET_KEY": "the-secret", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("secluded\n", "")
