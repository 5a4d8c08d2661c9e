"""Nothing a command started outlives it: time limits, cancellation, leftovers, and a worker that is killed itself."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio
import pytest

from taskyard.adapters.runners.capture import Capture
from taskyard.adapters.runners.command import CommandRunner
from taskyard.adapters.runners.guardian_program import kill_all, remaining
from taskyard.adapters.runners.process_table import Entry, entry, send, tree
from taskyard.domain.runs import Stream, Verdict
from tests.adapters.commands import Counted, Heard, alive, command, heard, under_way, until

pytestmark = pytest.mark.anyio

# Three generations, all deaf to SIGTERM, one of them in the background; each tells its number.
DEAF_TREE = """
trap '' TERM
sh -c 'echo $$; sh -c "echo \\$\\$; while :; do sleep 0.02; done"; :' &
echo $$
while :; do sleep 0.02; done
"""


@pytest.fixture
async def runner() -> AsyncIterator[CommandRunner]:
    async with CommandRunner(grace_seconds=0.2) as one:
        yield one


@pytest.fixture
async def patient() -> AsyncIterator[CommandRunner]:
    """A runner that would rather wait an hour than send SIGKILL."""
    async with CommandRunner(grace_seconds=3600) as one:
        yield one


# Time limit and cancellation


async def test_the_time_limit_kills_a_deaf_tree(runner: CommandRunner) -> None:
    async with under_way(runner, command(DEAF_TREE, timeout_seconds=3)) as (task, output):
        pids = await output.lines(3)
        assert all(alive(pid) for pid in pids)
        outcome = await task
    assert not any(alive(pid) for pid in pids)
    assert (outcome.verdict, outcome.exit_code) == (Verdict.TIMED_OUT, -signal.SIGKILL)


async def test_cancelling_kills_a_deaf_tree_before_it_returns(runner: CommandRunner) -> None:
    async with under_way(runner, command(DEAF_TREE)) as (task, output):
        pids = await output.lines(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not any(alive(pid) for pid in pids)


async def test_sigterm_comes_first_and_last_words_are_kept(patient: CommandRunner) -> None:
    line = "trap 'echo tidied up; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
    async with under_way(patient, command(line)) as (task, output):
        await output.lines(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert output.stdout == b"ready\ntidied up\n"


async def test_a_child_has_its_grace_when_the_shell_died_at_once(patient: CommandRunner, tmp_path: Path) -> None:
    line = "sh -c 'trap \"sleep 0.2; touch tidied; exit\" TERM; echo ready; while :; do sleep 0.02; done'; echo never"
    async with under_way(patient, command(line, working_directory=tmp_path)) as (task, output):
        await output.lines(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (tmp_path / "tidied").exists()
    assert output.stdout == b"ready\n"


async def test_each_process_is_asked_once(patient: CommandRunner) -> None:
    """A second SIGTERM means "at once" to many servers."""
    line = "trap 'echo asked' TERM; echo ready; n=0; while [ $n -lt 30 ]; do sleep 0.02 & wait; n=$((n+1)); done"
    async with under_way(patient, command(line)) as (task, output):
        await output.lines(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert output.stdout == b"ready\nasked\n"


async def test_a_stopped_tree_can_be_ended(patient: CommandRunner) -> None:
    async with under_way(patient, command("echo $$; kill -STOP $$; echo never")) as (task, output):
        (pid,) = await output.lines(1)
        await until(lambda: b"(sh) T" in Path(f"/proc/{pid}/stat").read_bytes())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not alive(pid)


async def test_a_second_cancellation_cuts_the_grace_short(patient: CommandRunner) -> None:
    line = "trap 'echo heard' TERM; echo $$; while :; do sleep 0.02; done"
    async with under_way(patient, command(line)) as (task, output):
        (pid,) = await output.lines(1)
        task.cancel()
        await output.lines(2)
        assert alive(pid)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not alive(pid)


async def test_an_anyio_scope_cancels_with_grace_too(runner: CommandRunner) -> None:
    output = Heard()
    pids: list[str] = []
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(runner.run, command(DEAF_TREE), output)
            pids = await output.lines(3)
            scope.cancel()
    assert scope.cancelled_caught
    assert not any(alive(pid) for pid in pids)


async def test_a_callers_timeout_stays_the_callers(runner: CommandRunner) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await runner.run(command(DEAF_TREE), Heard())


async def test_an_output_that_cannot_be_written_ends_the_program(runner: CommandRunner) -> None:
    class Full(Heard):
        async def write(self, stream: Stream, data: bytes) -> None:
            await super().write(stream, data)
            raise OSError("disk full")

    output = Full()
    with pytest.raises(OSError, match="disk full"):
        await runner.run(command("echo $$; exec sleep 600"), output)
    assert not alive(output.stdout.decode())


async def test_cancelling_does_not_wait_for_a_stuck_output(runner: CommandRunner) -> None:
    stuck = asyncio.Event()

    class Stuck(Heard):
        async def write(self, stream: Stream, data: bytes) -> None:
            await super().write(stream, data)
            stuck.set()
            await asyncio.Event().wait()

    output = Stuck()
    task = asyncio.create_task(runner.run(command("echo $$; exec sleep 600"), output))
    await stuck.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(output.stdout.decode())


async def test_a_loop_that_is_shut_down_leaves_nothing(tmp_path: Path) -> None:
    """`asyncio.run` cancels all tasks at its end, the runner's own readers among them."""
    program = f"""
        import asyncio
        from taskyard.adapters.runners.command import CommandRunner
        from tests.adapters.commands import Heard, command

        async def main():
            runner = CommandRunner(grace_seconds=0.2)
            output = Heard()
            task = asyncio.create_task(runner.run(command({DEAF_TREE!r}), output))
            print(*await output.lines(3), flush=True)
            loop_is_over_now = task

        asyncio.run(main())
    """
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    pids = done.stdout.split()
    assert len(pids) == 3
    assert not any(alive(pid) for pid in pids)


# Leftovers


async def test_the_end_of_the_shell_is_the_end_of_its_leftovers(runner: CommandRunner) -> None:
    outcome, output = await heard(runner, command("sleep 600 & echo $!; (trap '' TERM HUP; sleep 600) & echo $!"))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert not any(alive(pid) for pid in output.stdout.decode().split())


async def test_a_leftover_with_a_group_of_its_own_dies_too(runner: CommandRunner) -> None:
    outcome, output = await heard(runner, command("set -m; sleep 600 & echo $!"))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert not alive(output.stdout.decode())


async def test_a_child_in_a_session_of_its_own_dies_with_its_parent(runner: CommandRunner) -> None:
    """It ignores SIGTERM and its parent does not: it is an orphan in a foreign session when SIGKILL is due."""
    line = """setsid sh -c 'trap "" TERM; echo $$; while :; do sleep 0.02; done' & wait"""
    async with under_way(runner, command(line)) as (task, output):
        (pid,) = await output.lines(1)
        found = entry(int(pid))
        assert found is not None
        assert found.session == int(pid)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not alive(pid)


@pytest.fixture
def escaped(tmp_path: Path) -> Iterator[Path]:
    """The file a daemon writes its number into; the test's daemon is killed at the end."""
    file = tmp_path / "daemon"
    yield file
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(file.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("daemon", ["exec sleep 600", "exec yes"])
async def test_a_daemon_that_escaped_with_the_pipes_hangs_nobody(
    runner: CommandRunner, escaped: Path, daemon: str
) -> None:
    line = f"echo before; setsid sh -c 'echo $$ > daemon.new; mv daemon.new daemon; {daemon}' & "
    line += "while [ ! -e daemon ]; do sleep 0.01; done; echo after >&2"
    run = command(line, working_directory=escaped.parent, output_limit_bytes=10**12)
    output = Counted()
    outcome = await runner.run(run, output)
    assert outcome.verdict is Verdict.SUCCEEDED
    assert output.by_stream[Stream.STDOUT] >= len(b"before\n")
    assert output.by_stream[Stream.STDERR] == len(b"after\n")


async def test_a_pipe_that_fills_as_fast_as_it_is_read_has_a_last_byte() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    class Refilling(Counted):
        async def write(self, stream: Stream, data: bytes) -> None:
            await super().write(stream, data)
            if self.total < 100_000:
                os.write(writing, data)

    os.write(writing, b"x" * 1000)
    output = Refilling()
    capture = Capture({Stream.STDOUT: reading}, output, 10**9, on_failure=lambda: None)
    await capture.finish()
    os.close(reading)
    os.close(writing)
    assert output.total == 1000


async def test_closing_the_outputs_is_not_the_end(runner: CommandRunner, tmp_path: Path) -> None:
    line = "exec >&- 2>&-; sleep 0.1; touch worked; exit 7"
    outcome, _ = await heard(runner, command(line, working_directory=tmp_path))
    assert outcome.exit_code == 7
    assert (tmp_path / "worked").exists()


# The guardian

WORKER = """
    import asyncio, sys
    from taskyard.adapters.runners.command import CommandRunner
    from tests.adapters.commands import Heard, command

    async def main():
        async with CommandRunner() as runner:
            outputs = [Heard() for _ in sys.argv[1:]]
            runs = [runner.run(command(line), output) for line, output in zip(sys.argv[1:], outputs, strict=True)]
            running = asyncio.gather(*runs)
            for output in outputs:
                print(*await output.lines(3), flush=True)
            print(runner.guardian_pid, flush=True)
            await running

    asyncio.run(main())
"""


@contextmanager
def start_worker(program: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
    """A process that runs commands and is killed, if not by the test then after it."""
    argv = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def line_of(worker: subprocess.Popen[str]) -> list[str]:
    assert worker.stdout is not None
    return worker.stdout.readline().split()


async def test_killing_the_worker_kills_its_commands() -> None:
    session = """setsid sh -c 'echo $$; echo - ; while :; do sleep 0.02; done' & echo $!; wait"""
    with start_worker(WORKER, DEAF_TREE, session) as worker:
        pids = await asyncio.to_thread(line_of, worker)
        pids += [pid for pid in await asyncio.to_thread(line_of, worker) if pid != "-"]
        (guardian,) = await asyncio.to_thread(line_of, worker)
        assert len(pids) == 5
        assert all(alive(pid) for pid in [*pids, guardian])
        # A service manager that stops all processes of a service signals the guardian as well.
        os.kill(int(guardian), signal.SIGTERM)
        worker.kill()
    try:
        await until(lambda: not any(alive(pid) for pid in [*pids, guardian]))
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


async def test_a_worker_killed_before_the_gate_opened_has_run_nothing(tmp_path: Path) -> None:
    program = """
        import asyncio, sys
        from pathlib import Path
        from taskyard.adapters.runners import gated_process

        async def main():
            argv = ("/bin/sh", "-c", "touch ran")
            process = gated_process.start(
                argv, shell="/bin/sh", environment={}, directory=Path(sys.argv[1]), on_exit=lambda: None
            )
            print(process.pid, flush=True)
            await asyncio.Event().wait()

        asyncio.run(main())
    """
    with start_worker(program, str(tmp_path)) as worker:
        (pid,) = await asyncio.to_thread(line_of, worker)
        assert alive(pid)
        worker.kill()
    await until(lambda: not alive(pid))
    assert os.listdir(tmp_path) == []  # noqa: PTH208


async def test_the_guardian_starts_at_the_first_command_and_ends_with_the_runner() -> None:
    async with CommandRunner() as runner:
        assert runner.guardian_pid is None
        await heard(runner, command("true"))
        guardian = runner.guardian_pid
        assert guardian is not None
        await heard(runner, command("true"))
        assert runner.guardian_pid == guardian
        assert alive(guardian)
    assert not alive(guardian)


async def test_a_dead_guardian_is_replaced_and_learns_what_runs(tmp_path: Path) -> None:
    async with CommandRunner(grace_seconds=0.2) as runner:
        async with under_way(runner, command(DEAF_TREE)) as (task, output):
            pids = await output.lines(3)
            first = runner.guardian_pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await until(lambda: not alive(first))
            await heard(runner, command("true"))
            assert runner.guardian_pid != first
            await runner.close()
            outcome = await task
        assert outcome.exit_code == -signal.SIGKILL
        assert not any(alive(pid) for pid in pids)


def test_the_guardians_list() -> None:
    lines = [b"+10 1\n", b"+11 2\n", b"-10\n", b"+12 3\n", b"-99\n", b"\n", b"-1"]
    assert remaining(lines) == {11: 2, 12: 3}


def test_the_guardian_spares_a_number_that_is_somebody_elses_now() -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        found = entry(stranger.pid)
        assert found is not None
        kill_all({stranger.pid: found.started - 1})
        assert not send((stranger.pid, found.started - 1), signal.SIGKILL)
        assert alive(stranger.pid)
        kill_all({stranger.pid: found.started})
        assert stranger.wait() == -signal.SIGKILL


def test_who_belongs_to_a_tree() -> None:
    def process(pid: int, parent: int, group: int, session: int) -> Entry:
        return Entry(pid, parent, group, session, started=pid * 10)

    root = process(10, 1, 10, 10)
    grandchild = process(13, 12, 13, 13)
    own_session = process(12, 10, 12, 12)
    orphan_of_the_group = process(14, 1, 10, 10)
    orphan_of_the_session = process(15, 1, 15, 10)
    known_orphan = process(16, 1, 16, 16)
    reused_number = process(17, 1, 17, 17)
    stranger, worker = process(20, 1, 20, 20), process(1, 0, 1, 1)
    everyone = [
        *(grandchild, own_session, stranger, root, worker),
        *(orphan_of_the_group, orphan_of_the_session, known_orphan, reused_number),
    ]
    members = tree(everyone, 10, known={(16, 160), (17, 999)})
    assert {one.pid for one in members} == {10, 12, 13, 14, 15, 16}
