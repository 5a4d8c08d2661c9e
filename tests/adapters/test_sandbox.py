"""The sandbox: what bubblewrap is told, always; and what a command then can do, where bubblewrap works."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from taskyard.adapters.runners.command import CommandRunner
from taskyard.adapters.runners.readiness import NotRunnable
from taskyard.adapters.runners.sandbox import (
    Sandbox,
    bwrap_argv,
    environment_options,
    sandbox_problem,
    started_inside,
)
from taskyard.domain.runs import Cause, Verdict
from tests.adapters.commands import command, heard, under_way

pytestmark = pytest.mark.anyio


def argv(directory: Path | None, *hidden: Path) -> list[str]:
    return bwrap_argv(
        "/usr/bin/bwrap", ("/bin/sh", "-c", "x"), directory=directory, hidden=hidden, environment_fd=7, status_fd=8
    )


def position(words: list[str], *sequence: str) -> int:
    """Where `sequence` stands in `words`."""
    found = [i for i in range(len(words)) if words[i : i + len(sequence)] == list(sequence)]
    assert len(found) == 1, f"{sequence} in {words}"
    return found[0]


# What bubblewrap is told


def test_the_machine_is_read_only_and_the_directory_is_not(tmp_path: Path) -> None:
    words = argv(tmp_path)
    for option in ("--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"):
        assert option in words
    assert not any(word.startswith("--share-net") or word in ("--unshare-net", "--unshare-all") for word in words)
    position(words, "--cap-drop", "ALL")
    root, tmp = position(words, "--ro-bind", "/", "/"), position(words, "--tmpfs", "/tmp")
    assert root < tmp < position(words, "--bind", str(tmp_path), str(tmp_path))
    position(words, "--chdir", str(tmp_path))
    assert words[-4:] == ["--", "/bin/sh", "-c", "x"]


def test_hidden_paths_are_covered_before_and_inside_the_directory(tmp_path: Path) -> None:
    elsewhere, inside, file = tmp_path / "data", tmp_path / "work" / "data", tmp_path / "key"
    elsewhere.mkdir()
    inside.mkdir(parents=True)
    file.touch()
    words = argv(tmp_path / "work", elsewhere, inside, file, tmp_path / "missing")
    given = position(words, "--bind", str(tmp_path / "work"), str(tmp_path / "work"))
    assert position(words, "--tmpfs", str(elsewhere)) < given < position(words, "--tmpfs", str(inside))
    position(words, "--ro-bind", "/dev/null", str(file))
    assert str(tmp_path / "missing") not in words


def test_without_a_directory_there_is_only_an_empty_tmp(tmp_path: Path) -> None:
    words = argv(None, tmp_path)
    assert "--bind" not in words
    position(words, "--chdir", "/tmp")
    position(words, "--tmpfs", str(tmp_path))


@pytest.mark.parametrize("directory", ["/", "/proc", "/proc/1", "/sys", "/dev/shm"])
def test_a_directory_that_would_undo_the_sandbox_is_refused(directory: str) -> None:
    with pytest.raises(NotRunnable, match="cannot be given to a sandbox"):
        argv(Path(directory))


@pytest.mark.parametrize("below", [".", "keys/deep"])
def test_a_directory_in_the_servers_data_is_refused(tmp_path: Path, below: str) -> None:
    with pytest.raises(NotRunnable, match="lies in the server's own data"):
        argv(tmp_path / below, tmp_path)


def test_a_hidden_path_behind_a_link_is_still_hidden(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    position(argv(None, tmp_path / "link"), "--tmpfs", str(tmp_path / "real"))


def test_the_environment_goes_through_a_descriptor() -> None:
    options = environment_options({"A": "1", "B": "two words\n--bind / /"})
    assert options == b"--clearenv\0--setenv\0A\x001\0--setenv\0B\0two words\n--bind / /\0"


def test_the_status_tells_whether_the_command_ran() -> None:
    assert started_inside(b'{ "child-pid": 12 }\n{ "exit-code": 1 }\n')
    assert not started_inside(b'{ "child-pid": 12 }\n')
    assert not started_inside(b"")


# When it is not there


async def test_bubblewrap_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    problem = await sandbox_problem(Sandbox.BWRAP)
    assert problem is not None
    assert "install it (apt install bubblewrap)" in problem
    assert "TASKYARD_SANDBOX=off" in problem
    async with CommandRunner(sandbox=Sandbox.BWRAP) as runner:
        outcome, _ = await heard(runner, command("echo ran"))
    assert (outcome.verdict, outcome.cause, outcome.error) == (Verdict.FAILED, Cause.NOT_RUNNABLE, problem)


async def test_bubblewrap_cannot_work_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it says and does where user namespaces are forbidden."""
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    problem = await sandbox_problem(Sandbox.BWRAP)
    assert problem is not None
    assert "No permissions to create new namespace" in problem
    async with CommandRunner(sandbox=Sandbox.BWRAP) as runner:
        outcome, output = await heard(runner, command("echo ran"))
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, Cause.NOT_RUNNABLE)
    assert "TASKYARD_SANDBOX=off" in (outcome.error or "")
    assert b"No permissions" in output.stderr
    assert output.stdout == b""


async def test_no_sandbox_has_no_problem() -> None:
    assert await sandbox_problem(Sandbox.OFF) is None


# What a command can do in it


def bwrap_works() -> bool:
    program = shutil.which("bwrap")
    if program is None:
        return False
    probe = [program, "--unshare-pid", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def bubblewrap() -> None:
    if not bwrap_works():
        pytest.skip("bubblewrap is not installed or may not make namespaces on this machine")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "secret.key").write_text("the-secret")
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
async def walled(bubblewrap: None, data: Path) -> AsyncIterator[CommandRunner]:
    async with CommandRunner(sandbox=Sandbox.BWRAP, hidden_paths=(data,), grace_seconds=0.2) as runner:
        yield runner


async def test_it_runs_and_keeps_code_and_streams(walled: CommandRunner, work: Path) -> None:
    assert await sandbox_problem(Sandbox.BWRAP) is None
    line = "echo out; echo err >&2; pwd; ulimit -c; touch made; exit 1"
    outcome, output = await heard(walled, command(line, working_directory=work))
    assert (outcome.cause, outcome.exit_code) == (Cause.EXIT_CODE, 1)
    assert output.stdout.decode().split() == ["out", str(work), "0"]
    assert output.stderr == b"err\n"
    assert (work / "made").exists()


def existing(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.exists()]


@pytest.fixture
def outside() -> Iterator[list[Path]]:
    """Files that must not come to be: in the system, at home, in the real /tmp. Removed if they do."""
    name = f"taskyard-test-{uuid4().hex}"
    files = [Path("/usr") / name, Path.home() / name, Path("/tmp") / name]
    yield files
    for file in files:
        file.unlink(missing_ok=True)


async def test_it_cannot_write_elsewhere_nor_read_the_servers_data(
    walled: CommandRunner, work: Path, data: Path, outside: list[Path]
) -> None:
    usr, home, tmp = outside
    line = f"""
        cat {data}/secret.key; umount {data}; cat {data}/secret.key
        mount -o remount,rw /; touch {usr} {home}; echo mine > {tmp}; cat {tmp}
        unshare -Urm sh -c 'umount {data}; cat {data}/secret.key'
    """
    _, output = await heard(walled, command(line, working_directory=work))
    assert output.stdout == b"mine\n"
    assert b"the-secret" not in output.stderr
    assert existing(outside) == []


async def test_a_link_into_the_servers_data_leads_nowhere(walled: CommandRunner, work: Path, data: Path) -> None:
    (work / "link").symlink_to(data)
    outcome, _ = await heard(walled, command("cat secret.key", working_directory=work / "link"))
    assert outcome.cause is Cause.NOT_RUNNABLE
    _, output = await heard(walled, command("cat link/secret.key", working_directory=work))
    assert output.stdout == b""


async def test_it_sees_neither_other_processes_nor_their_environment(
    walled: CommandRunner, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "the-secret")
    line = "cat /proc/*/environ | tr '\\0' '\\n'; echo; cat /proc/[0-9]*/comm"
    _, output = await heard(walled, command(line, working_directory=work))
    assert b"the-secret" not in output.stdout
    _, seen = output.stdout.rsplit(b"\n\n", 1)
    assert set(seen.split()) <= {b"bwrap", b"sh", b"cat"}


async def test_users_variables_do_not_reach_bubblewrap_itself(walled: CommandRunner, work: Path) -> None:
    """LD_PRELOAD would run the user's library outside the sandbox: only the shell inside may try to load it."""
    environment = {"LD_PRELOAD": str(work / "evil.so"), "TOKEN": "given"}
    line = ': "one process"; echo $TOKEN'
    _, output = await heard(walled, command(line, working_directory=work, environment=environment))
    assert output.stdout == b"given\n"
    assert output.stderr.count(b"evil.so") == 1


async def test_variables_are_not_on_the_command_line(walled: CommandRunner, work: Path) -> None:
    run = command("echo ready; exec sleep 600", working_directory=work, environment={"TOKEN": "the-secret"})
    async with under_way(walled, run) as (_, output):
        await output.lines(1)
        lines = await asyncio.to_thread(command_lines)
    assert any(b"--die-with-parent" in line and str(work).encode() in line for line in lines)
    assert not any(b"the-secret" in line for line in lines)


def command_lines() -> list[bytes]:
    found: list[bytes] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "cmdline").read_bytes())
        except OSError:
            continue
    return found


async def test_sigterm_reaches_the_program_within_its_grace(bubblewrap: None, work: Path) -> None:
    line = "trap 'echo tidied up; touch tidied; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
    async with (
        CommandRunner(sandbox=Sandbox.BWRAP, grace_seconds=3600) as runner,
        under_way(runner, command(line, working_directory=work)) as (task, output),
    ):
        await output.lines(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert output.stdout == b"ready\ntidied up\n"
    assert (work / "tidied").exists()


async def test_even_an_escaped_daemon_dies_with_the_sandbox(walled: CommandRunner, work: Path) -> None:
    line = "setsid sh -c 'touch up; exec sleep 31415926' & while [ ! -e up ]; do sleep 0.01; done"
    outcome, _ = await heard(walled, command(line, working_directory=work))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert not any(b"31415926" in line for line in command_lines())


async def test_the_time_limit_kills_a_deaf_sandbox(walled: CommandRunner, work: Path) -> None:
    line = "trap '' TERM; sleep 27182818 & sleep 27182818"
    async with under_way(walled, command(line, working_directory=work, timeout_seconds=0.5)) as (task, _):
        outcome = await task
    assert outcome.verdict is Verdict.TIMED_OUT
    assert not any(b"27182818" in line for line in command_lines())
