"""Cron: against a scan of every minute, in zones and across their daylight-saving changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskyard.domain import cron
from taskyard.domain.errors import Invalid

MINUTE = timedelta(minutes=1)
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
DAYS = "sun mon tue wed thu fri sat".split()


@dataclass(frozen=True)
class Field:
    """One field as it is written, and the values it means."""

    text: str
    values: frozenset[int]


@dataclass(frozen=True)
class Moment:
    """A minute of a zone: its wall clock, whether that comes for the second time, and the wall minutes left out
    right before it.
    """

    at: datetime
    wall: datetime
    again: bool
    left_out: Sequence[datetime]


def fields(low: int, high: int, names: Sequence[str] = ()) -> st.SearchStrategy[Field]:
    """A field that takes `low` to `high`, in every way it can be written."""
    number = st.integers(low, high)
    step = st.integers(1, high)

    def written(value: int, name: bool = False) -> str:
        return names[(value - low) % len(names)] if names and name else str(value)

    single = st.builds(lambda value, name: Field(written(value, name), frozenset({value})), number, st.booleans())
    star = st.just(Field("*", frozenset(range(low, high + 1))))
    stars = st.builds(lambda n: Field(f"*/{n}", frozenset(range(low, high + 1, n))), step)
    spans = st.builds(
        lambda ends, n: Field(
            f"{min(ends)}-{max(ends)}" + (f"/{n}" if n > 1 else ""), frozenset(range(min(ends), max(ends) + 1, n))
        ),
        st.lists(number, min_size=2, max_size=2, unique=True),
        step,
    )
    items = st.lists(st.one_of(single, spans), min_size=2, max_size=4).map(
        lambda some: Field(
            ",".join(item.text for item in some), frozenset[int]().union(*(item.values for item in some))
        )
    )
    return st.one_of(single, star, stars, spans, items)


EXPRESSIONS = st.tuples(
    fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12, MONTHS), fields(0, 7, (*DAYS, "sun"))
)


def matches(parts: Sequence[Field], wall: datetime) -> bool:
    """Whether `wall` is one of the expression's minutes (day of month OR day of week unless one begins with a star)."""
    minute, hour, day, month, weekday = parts
    if wall.minute not in minute.values or wall.hour not in hour.values or wall.month not in month.values:
        return False
    by_day = wall.day in day.values
    by_weekday = wall.isoweekday() % 7 in {value % 7 for value in weekday.values}
    if day.text.startswith("*") or weekday.text.startswith("*"):
        return by_day and by_weekday
    return by_day or by_weekday


@cache
def minutes(zone: str, first: datetime, days: int) -> list[Moment]:
    """Every minute of some days."""
    found: list[Moment] = []
    previous = (first - MINUTE).astimezone(cron.zone(zone)).replace(tzinfo=None)
    for number in range(days * 1440):
        at = first + number * MINUTE
        local = at.astimezone(cron.zone(zone))
        wall = local.replace(tzinfo=None, fold=0)
        jumped = int((wall - previous) / MINUTE)
        left_out = [previous + ahead * MINUTE for ahead in range(1, jumped)]
        found.append(Moment(at, wall, local.fold == 1, left_out))
        previous = wall
    return found


def scanned(parts: Sequence[Field], zone: str, first: datetime, days: int) -> list[datetime]:
    """The due times of some days, found by looking at every minute, by the rules of Debian's cron."""
    fixed = not parts[0].text.startswith("*") and not parts[1].text.startswith("*")
    due: list[datetime] = []
    for moment in minutes(zone, first, days):
        hit = matches(parts, moment.wall)
        if fixed:
            # What falls into the gap runs right after it; what comes twice runs the first time.
            hit = (hit and not moment.again) or any(matches(parts, wall) for wall in moment.left_out)
        if hit:
            due.append(moment.at)
    return due


WINDOWS = [
    ("UTC", datetime(2028, 2, 27, tzinfo=UTC)),
    ("UTC", datetime(2026, 12, 30, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2026, 4, 29, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 27, 12, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 23, 12, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, tzinfo=UTC)),
]
HALF_HOURS_AND_MIDNIGHTS = [
    ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 3, 7, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 10, 31, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 22, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 10, 28, tzinfo=UTC)),
]


@pytest.mark.parametrize(("zone", "first"), [*WINDOWS, *HALF_HOURS_AND_MIDNIGHTS])
@given(parts=EXPRESSIONS)
@settings(deadline=None, max_examples=60)
def test_due_times_are_those_a_scan_of_every_minute_finds(zone: str, first: datetime, parts: Sequence[Field]) -> None:
    expression = " ".join(part.text for part in parts)
    end = first + timedelta(days=3)
    try:
        found = list(takewhile(lambda at: at < end, cron.due_times(expression, zone, first - MINUTE)))
    except Invalid as error:
        assert error.code == "INVALID_CRON_EXPRESSION"
        found = []
    assert found == scanned(parts, zone, first, 3)
