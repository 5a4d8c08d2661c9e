"""The command runner: a shell line as a process tree of its own, its output as it comes, and nothing left behind.

    start behind the gate -> limits, guardian -> gate open -> output flows
      ended by itself ------------------------------------+
      time limit, cancelled, output cannot be written      +-> SIGKILL what is left -> last output -> reaped
        -> SIGTERM to the tree, grace --------------------+

The program's end is the run's end: what it left in the background is killed, not waited for.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import anyio

from taskyard.adapters.runners import gated_process
from taskyard.adapters.runners.capture import Capture
from taskyard.adapters.runners.command_outcome import facts_of, judged
from taskyard.adapters.runners.environment import command_environment, scrubbed
from taskyard.adapters.runners.gated_process import GatedProcess, Limits
from taskyard.adapters.runners.guardian import Guardian
from taskyard.adapters.runners.process_tree import ProcessTree
from taskyard.adapters.runners.readiness import NotRunnable, existing_directory, usual_directory
from taskyard.adapters.runners.sandbox import (
    Sandbox,
    bwrap_argv,
    bwrap_path,
    cannot_start,
    environment_options,
    started_inside,
)
from taskyard.domain.runs import Cause, CommandRun, Outcome, Output, Stream, Verdict

SHELL = "/bin/sh"
GRACE_SECONDS = 5.0


@dataclass(slots=True)
class _Started:
    """One command under way: its process, its tree, and where bubblewrap tells how it went."""

    process: GatedProcess
    tree: ProcessTree
    over: asyncio.Event
    status_fd: int | None

    def sandbox_failed(self, code: int | None) -> bool:
        """Whether bubblewrap gave up before the command began: its own errors end in code 1 and without a status."""
        return code == 1 and self.status_fd is not None and not started_inside(_read_all(self.status_fd))


class CommandRunner:
    """Runs shell lines; implements `domain.runs.Runner[CommandRun]`.

    Use it as an async context manager or call `close` at the end; runs under way must have ended or been cancelled
    before. `hidden_paths` are covered in the sandbox. `grace_seconds` is the time between SIGTERM and SIGKILL; a second
    cancellation cuts it short.
    """

    def __init__(
        self,
        *,
        sandbox: Sandbox = Sandbox.OFF,
        limits: Limits | None = None,
        hidden_paths: tuple[Path, ...] = (),
        grace_seconds: float = GRACE_SECONDS,
        shell: str = SHELL,
    ) -> None:
        self._sandbox = sandbox
        self._limits = limits or Limits()
        self._hidden_paths = hidden_paths
        self._grace_seconds = grace_seconds
        self._shell = shell
        self._guardian = Guardian()

    async def __aenter__(self) -> "CommandRunner":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def guardian_pid(self) -> int | None:
        """The process that kills commands should this one be killed; None before the first command."""
        return self._guardian.pid

    async def close(self) -> None:
        """Ends the guardian."""
        await self._guardian.close()

    async def run(self, run: CommandRun, output: Output) -> Outcome:
        """Runs the line to its end and tells how it went; never raises for a failing command.

        Raises `CancelledError` and whatever `output.write` raised, both only after every process is dead.
        """
        try:
            started = self._start(run)
        except NotRunnable as reason:
            return Outcome.failed(Cause.NOT_RUNNABLE, str(reason))
        process = started.process
        pipes = {Stream.STDOUT: process.stdout, Stream.STDERR: process.stderr}
        capture = Capture(pipes, output, run.output_limit_bytes, on_failure=started.over.set)
        try:
            return await self._see_through(started, capture, run)
        except BaseException:
            # Levelled cancellation (anyio) would be raised again at every await of the cleaning up.
            with anyio.CancelScope(shield=True):
                await self._abandon(started, capture)
            raise
        finally:
            self._let_go(started)

    async def _see_through(self, started: _Started, capture: Capture, run: CommandRun) -> Outcome:
        process = started.process
        with suppress(TimeoutError):
            async with asyncio.timeout(run.timeout_seconds):
                await started.over.wait()
        timed_out = not started.over.is_set()
        if not process.ended:
            await started.tree.terminate(self._grace_seconds)
        await started.tree.kill()
        await capture.finish()
        facts = facts_of(process.reap(), capture.allowance)
        if timed_out:
            return Outcome(Verdict.TIMED_OUT, Cause.TIMEOUT, f"time limit of {run.timeout_seconds:g} s passed", **facts)
        if started.sandbox_failed(facts["exit_code"]):
            return Outcome.failed(Cause.NOT_RUNNABLE, cannot_start("its words are in the output"), **facts)
        return judged(facts)

    async def _abandon(self, started: _Started, capture: Capture) -> None:
        try:
            await started.tree.terminate(self._grace_seconds)
        finally:
            try:
                await started.tree.kill()
            finally:
                await capture.abandon(self._grace_seconds)

    def _let_go(self, started: _Started) -> None:
        started.process.reap()
        started.process.close()
        if started.status_fd is not None:
            os.close(started.status_fd)
        # A guardian that cannot be started again is told of at the next command.
        with suppress(OSError):
            self._guardian.forget(started.process.pid)

    def _start(self, run: CommandRun) -> _Started:
        """Starts the command and lets it begin; raises `NotRunnable`, having left nothing behind."""
        environment = command_environment(os.environ, run.environment)
        directory = existing_directory(run.working_directory) if run.working_directory else None
        line = (self._shell, "-c", run.command)
        over = asyncio.Event()
        if self._sandbox is Sandbox.BWRAP:
            temporary = run.environment.get("TMPDIR", "/tmp")  # noqa: S108
            started = self._start_in_sandbox(line, {**environment, "TMPDIR": temporary}, directory, over)
        else:
            process = gated_process.start(
                line,
                shell=self._shell,
                environment=environment,
                directory=directory or usual_directory(environment),
                on_exit=over.set,
            )
            started = _Started(process, ProcessTree(process.pid), over, None)
        try:
            self._admit(started.process)
        except BaseException:
            started.process.discard()
            if started.status_fd is not None:
                os.close(started.status_fd)
            raise
        return started

    def _start_in_sandbox(
        self, line: tuple[str, ...], environment: Mapping[str, str], directory: Path | None, over: asyncio.Event
    ) -> _Started:
        program = bwrap_path()
        status_fd, status_end = os.pipe()
        environment_fd = os.memfd_create("environment")
        try:
            os.write(environment_fd, environment_options(environment))
            os.lseek(environment_fd, 0, os.SEEK_SET)
            process = gated_process.start(
                bwrap_argv(
                    program,
                    line,
                    directory=directory,
                    hidden=self._hidden_paths,
                    environment_fd=environment_fd,
                    status_fd=status_end,
                ),
                shell=self._shell,
                environment=scrubbed(os.environ),
                directory=Path("/"),
                on_exit=over.set,
                pass_fds=(environment_fd, status_end),
            )
        except BaseException:
            os.close(status_fd)
            raise
        finally:
            os.close(status_end)
            os.close(environment_fd)
        return _Started(process, ProcessTree(process.pid, spare_root=True), over, status_fd)

    def _admit(self, process: GatedProcess) -> None:
        try:
            process.limit(self._limits)
        except OSError as error:
            raise NotRunnable(f"the command's limits could not be set: {error.strerror or error}") from error
        try:
            self._guardian.watch(process.pid)
        except OSError as error:
            raise NotRunnable(
                f"the guardian of commands could not be started ({error.strerror or error}): "
                f"look whether the worker's user may run {sys.executable}"
            ) from error
        process.open_gate()


def _read_all(descriptor: int) -> bytes:
    """What a pipe holds, without waiting for more."""
    os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        return os.read(descriptor, 4096)
    return b""
