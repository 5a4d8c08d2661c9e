"""Cron: against a scan of every minute, in zones and across their daylight-saving changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from taskyard.domain import cron
from taskyard.domain.errors import Invalid

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


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


def accepted(expression: str) -> bool:
    """Whether the expression passes; what does not is refused in the one way."""
    try:
        cron.check(expression)
    except Invalid as error:
        if error.code != "INVALID_CRON_EXPRESSION" or not str(error).startswith("Invalid cron expression: "):
            raise
        return False
    return True


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
    ("UTC", datetime(2028, 2, 28, tzinfo=UTC)),
    ("UTC", datetime(2026, 12, 31, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2026, 4, 29, 18, 30, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 28, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 7, 12, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, 12, tzinfo=UTC)),
    # Changes at midnight, and one of half an hour.
    ("America/Havana", datetime(2026, 3, 7, 12, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 10, 31, 12, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 10, 29, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, tzinfo=UTC)),
]


@pytest.mark.parametrize(
    ("zone", "first"), WINDOWS, ids=lambda value: f"{value:%m}" if isinstance(value, datetime) else value
)
@given(parts=EXPRESSIONS)
@settings(deadline=None, max_examples=25)
def test_due_times_are_those_a_scan_of_every_minute_finds(zone: str, first: datetime, parts: Sequence[Field]) -> None:
    expression = " ".join(part.text for part in parts)
    end = first + 2 * DAY
    found: list[datetime] = []
    if accepted(expression):
        found = list(takewhile(lambda at: at < end, cron.due_times(expression, zone, first - MINUTE)))
    assert found == scanned(parts, zone, first, 2)


@given(
    parts=EXPRESSIONS,
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Chatham"]),
    after=st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
@settings(deadline=None)
def test_due_times_come_in_order_on_whole_minutes_and_later_than_asked(
    parts: Sequence[Field], zone: str, after: datetime
) -> None:
    expression = " ".join(part.text for part in parts)
    assume(accepted(expression))
    found = list(islice(cron.due_times(expression, zone, after), 20))
    assert len(found) == 20
    assert all(earlier < later for earlier, later in pairwise([after, *found]))
    assert all(at.tzinfo is UTC and at.second == at.microsecond == 0 for at in found)
    assert cron.next_due(expression, zone, after) == found[0]
    assert cron.next_due(expression, zone, found[0] - timedelta(microseconds=1)) == found[0]
    assert cron.next_due(expression, zone, found[0]) == found[1]


@given(st.one_of(st.text(max_size=40), st.text(alphabet="0123456789*/,-#LW? monFRIjan\t\0\u0661", max_size=40)))
@settings(deadline=None, max_examples=300)
def test_garbage_is_refused_in_one_way(text: str) -> None:
    if accepted(text):
        assert len(text.split()) == 5
        assert cron.next_due(text, "Europe/Berlin", datetime(2026, 1, 1, tzinfo=UTC)) is not None


@pytest.mark.parametrize(
    "expression",
    [
        *("", "* * * *", "* * * * * *", "@daily", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *"),
        *("* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "-1 * * * *", "* * * * MONDAY"),
        *("1" * 300, "* * * * 1#6", "* * * FOO *", "a b c d e", "\u0661 * * * *"),
    ],
)
def test_what_is_no_five_field_expression_is_refused(expression: str) -> None:
    with pytest.raises(Invalid) as caught:
        cron.check(expression)
    assert caught.value.code == "INVALID_CRON_EXPRESSION"


@pytest.mark.parametrize("never", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31 2 */1", "0 0 */31 * MON#5"])
def test_a_date_that_never_comes_is_refused(never: str) -> None:
    with pytest.raises(Invalid) as caught:
        cron.check(never)
    assert caught.value.code == "INVALID_CRON_EXPRESSION"


def days(expression: str, after: str, count: int) -> list[str]:
    """The next due dates in UTC."""
    found = islice(cron.due_times(expression, "UTC", at(after)), count)
    return [f"{each:%a %d %b}" for each in found]


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_rare_dates_are_found() -> None:
    assert cron.next_due("0 0 29 2 *", "UTC", at("2028-03-01")) == at("2032-02-29")
    assert cron.next_due("0 0 29 2 *", "UTC", at("2096-03-01")) == at("2104-02-29")


def test_day_of_month_or_day_of_week() -> None:
    assert days("0 0 13 * FRI", "2026-02-01", 4) == ["Fri 06 Feb", "Fri 13 Feb", "Fri 20 Feb", "Fri 27 Feb"]
    assert days("0 0 13 * *", "2026-02-01", 2) == ["Fri 13 Feb", "Fri 13 Mar"]
    assert days("0 0 30 2 MON", "2026-02-01", 2) == ["Mon 02 Feb", "Mon 09 Feb"]


@pytest.mark.parametrize("sunday", ["0", "7", "SUN", "sun", "Sun"])
def test_sunday_has_many_names(sunday: str) -> None:
    assert days(f"0 0 * * {sunday}", "2026-03-01", 2) == ["Sun 08 Mar", "Sun 15 Mar"]


def local_times(expression: str, zone: str, after: str, count: int) -> list[str]:
    """The coming runs by the wall clock, with their marks."""
    runs = cron.upcoming(expression, zone, at(after), count)
    return [f"{run.local:%d %H:%M%z}" + (f" {run.dst}" if run.dst else "") for run in runs]


SPRING = "2026-03-28T12:00"
AUTUMN = "2026-10-24T12:00"


def test_what_falls_into_the_gap_runs_right_after_it() -> None:
    assert local_times("30 2 * * *", "Europe/Berlin", SPRING, 2) == ["29 03:00+0200 gap", "30 02:30+0200"]
    assert local_times("30 2 * * *", "America/New_York", "2026-03-08T06:00", 2) == [
        "08 03:00-0400 gap",
        "09 02:30-0400",
    ]
    assert local_times("0 3 * * *", "Europe/Berlin", SPRING, 1) == ["29 03:00+0200"]
    assert local_times("30 3 * * *", "Europe/Berlin", SPRING, 1) == ["29 03:30+0200"]


def test_wildcards_follow_the_wall_clock_over_the_gap() -> None:
    found = local_times("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15", 3)
    assert found == ["29 01:30+0100", "29 03:00+0200", "29 03:30+0200"]


def test_what_comes_twice_runs_once() -> None:
    assert local_times("30 2 * * *", "Europe/Berlin", AUTUMN, 2) == ["25 02:30+0200 repeated", "26 02:30+0100"]
    found = local_times("30 1 * * *", "America/New_York", "2026-10-31T12:00", 2)
    assert found == ["01 01:30-0400 repeated", "02 01:30-0500"]
    second_pass = "2026-10-25T01:15"
    assert local_times("30 2 * * *", "Europe/Berlin", second_pass, 1) == ["26 02:30+0100"]


def test_wildcards_follow_the_wall_clock_twice() -> None:
    assert local_times("30 * * * *", "Europe/Berlin", "2026-10-25T00:00", 3) == [
        "25 02:30+0200 repeated",
        "25 02:30+0100 repeated",
        "25 03:30+0100",
    ]


@pytest.mark.parametrize("name", ["localtime", "posixrules", "posix/Europe/Berlin", "right/UTC"])
def test_names_that_are_not_of_iana_are_refused(name: str) -> None:
    with pytest.raises(Invalid, match="Unknown timezone"):
        cron.zone(name)


@pytest.mark.parametrize("name", ["UTC", "GMT", "Etc/GMT+5", "US/Eastern", "Asia/Kolkata", "America/Argentina/Salta"])
def test_all_names_of_iana_are_known(name: str) -> None:
    assert str(cron.zone(name)) == name


@pytest.mark.parametrize(
    "name",
    ["", "Mars/Phobos", "Europe", "../etc/passwd", "/etc/passwd", "Europe/Berlin\0", "\ud800", "x" * 5000, "..", "."],
)
def test_unknown_zones_are_refused(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        cron.zone(name)
    assert caught.value.field == "timezone"
