"""The command runner: how a line is run, what is kept of its output, what it gets to see."""

import asyncio
import os
import sys
import tracemalloc
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.adapters.runners.capture import Allowance, split_at_character
from taskyard.adapters.runners.command import CommandRunner
from taskyard.adapters.runners.gated_process import Limits
from taskyard.domain.runs import Cause, Stream, Verdict
from tests.adapters.commands import Counted, Heard, command, heard, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def runner() -> AsyncIterator[CommandRunner]:
    async with CommandRunner(grace_seconds=0.2) as one:
        yield one


def environ_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


# How it ended


async def test_success_keeps_the_streams_apart(runner: CommandRunner) -> None:
    outcome, output = await heard(runner, command("echo out; echo err >&2; printf more"))
    assert (outcome.verdict, outcome.exit_code, outcome.cause) == (Verdict.SUCCEEDED, 0, None)
    assert output.stdout == b"out\nmore"
    assert output.stderr == b"err\n"
    assert outcome.result == {"output_truncated": False, "output_bytes": 12}


async def test_exit_code_is_the_failure(runner: CommandRunner) -> None:
    outcome, _ = await heard(runner, command("exit 3"))
    assert (outcome.verdict, outcome.cause) == (Verdict.FAILED, Cause.EXIT_CODE)
    assert (outcome.exit_code, outcome.error) == (3, "exit code 3")


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (15, "SIGTERM"), (40, "SIGRTMIN+6")])
async def test_a_signal_is_named(runner: CommandRunner, number: int, name: str) -> None:
    outcome, _ = await heard(runner, command(f"kill -{number} $$"))
    assert (outcome.verdict, outcome.cause, outcome.exit_code) == (Verdict.FAILED, Cause.EXIT_CODE, -number)
    assert outcome.error == f"killed by signal {name} ({number})"
    assert outcome.result["signal"] == name


async def test_time_limit(runner: CommandRunner) -> None:
    outcome, output = await heard(runner, command("echo begun; exec sleep 600", timeout_seconds=0.5))
    assert (outcome.verdict, outcome.cause) == (Verdict.TIMED_OUT, Cause.TIMEOUT)
    assert outcome.error == "time limit of 0.5 s passed"
    assert outcome.result["signal"] == "SIGTERM"
    assert output.stdout == b"begun\n"


async def test_the_line_is_the_shells_own_and_reads_nothing(runner: CommandRunner) -> None:
    line = """printf '%s|' "$0" "$#" "it's $((6*7))"; cat; echo end"""
    outcome, output = await heard(runner, command(line))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert output.stdout == b"/bin/sh|0|it's 42|end\n"


async def test_without_pidfd_a_thread_waits(runner: CommandRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    outcome, output = await heard(runner, command("sleep 600 & echo kept; exit 4"))
    assert (outcome.exit_code, output.stdout) == (4, b"kept\n")


async def test_many_at_once_do_not_mix(runner: CommandRunner) -> None:
    lines = [f"echo {number}; sleep 0.05; echo {number}; exit {number}" for number in range(40)]
    ended = await asyncio.gather(*(heard(runner, command(line)) for line in lines))
    assert [outcome.exit_code for outcome, _ in ended] == list(range(40))
    assert [output.stdout for _, output in ended] == [f"{number}\n{number}\n".encode() for number in range(40)]


# Not runnable


@pytest.mark.parametrize(
    ("directory", "says"),
    [
        ("/nowhere/at/all", "does not exist: create it"),
        ("relative/path", "is relative: give its full path"),
        ("/etc/passwd", "is not a directory"),
        ("/tmp/\0", "is not a path"),
    ],
)
async def test_a_wrong_working_directory_says_how_to_mend_it(runner: CommandRunner, directory: str, says: str) -> None:
    outcome, output = await heard(runner, command("echo ran", working_directory=directory))
    assert (outcome.verdict, outcome.cause, outcome.exit_code) == (Verdict.FAILED, Cause.NOT_RUNNABLE, None)
    assert says in (outcome.error or "")
    assert output.chunks == []


@pytest.mark.parametrize(
    ("line", "says"),
    [("echo a\0b", "NUL"), ("echo \ud800", "surrogate"), ("# " + "x" * 200_000, "put the command into a script file")],
)
async def test_a_line_no_system_takes(runner: CommandRunner, line: str, says: str) -> None:
    outcome, _ = await heard(runner, command(line))
    assert outcome.cause is Cause.NOT_RUNNABLE
    assert says in (outcome.error or "")


async def test_no_shell() -> None:
    async with CommandRunner(shell="/bin/no-such-shell") as runner:  # noqa: S604
        outcome, _ = await heard(runner, command("echo ran"))
    assert outcome.cause is Cause.NOT_RUNNABLE
    assert outcome.error == "there is no shell at /bin/no-such-shell: install one to run commands on this machine"


async def test_a_command_does_not_run_without_its_guardian(
    runner: CommandRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/bin/no-such-python")
        outcome, _ = await heard(runner, command("touch ran", working_directory=tmp_path))
    assert outcome.cause is Cause.NOT_RUNNABLE
    assert "may run /bin/no-such-python" in (outcome.error or "")
    assert os.listdir(tmp_path) == []  # noqa: PTH208
    outcome, _ = await heard(runner, command("touch ran", working_directory=tmp_path))
    assert outcome.verdict is Verdict.SUCCEEDED


async def test_no_descriptor_is_left_open(runner: CommandRunner) -> None:
    await heard(runner, command("true"))
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for line in ("echo x", "exit 1", "kill -9 $$", "sleep 600 & echo", "echo a\0b"):
        await heard(runner, command(line))
    await heard(runner, command("sleep 600", timeout_seconds=0.05))
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


# Directory, environment, limits


async def test_working_directory(runner: CommandRunner, tmp_path: Path) -> None:
    _, output = await heard(runner, command("pwd", working_directory=tmp_path))
    assert output.stdout.decode().strip() == str(tmp_path)


async def test_without_a_directory_it_starts_at_home(
    runner: CommandRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _, output = await heard(runner, command("pwd"))
    assert output.stdout.decode().strip() == str(tmp_path)
    monkeypatch.setenv("HOME", "/nowhere")
    _, output = await heard(runner, command("pwd"))
    assert output.stdout == b"/\n"


async def test_the_servers_secrets_are_not_in_the_environment(
    runner: CommandRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "API_KEY", "SUPABASE_JWT_SECRET", "TASKYARD_DATA_DIR"):
        monkeypatch.setenv(name, "the-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
    monkeypatch.setenv("LD_PRELOAD_NOT", "the-secret")
    monkeypatch.setenv("LC_TIME", "C")
    line = "cat /proc/self/environ /proc/$$/environ | tr '\\0' '\\n'; env"
    _, output = await heard(runner, command(line, environment={"MINE": "given", "PATH": "/usr/bin:/bin"}))
    seen = set(output.stdout.decode().splitlines())
    assert b"the-secret" not in output.stdout
    assert {"MINE=given", "LC_TIME=C", "TERM=dumb", "PATH=/usr/bin:/bin"} <= seen
    names = {line.partition("=")[0] for line in seen}
    allowed = {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL", "TERM", "MINE"}
    assert {name for name in names if not name.startswith("LC_")} <= allowed | {"PWD", "OLDPWD", "SHLVL", "_"}


async def test_the_gate_and_the_guardian_carry_no_secrets(
    runner: CommandRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "the-secret")
    await heard(runner, command("true"))
    assert runner.guardian_pid is not None
    assert b"the-secret" not in environ_of(runner.guardian_pid)


@pytest.mark.parametrize(
    "environment", [{"A B": "x"}, {"1A": "x"}, {"": "x"}, {"A=B": "x"}, {"OK": "a\0b"}, {"É": "x"}]
)
async def test_an_impossible_variable_is_refused(runner: CommandRunner, environment: dict[str, str]) -> None:
    outcome, output = await heard(runner, command("echo ran", environment=environment))
    assert outcome.cause is Cause.NOT_RUNNABLE
    assert "environment variable" in (outcome.error or "")
    assert output.chunks == []


async def test_usual_limits(runner: CommandRunner) -> None:
    _, output = await heard(runner, command("ulimit -c; ulimit -Hc; ulimit -n; ulimit -Hn"))
    assert output.stdout.split() == [b"0", b"0", b"1024", b"1024"]


async def test_limits_bind_from_the_first_instruction(tmp_path: Path) -> None:
    limits = Limits(open_files=64, file_size=4096, address_space=2 * 1024**3)
    async with CommandRunner(limits=limits) as runner:
        line = "ulimit -n; ulimit -v; ulimit -n 65 || echo refused; head -c 8192 /dev/zero > big; wc -c < big"
        _, output = await heard(runner, command(line, working_directory=tmp_path))
    assert output.stdout.split() == [b"64", b"2097152", b"refused", b"4096"]


async def test_the_workers_open_files_are_not_handed_down(runner: CommandRunner, tmp_path: Path) -> None:
    with (tmp_path / "database").open("w") as open_file:
        os.set_inheritable(open_file.fileno(), True)
        line = f"ls -l /proc/$$/fd; [ -e /proc/$$/fd/{open_file.fileno()} ] || echo closed"
        _, output = await heard(runner, command(line))
    assert b"closed" in output.stdout
    assert b"/database" not in output.stdout
    assert b"0 -> /dev/null" in output.stdout


# Output


async def test_output_arrives_while_the_program_runs(runner: CommandRunner, tmp_path: Path) -> None:
    class Answering(Heard):
        async def write(self, stream: Stream, data: bytes) -> None:
            await super().write(stream, data)
            if data == b"question\n":
                (tmp_path / "answer").touch()

    output = Answering()
    line = "echo question; while [ ! -e answer ]; do sleep 0.01; done; echo thanks"
    outcome = await runner.run(command(line, working_directory=tmp_path), output)
    assert outcome.verdict is Verdict.SUCCEEDED
    assert output.stdout == b"question\nthanks\n"


async def test_100_mb_pass_in_bounded_memory(runner: CommandRunner) -> None:
    output = Counted()
    run = command("head -c 100000000 /dev/zero", output_limit_bytes=200_000_000)
    tracemalloc.start()
    try:
        outcome = await runner.run(run, output)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert outcome.result == {"output_truncated": False, "output_bytes": 100_000_000}
    assert output.total == 100_000_000
    assert output.longest <= 64 * 1024 + 3
    assert peak < 4 * 1024 * 1024


async def test_after_the_limit_the_program_keeps_running(runner: CommandRunner, tmp_path: Path) -> None:
    line = "head -c 5000000 /dev/zero; echo late >&2; touch came-to-its-end"
    run = command(line, working_directory=tmp_path, output_limit_bytes=70_001)
    output = Counted()
    outcome = await runner.run(run, output)
    assert outcome.verdict is Verdict.SUCCEEDED
    assert outcome.result == {"output_truncated": True, "output_bytes": 5_000_005}
    assert output.total == 70_001
    assert (tmp_path / "came-to-its-end").exists()


async def test_the_limit_counts_both_streams_and_is_inclusive(runner: CommandRunner) -> None:
    line = "printf 12345; printf 67890 >&2"
    outcome, output = await heard(runner, command(line, output_limit_bytes=10))
    assert outcome.result["output_truncated"] is False
    assert output.stdout + output.stderr == b"1234567890"
    outcome, output = await heard(runner, command(line, output_limit_bytes=9))
    assert outcome.result == {"output_truncated": True, "output_bytes": 10}
    assert len(output.stdout + output.stderr) == 9


async def test_the_cut_is_not_within_a_character(runner: CommandRunner) -> None:
    outcome, output = await heard(runner, command("printf 'aé€'", output_limit_bytes=5))
    assert output.stdout.decode() == "aé"
    assert outcome.result == {"output_truncated": True, "output_bytes": 6}


async def test_characters_arrive_whole_and_other_bytes_unchanged(runner: CommandRunner, tmp_path: Path) -> None:
    """The program pauses in the middle of a character until its first byte must have been read."""
    line = r"printf 'x\342'; touch half; while [ ! -e go ]; do sleep 0.01; done; printf '\202\254\377\360\237'"
    output = Heard()

    class Pacing:
        async def write(self, stream: Stream, data: bytes) -> None:
            await output.write(stream, data)
            await until((tmp_path / "half").exists)
            (tmp_path / "go").touch()

    await runner.run(command(line, working_directory=tmp_path), Pacing())
    assert output.stdout == b"x\xe2\x82\xac\xff\xf0\x9f"
    assert output.chunks[0] == (Stream.STDOUT, b"x")
    assert output.chunks[-1][1].endswith(b"\xf0\x9f")


@given(st.text(), st.data())
def test_no_split_of_text_breaks_a_character(text: str, data: st.DataObject) -> None:
    encoded = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)))))
    written: list[bytes] = []
    tail = b""
    for start, end in pairwise([0, *cuts, len(encoded)]):
        whole, tail = split_at_character(tail + encoded[start:end])
        written.append(whole)
    assert tail == b""
    assert "".join(chunk.decode() for chunk in written) == text


@given(st.binary())
def test_a_split_loses_nothing_and_holds_back_little(data: bytes) -> None:
    whole, tail = split_at_character(data)
    assert whole + tail == data
    assert len(tail) <= 3


@given(st.lists(st.binary(max_size=20)), st.integers(0, 100))
def test_what_is_kept_is_the_beginning(chunks: list[bytes], limit: int) -> None:
    allowance = Allowance(limit)
    kept = b"".join(allowance.take(chunk) for chunk in chunks)
    everything = b"".join(chunks)
    assert everything.startswith(kept)
    assert len(kept) <= limit
    assert allowance.total_bytes == len(everything)
    assert allowance.truncated == (len(everything) > limit)
    assert allowance.truncated or kept == everything
