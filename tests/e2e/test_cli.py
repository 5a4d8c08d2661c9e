"""The command line on a yard that nobody serves: what it makes, shows, changes, and how it says no."""

import asyncio
import json
import logging
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from taskyard import bootstrap
from taskyard.domain.errors import Unauthenticated
from taskyard.domain.queues import Queue
from taskyard.domain.rules import Rules
from taskyard.domain.runs import Stream
from taskyard.services import accounts, attempts, first_start, outputs, queues, workers
from taskyard.services.outputs import Chunk
from taskyard.settings import Settings
from tests.processes import SETTINGS, clean_environment


@dataclass(frozen=True, slots=True)
class Said:
    """What one command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its JSON; fails when stdout held anything else, or when the command failed."""
        assert self.code == 0, self.err
        return json.loads(self.out)


Cli = Callable[..., Said]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Cli]:
    """Runs `taskyard ARGUMENTS` within this process, in an empty folder, without settings from outside."""
    from taskyard.cli import screen
    from taskyard.cli.app import main

    for name in [name for name in os.environ if SETTINGS.match(name)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # Typer asks for the width when it is imported; sentences shall not be broken.
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 200)

    def run(*arguments: str) -> Said:
        screen.console.cache_clear()
        monkeypatch.setattr(sys, "argv", ["taskyard", *arguments])
        code: Any = 0
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code
        said = capfd.readouterr()
        return Said(int(code or 0), said.out, said.err)

    yield run
    logging.disable(logging.NOTSET)


@pytest.fixture
def yard(cli: Cli, tmp_path: Path) -> Cli:
    """The same, with an opened yard in `data`."""

    async def open_it() -> None:
        async with bootstrap.base(_settings(tmp_path)) as base:
            await first_start.open_yard(base.database, email="owner@yard.test", password="long enough", api_key=None)

    asyncio.run(open_it())
    return cli


def _settings(folder: Path) -> Settings:
    return Settings.model_validate({"data_dir": folder / "data"})


def _who(folder: Path, credential: str) -> str:
    """The e-mail address a credential proves."""

    async def prove() -> str:
        async with bootstrap.base(_settings(folder)) as base:
            return (await base.identity.authenticate_bearer(credential)).user.email

    return asyncio.run(prove())


def test_users_are_made_listed_and_disabled(yard: Cli, tmp_path: Path) -> None:
    made = yard("user", "create", "Ada@Example.com", "--role", "viewer", "--json").data
    assert made["user"]["email"] == "ada@example.com"
    assert len(made["password"]) >= 20
    listed = yard("user", "list", "--json")
    assert [(each["user"]["email"], each["role"]) for each in listed.data["users"]] == [
        ("owner@yard.test", "owner"),
        ("ada@example.com", "viewer"),
    ]
    assert "argon2" not in listed.out
    token = yard("token", "--user", "ada@example.com").out.strip()
    assert _who(tmp_path, token) == "ada@example.com"
    assert yard("user", "disable", "ada@example.com", "--json").data["is_active"] is False
    with pytest.raises(Unauthenticated):
        _who(tmp_path, token)
    again = yard("user", "create", "ada@example.com")
    assert again.code == 1
    assert "already registered" in again.err
    refused = yard("key", "create", "hers", "--user", "ada@example.com")
    assert (refused.code, "switched off" in refused.err) == (1, True)
    assert yard("user", "enable", "ada@example.com", "--json").data["is_active"] is True
    assert _who(tmp_path, token) == "ada@example.com"


def test_a_lost_password_is_replaced(yard: Cli, tmp_path: Path) -> None:
    async def sign_in(password: str) -> str:
        async with bootstrap.base(_settings(tmp_path)) as base:
            return (await base.identity.sign_in("owner@yard.test", password)).user.email

    made = yard("user", "password", "owner@yard.test", "--json").data["password"]
    assert asyncio.run(sign_in(made)) == "owner@yard.test"
    with pytest.raises(Unauthenticated):
        asyncio.run(sign_in("long enough"))


def test_only_their_owner_reads_the_files_of_a_yard(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)

    async def open_it() -> dict[str, int]:
        async with bootstrap.base(_settings(tmp_path)) as base, base.database.read():
            return {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}

    modes = asyncio.run(open_it())
    assert modes.keys() > {"taskyard.db", "secret_key"}
    assert set(modes.values()) == {0o600}


def test_the_doctor_sees_that_the_key_is_another(yard: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert yard("jobs", "add", "sealed", "--command", "true").code == 0
    monkeypatch.setenv("SECRET_KEY", "another key than that")
    found = {each["check"]: each for each in json.loads(yard("doctor", "--json").out)["checks"]}
    assert found["database"]["health"] == "broken"
    assert "put the old file secret_key back" in found["database"]["mend"]


def test_keys_are_made_listed_and_revoked(yard: Cli, tmp_path: Path) -> None:
    made = yard("key", "create", "deploys", "--json").data
    assert _who(tmp_path, made["key"]) == "owner@yard.test"
    listed = yard("key", "list", "--json")
    assert [each["name"] for each in listed.data["keys"]] == ["deploys"]
    assert made["key"] not in listed.out
    assert yard("key", "revoke", "deploys", "--json").data["revoked"] == made["id"]
    with pytest.raises(Unauthenticated):
        _who(tmp_path, made["key"])
    assert yard("key", "revoke", "deploys").code == 1


def test_a_token_is_good_as_long_as_asked_for(yard: Cli) -> None:
    issued = yard("token", "--expires", "30m", "--json").data
    assert (issued["expires_in"], issued["user"]) == (1800, "owner@yard.test")
    assert yard("token", "--expires", "soon").code == 2


def test_tenants_are_allowed_and_forbidden_to_run_commands(yard: Cli, tmp_path: Path) -> None:
    async def register() -> None:
        async with bootstrap.base(_settings(tmp_path)) as base:
            await base.identity.register(
                email="guest@yard.test", password="long enough", full_name="Guest", tenant_name="Guests"
            )

    asyncio.run(register())
    add = ("jobs", "add", "theirs", "--command", "true", "--tenant", "Guests")
    refused = yard(*add)
    assert refused.code == 1
    assert "taskyard tenant allow-commands" in refused.err
    assert yard("tenant", "allow-commands", "Guests", "--json").data["commands_allowed"] is True
    assert yard(*add).code == 0
    assert yard("tenant", "allow-commands", "Guests", "--revoke", "--json").data["commands_allowed"] is False
    assert [each["name"] for each in yard("jobs", "list", "--json").data["jobs"]] == ["hello"]
    assert [each["name"] for each in yard("tenant", "list", "--json").data["tenants"]] == ["Operator", "Guests"]


def test_a_job_is_made_shown_switched_and_removed(yard: Cli) -> None:
    made = yard(
        *("jobs", "add", "ping", "--schedule", "30 2 * 3 0", "--timezone", "Europe/Berlin"),
        *("--url", "https://example.com/ping", "--method", "put", "--header", "X-Room: 7", "--body", "{{ job.name }}"),
        *("--retries", "4", "--timeout", "2.5", "--overlap", "queue", "--catch-up", "all", "--json"),
    ).data
    assert (made["retry"]["attempts"], made["timeout_seconds"], made["overlap"]) == (5, 2.5, "queue")
    shown = yard("jobs", "show", "ping", "--json").data
    assert [(each["method"], each["headers"], each["body_template"]) for each in shown["calls"]] == [
        ("PUT", {"X-Room": "7"}, "{{ job.name }}")
    ]
    runs = yard("jobs", "next", made["id"][:18], "--count", "10", "--json").data["next_runs"]
    # Clocks go forward at 2 in the night of the last Sunday in March.
    assert {each["dst"] for each in runs} == {None, "gap"}
    assert yard("jobs", "pause", made["id"][-12:], "--json").data["next_run_at"] is None
    assert "is on, it runs next" in yard("jobs", "resume", "ping").out
    assert yard("jobs", "rm", "ping", "--json").data["removed"] == made["id"]
    gone = yard("jobs", "show", "ping")
    assert (gone.code, gone.err.count("\n")) == (1, 1)
    assert "taskyard jobs list" in gone.err


def test_a_name_in_use_is_refused_unless_another_job_of_that_name_is_wanted(yard: Cli) -> None:
    add = ("jobs", "add", "50%_Off", "--command", "true")
    first = yard(*add, "--json").data["id"]
    refused = yard(*add)
    assert (refused.code, refused.out) == (1, "")
    assert first in refused.err
    assert "--another" in refused.err
    assert yard("jobs", "list", "--search", "50%_Off", "--json").data["total"] == 1
    assert yard("jobs", "add", "50%_off", "--command", "true").code == 0
    assert yard(*add, "--another", "--json").data["id"] != first


def test_a_word_that_fits_several_jobs_names_them(yard: Cli) -> None:
    twins = [yard("jobs", "add", "twin", "--command", "true", "--another", "--json").data["id"] for _ in range(2)]
    asked = yard("jobs", "run", "twin")
    assert asked.code == 1
    assert all(ident in asked.err for ident in twins)


def test_an_execution_is_shown_cancelled_and_retried(yard: Cli) -> None:
    queued = yard("jobs", "run", "hello", "--json").data
    assert queued["status"] == "queued"
    part = queued["id"][-8:]
    assert yard("executions", "show", part, "--json").data["id"] == queued["id"]
    cancelled = yard("executions", "cancel", part, "--reason", "not today", "--json").data
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "not today")
    again = yard("executions", "cancel", part)
    assert again.code == 1
    assert "is over" in again.err
    assert yard("executions", "retry", part, "--json").data["replay_of"] == queued["id"]
    listed = yard("executions", "list", "--job", "hello", "--status", "queued", "--json").data
    assert listed["total"] == 1
    assert yard("executions", "list", "--dead", "--json").data == {"executions": [], "total": 0}
    assert yard("executions", "logs", part).out == ""


def test_a_run_that_nobody_will_begin_says_why_it_waits(yard: Cli, tmp_path: Path) -> None:
    async def pause_and_work() -> None:
        async with bootstrap.base(_settings(tmp_path)) as base, base.database.write() as tx:
            operator = await accounts.find_operator(tx)
            assert operator is not None
            await queues.pause(tx, operator, Queue.NORMAL, "moving house")
            await workers.register(tx, "worker", 3600)

    alone = yard("jobs", "run", "hello", "--json")
    assert alone.data["status"] == "queued"
    assert "No worker is alive" in alone.err
    assert "paused" not in alone.err
    asyncio.run(pause_and_work())
    paused = yard("jobs", "run", "hello")
    assert "Queue normal is paused (moving house)" in paused.err
    assert "No worker" not in paused.err


def test_output_as_json_holds_whole_characters(yard: Cli, tmp_path: Path) -> None:
    queued = yard("jobs", "run", "hello", "--json").data
    whole = "ab€c".encode()

    async def print_it() -> None:
        async with bootstrap.base(_settings(tmp_path)) as base, base.database.write() as tx:
            worker_id = await workers.register(tx, "worker", 3600)
            begun = (await attempts.begin(tx, Rules(), worker_id, [UUID(queued["id"])])).begun[0].execution
            parts = [(0, whole[:3]), (3, whole[3:])]
            await outputs.append(tx, [Chunk(begun.id, begun.tenant_id, at, Stream.STDOUT, part) for at, part in parts])

    asyncio.run(print_it())
    said = yard("executions", "logs", queued["id"], "--json")
    assert [json.loads(line) for line in said.out.splitlines()] == [
        {"offset": 0, "stream": "stdout", "text": "ab"},
        {"offset": 2, "stream": "stdout", "text": "€c"},
    ]
    assert yard("executions", "logs", queued["id"]).out == whole.decode()


def test_an_empty_list_says_what_was_looked_for(yard: Cli) -> None:
    yard("jobs", "run", "hello")
    assert yard("executions", "list", "--status", "cancelled").out == "No executions with status cancelled\n"
    assert yard("executions", "list", "--dead", "--job", "hello").out == "No dead letters of job hello\n"
    assert yard("jobs", "list", "--search", "zzz").out == "No job's name holds 'zzz'\n"


def test_times_are_told_with_their_zone(yard: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("TZ", "Etc/GMT-3")
            time.tzset()
            said = yard("jobs", "add", "early", "--schedule", "5 6 * * *", "--command", "true")
    finally:
        time.tzset()
    assert "it runs next " in said.out
    assert said.out.endswith(" 09:05:00 +03\n")


def test_tables_do_not_let_names_write_to_the_terminal(yard: Cli) -> None:
    yard("jobs", "add", "\x1b[2Jboo\x07 [red]loud[/red]", "--command", "true")
    shown = yard("jobs", "list").out
    assert "boo" in shown
    assert "[red]loud[/red]" in shown
    assert not set(shown) & {"\x1b", "\x07"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("jobs", "add", "x", "--schedule", "61 * * * *", "--command", "true"), 1, "Invalid cron expression"),
        (("jobs", "add", "x", "--timezone", "Mars/Base", "--command", "true"), 1, "IANA name"),
        (("jobs", "add", "x"), 2, "give one of the two"),
        (("jobs", "add", "x", "--command", "true", "--method", "GET"), 2, "only a job with --url has them"),
        (("jobs", "list", "--tenant", "Nobodies"), 1, "Tenant not found: Nobodies"),
        (("user", "disable", "eve@yard.test"), 1, "User not found: eve@yard.test"),
        (("executions", "list", "--status", "foo"), 2, "'--status': 'foo' is not one of"),
        (("jobs", "add", "x", "--url", "nowhere"), 1, "absolute http or https URL"),
        (("executions", "show", "00000000-0000-0000-0000-000000000000"), 1, "Execution not found"),
        (("serve", "--port", "1", "--bind", "127.0.0.1:0"), 2, "either --bind or"),
        (("serve", "--bind", "::1:8000"), 1, "[::1]:8000"),
        (("jobs", "list", "--data-dir", "elsewhere"), 1, "taskyard serve"),
        (("worker", "--data-dir", "elsewhere"), 1, "no yard in"),
        (("migrate", "--data-dir", "elsewhere"), 1, "DATABASE_URL"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(yard: Cli, arguments: tuple[str, ...], code: int, words: str) -> None:
    said = yard(*arguments)
    assert said.code == code
    assert words in said.err
    assert "Traceback" not in said.err
    assert said.out == ""
    assert not Path("elsewhere").exists()


def test_an_unknown_setting_is_refused_with_the_right_name(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKYARD_PROT", "9000")
    said = cli("serve")
    assert said.code == 1
    assert said.err == "Error: Unknown setting TASKYARD_PROT; did you mean TASKYARD_PORT?\n"


def test_the_doctor_finds_a_healthy_machine_without_making_a_yard(cli: Cli) -> None:
    found = cli("doctor", "--json").data
    assert found["healthy"] is True
    assert {each["check"] for each in found["checks"]} == {
        *("disk", "database", "engine", "clock", "redis", "commands", "sandbox", "claude")
    }
    assert not Path("data").exists()


def test_the_doctor_says_how_to_mend_what_is_broken(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:tell-nobody@127.0.0.1:1/yard")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    said = cli("doctor", "--json")
    assert said.code == 1
    checks = {each["check"]: each for each in json.loads(said.out)["checks"]}
    assert {name for name, each in checks.items() if each["health"] == "broken"} == {"database", "engine", "redis"}
    assert "DATABASE_URL" in checks["database"]["mend"]
    assert "REDIS_URL" in checks["redis"]["mend"]
    assert "tell-nobody" not in said.out + said.err


@pytest.mark.parametrize("arguments", [("jobs", "list"), ("serve", "--port", "0"), ("migrate",)])
def test_a_file_that_is_no_database_is_told_without_a_traceback(cli: Cli, arguments: tuple[str, ...]) -> None:
    Path("data").mkdir()
    Path("data/taskyard.db").write_text("not a database, and long enough to be looked at\n" * 3)
    said = cli(*arguments)
    assert (said.code, said.err.splitlines()[-1].count("file is not a database")) == (1, 1)
    assert "backup" in said.err
    assert "Traceback" not in said.err
    checks = {each["check"]: each for each in json.loads(cli("doctor", "--json").out)["checks"]}
    assert "backup" in checks["database"]["mend"]


def test_a_database_of_a_newer_version_sends_nobody_in_a_circle(yard: Cli) -> None:
    with closing(sqlite3.connect("data/taskyard.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    for arguments in (("jobs", "list"), ("migrate",), ("serve", "--port", "0")):
        said = yard(*arguments)
        assert (said.code, said.err.splitlines()[-1].count("made by a newer Taskyard")) == (1, 1)
        assert "Traceback" not in said.err
        assert "taskyard migrate" not in said.err
    checks = {each["check"]: each for each in json.loads(yard("doctor", "--json").out)["checks"]}
    assert "install that version" in checks["database"]["mend"]


def test_openapi_writes_a_document_for_each_face_and_notices_old_ones(cli: Cli) -> None:
    written = cli("openapi", "--out", "specs", "--json").data["changed"]
    assert "specs/scheduler.json" in written
    assert json.loads(Path("specs/scheduler.json").read_text())["paths"]
    assert cli("openapi", "--out", "specs", "--check").code == 0
    Path("specs/scheduler.json").write_text("{}")
    said = cli("openapi", "--out", "specs", "--check", "--json")
    assert said.code == 1
    assert json.loads(said.out)["out_of_date"] == ["specs/scheduler.json"]
    assert not Path("data").exists()


def test_a_closed_stdout_is_told_without_a_traceback(tmp_path: Path) -> None:
    line = ["sh", "-c", 'exec "$0" -m taskyard jobs list >&-', sys.executable]
    done = subprocess.run(line, check=False, capture_output=True, text=True, env=clean_environment(), cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Standard output is closed" in done.stderr


def test_help_does_not_wait_for_the_database_library() -> None:
    program = "import sys, taskyard.cli.app; print([name for name in ('sqlalchemy', 'fastapi') if name in sys.modules])"
    python = [sys.executable, "-c", program]
    done = subprocess.run(python, check=False, capture_output=True, text=True, env=clean_environment())
    assert done.stdout == "[]\n", done.stderr
