"""Tables and facts, on terminals of any width and on none."""

from io import StringIO

import pytest
from rich.console import Console

from taskyard.cli import screen

COLUMNS = ("ID", "Job", "Status", "Trigger", "Took", "Why")
ROWS = [("0123abcd", "a nightly report", "dead_letter", "schedule", "2.5 s", "the other side did not answer in time")]
SPARE = ("Trigger", "Took")


def _on_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> StringIO:
    written = StringIO()
    console = Console(file=written, width=width, force_terminal=True, color_system=None, highlight=False)
    monkeypatch.setattr(screen, "console", lambda: console)
    return written


def test_a_narrow_terminal_breaks_no_word_but_those_of_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    written = _on_terminal(monkeypatch, 80)
    screen.table(COLUMNS, ROWS, "", spare=SPARE)
    lines = written.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    first = next(line for line in lines if "0123abcd" in line)
    assert "a nightly report" in first
    assert "dead_letter" in first
    assert "schedule" not in first


def test_a_wide_terminal_shows_every_column(monkeypatch: pytest.MonkeyPatch) -> None:
    written = _on_terminal(monkeypatch, 120)
    screen.table(COLUMNS, ROWS, "", spare=SPARE)
    assert all(value in written.getvalue() for value in ROWS[0])


@pytest.mark.parametrize(
    ("width", "shown"),
    [(200, list(COLUMNS)), (80, ["ID", "Job", "Status", "Took", "Why"]), (40, ["ID", "Job", "Status", "Why"])],
)
def test_spare_columns_make_room_in_their_order(width: int, shown: list[str]) -> None:
    assert [COLUMNS[place] for place in screen.fitting(COLUMNS, ROWS, SPARE, width)] == shown


def test_without_a_terminal_a_row_is_a_line_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    screen.console.cache_clear()
    long = "x" * 500
    screen.table(("ID", "Why"), [("1", long), ("2", "a\tb\nc")], "")
    screen.facts({"Error": long, "Reason": None})
    assert capsys.readouterr().out == f"ID\tWhy\n1\t{long}\n2\ta b c\nError\t{long}\n"
