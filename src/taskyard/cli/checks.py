"""What `taskyard doctor` looks at. Each check answers within its time, whatever is broken, and says how to mend it."""

import asyncio
import importlib
import shutil
import stat
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from taskyard.cli import causes
from taskyard.domain.errors import TaskyardError

if TYPE_CHECKING:
    from taskyard.domain.runs import Stream
    from taskyard.settings import Settings

LIMIT_SECONDS = 8.0
MIN_FREE_BYTES = 200 * 1024**2
LOW_FREE_BYTES = 2 * 1024**3
REMEDIES = {
    "DATABASE_NEWER": "install that version or a later one, or use another database",
    "SECRET_KEY_MISMATCH": "set SECRET_KEY to the old key, or unset it and put the old file secret_key back",
}
"""What helps against the errors that tell more than that the database is away, by their code."""


RESUME = "POST /api/v1/queues/NAME/resume, as the operator"


class Health(StrEnum):
    """`off` is a choice, `warning` works for now, `broken` needs mending before the yard can run."""

    OK = "ok"
    OFF = "off"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: a fact, and the way to mend it when there is something to mend."""

    check: str
    health: Health
    fact: str
    mend: str | None = None


Look = Callable[["Settings"], Awaitable[Finding]]


async def examine(settings: "Settings") -> list[Finding]:
    """Every check, one after the other, in an order that explains the later ones."""
    # Importing takes its time, which is not the database's.
    importlib.import_module("taskyard.bootstrap")
    return [await _within_time(name, look, settings) for name, look in CHECKS.items()]


async def _within_time(name: str, look: Look, settings: "Settings") -> Finding:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await look(settings)
    except TimeoutError:
        return Finding(name, Health.BROKEN, f"no answer within {LIMIT_SECONDS:g} s", "see whether it is overloaded")
    except TaskyardError as error:
        return Finding(name, Health.BROKEN, causes.told(error.message, error.__cause__), _remedy(error, settings))
    except Exception as error:
        refusal = causes.refusal(error)
        if refusal is not None:
            return Finding(name, Health.BROKEN, refusal, causes.remedy(error))
        return Finding(
            name, Health.BROKEN, f"{type(error).__name__}: {causes.words(error)}", _database_remedy(settings)
        )


def _remedy(error: TaskyardError, settings: "Settings") -> str:
    return REMEDIES.get(error.code) or _database_remedy(settings)


def _database_remedy(settings: "Settings") -> str:
    if settings.database_url is None:
        return f"let this user read and write {settings.data_dir.absolute()}, or name another folder with --data-dir"
    return "start the database, or correct DATABASE_URL (postgresql://user:password@host/name)"


async def _database(settings: "Settings") -> Finding:
    from taskyard import bootstrap

    if not settings.has_yard():
        return Finding("database", Health.OK, f"none yet in {settings.data_dir.absolute()}: `taskyard serve` makes it")
    async with bootstrap.base(settings, upgrade=False) as base:
        kind = "SQLite" if base.database.is_sqlite else "PostgreSQL"
        if await bootstrap.outdated(base):
            return Finding("database", Health.BROKEN, f"{kind}, of an older version", "run `taskyard migrate`")
        await bootstrap.check_key(base)
    return Finding("database", Health.OK, f"{kind}, up to date")


async def _engine(settings: "Settings") -> Finding:
    from taskyard import bootstrap
    from taskyard.services import accounts, health, queues

    if not settings.has_yard():
        return Finding("engine", Health.OFF, "begins with the database")
    async with bootstrap.base(settings, upgrade=False) as base:
        if await bootstrap.outdated(base):
            return Finding("engine", Health.BROKEN, "waits for the database", "run `taskyard migrate`")
        await bootstrap.try_engine(base)
        alive = await health.check(base.database)
        async with base.database.read() as tx:
            owner = await accounts.find_operator(tx)
            states = [] if owner is None else await queues.states(tx, owner)
    waiting = sum(state.waiting for state in states)
    paused = [state.name.value for state in states if state.paused_at is not None]
    fact = f"{alive.workers} alive worker(s), {waiting} execution(s) waiting"
    if not alive.workers:
        return Finding("engine", Health.WARNING, fact, "start `taskyard serve` or `taskyard worker`")
    if paused:
        return Finding("engine", Health.WARNING, f"{fact}, paused: {', '.join(paused)}", RESUME)
    return Finding("engine", Health.OK, fact)


async def _clock(settings: "Settings") -> Finding:
    from taskyard import bootstrap
    from taskyard.services import health

    if not settings.has_yard():
        return Finding("clock", Health.OFF, "begins with the database")
    async with bootstrap.base(settings, upgrade=False) as base:
        alive = await health.check(base.database)
    if not alive.database:
        return Finding("clock", Health.WARNING, "nobody knows while the database is away", "mend the database first")
    if not alive.clocks:
        fact = "no process fires the schedules"
        return Finding("clock", Health.WARNING, fact, "start `taskyard serve` or `taskyard worker` without --no-clock")
    return Finding("clock", Health.OK, f"{alive.clocks} process(es) fire the schedules")


async def _redis(settings: "Settings") -> Finding:
    from taskyard import bootstrap
    from taskyard.adapters.bus.redis import RedisBus

    if settings.redis_url is None:
        return Finding("redis", Health.OFF, "not configured: processes poll, and limits are per process")
    async with bootstrap.bus(settings) as bus:
        try:
            if isinstance(bus, RedisBus):
                await bus.ping()
        except Exception as error:
            said = str(error) or type(error).__name__
            return Finding("redis", Health.BROKEN, said, "start Redis, or correct or unset REDIS_URL")
    return Finding("redis", Health.OK, "answers")


async def _disk(settings: "Settings") -> Finding:
    folder = settings.data_dir.absolute()
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        await asyncio.to_thread(_write_trial, existing)
    except OSError as error:
        fact = f"{existing} cannot be written: {error.strerror}"
        return Finding("disk", Health.BROKEN, fact, "give it to this user, or choose another folder with --data-dir")
    free = shutil.disk_usage(existing).free
    fact = f"{free / 1024**3:.1f} GB free in {existing}"
    if free < MIN_FREE_BYTES:
        return Finding("disk", Health.BROKEN, fact, "make room: nothing can be stored on a full disk")
    key = folder / "secret_key"
    if key.exists() and stat.S_IMODE(key.stat().st_mode) & 0o077:
        return Finding("disk", Health.BROKEN, f"{key} can be read by others", f"chmod 600 {key}")
    if free < LOW_FREE_BYTES:
        return Finding("disk", Health.WARNING, fact, "make room soon, or keep history shorter")
    return Finding("disk", Health.OK, fact)


def _write_trial(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as trial:
        trial.write(b"taskyard")
        trial.flush()


class _Heard:
    """An output that is kept for a moment."""

    def __init__(self) -> None:
        self.text = ""

    async def write(self, stream: "Stream", data: bytes) -> None:
        self.text += f"{data.decode(errors='replace')}" if stream else ""


async def _run(settings: "Settings") -> str | None:
    """Why a command cannot be run as configured; None when one just ran."""
    from taskyard import bootstrap
    from taskyard.domain.runs import CommandRun, Verdict

    heard = _Heard()
    async with bootstrap.command_runner(settings) as runner:
        outcome = await runner.run(CommandRun("echo works", timeout_seconds=LIMIT_SECONDS / 2), heard)
    if outcome.verdict is Verdict.SUCCEEDED and heard.text.strip() == "works":
        return None
    return outcome.error or "the shell did not answer as it should"


async def _commands(settings: "Settings") -> Finding:
    problem = await _run(settings)
    if problem is None:
        return Finding("commands", Health.OK, "run here")
    return Finding("commands", Health.BROKEN, problem, "see the sandbox below, and whether /bin/sh works")


async def _claude(_settings: "Settings") -> Finding:
    program = shutil.which("claude")
    if program is None:
        fact = "Claude Code is not installed, which only its own runs would need"
        return Finding("claude", Health.OFF, fact, "npm install -g @anthropic-ai/claude-code")
    process = await asyncio.create_subprocess_exec(
        program,
        "--version",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        fact = f"{program} --version ended with {process.returncode}"
        return Finding("claude", Health.WARNING, fact, "install Claude Code again")
    return Finding("claude", Health.OK, said.decode(errors="replace").strip() or program)


async def _sandbox(settings: "Settings") -> Finding:
    problem = await _run(settings.model_copy(update={"sandbox": "bwrap"}))
    if settings.sandbox == "off":
        possible = "bubblewrap works here" if problem is None else "bubblewrap does not work here"
        mend = "TASKYARD_SANDBOX=bwrap walls commands in" if problem is None else None
        return Finding("sandbox", Health.OFF, f"commands run without one; {possible}", mend)
    if problem is None:
        return Finding("sandbox", Health.OK, "bubblewrap walls commands in")
    fact, _, mend = problem.partition(": ")
    return Finding("sandbox", Health.BROKEN, fact, mend or None)


CHECKS: dict[str, Look] = {
    "disk": _disk,
    "database": _database,
    "engine": _engine,
    "clock": _clock,
    "redis": _redis,
    "commands": _commands,
    "sandbox": _sandbox,
    "claude": _claude,
}
