"""What help pages say of options and arguments."""

import re

import pytest
from typer.testing import CliRunner

from taskyard.cli.app import app

PAGES = [
    ("serve",),
    ("demo",),
    ("jobs",),
    ("jobs", "add"),
    ("jobs", "list"),
    ("jobs", "next"),
    ("jobs", "run"),
    ("executions", "list"),
    ("user", "create"),
]


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """So wide that no line is broken. Typer asks for the width when it is imported."""
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 200)


def _help(*command: str) -> str:
    page = CliRunner().invoke(app, [*command, "--help"])
    assert page.exit_code == 0
    return page.stdout


@pytest.mark.parametrize(
    ("command", "option", "default"),
    [
        (("serve",), "--host", "127.0.0.1"),
        (("serve",), "--port", "8000"),
        (("serve",), "--data-dir", "data"),
        (("jobs", "add"), "--retries", "the house's for calls, 0 for commands"),
        (("jobs", "add"), "--timeout", "the house's"),
        (("key", "create"), "--user", "the owner's"),
        (("token",), "--user", "the owner's"),
        (("user", "create"), "--name", "from the address"),
    ],
)
def test_what_holds_without_an_option_is_said(command: tuple[str, ...], option: str, default: str) -> None:
    line = next(line for line in _help(*command).splitlines() if option in line)
    assert f"[default: ({default})]" in line


@pytest.mark.parametrize("command", PAGES, ids=" ".join)
def test_no_type_of_the_language_stands_for_a_value(command: tuple[str, ...]) -> None:
    assert not re.search(r"<(bool|str|int|float|path)|[{}]", _help(*command).replace("{{ job.name }}", ""))


def test_values_have_names_and_flags_have_none() -> None:
    page = _help("executions", "list")
    assert re.search(r"--limit +N ", page)
    assert re.search(r"--status +STATUS +Only with this status: queued, running, ", page)
    assert re.search(r"--json +Write JSON", page)
    assert re.search(r"--help +-h +Show", page)
    assert "taskyard jobs show [OPTIONS] JOB" in _help("jobs", "show")
