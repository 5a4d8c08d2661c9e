"""Cron schedules: five fields in an IANA zone, with the rules of Debian's cron (RULINGS §5 D3).

Daylight saving follows Debian cron: a fixed-time job whose moment falls into the gap runs right after it, one whose
moment comes twice runs once; wildcard jobs follow the wall clock through both.
"""

import re
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from taskyard.domain.errors import Invalid

FIELDS = 5
MAX_EXPRESSION_LENGTH = 255
_PROBE = datetime(2024, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
# Files beside the zones: what is set on this machine, and other countings of the same zones.
_NO_ZONES = re.compile("localtime|posixrules|(?:posix|right)/.*", re.DOTALL)
_DAY = timedelta(days=1)


DstMark = Literal["gap", "repeated"]


@dataclass(frozen=True, slots=True)
class NextRun:
    """A coming due time, with what daylight saving does to it.

    `dst` is "gap" when it was moved out of the gap in spring, "repeated" when its wall-clock time comes twice, or None.
    """

    at: datetime
    local: datetime
    dst: DstMark | None


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo:
    """The zone called `name`, e.g. "Europe/Berlin". Raises `Invalid` for a name the tz database lacks."""
    if name.upper() == "UTC":
        return UTC
    try:
        if not _NO_ZONES.fullmatch(name):
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        pass
    raise Invalid(f"Unknown timezone {name!r}: use an IANA name such as Europe/Berlin or UTC", field="timezone")


def check(expression: str) -> None:
    """Accept `expression` or raise `Invalid` (code INVALID_CRON_EXPRESSION) naming the part that is wrong."""
    _ = _first(expression)


@lru_cache(maxsize=4096)
def _first(expression: str) -> datetime:
    """Some due time of `expression`; caching makes a repeated check free."""
    if len(expression) > MAX_EXPRESSION_LENGTH:
        raise _invalid(f"longer than {MAX_EXPRESSION_LENGTH} characters")
    parts = expression.split()
    if len(parts) != FIELDS:
        raise _invalid(f"needs 5 fields (minute hour day month weekday), has {len(parts)}")
    if not expression.isascii():
        raise _invalid("only ASCII characters are allowed")
    try:
        return next(CronSim(expression, _PROBE))
    except StopIteration:
        raise _invalid("no date ever matches it") from None
    except (CronSimError, AssertionError, ValueError, RecursionError) as error:
        raise _invalid(str(error) or "not understood") from None


def _invalid(why: str) -> Invalid:
    return Invalid(f"Invalid cron expression: {why}", field="schedule", code="INVALID_CRON_EXPRESSION")


def due_times(expression: str, zone_name: str, after: datetime) -> Iterator[datetime]:
    """All due times later than `after` (aware), in order, in UTC. Raises `Invalid` for a bad expression or zone."""
    check(expression)
    local_zone = zone(zone_name)
    if _is_fixed(expression):
        return _at_fixed_times(expression, local_zone, after)
    return _by_the_wall_clock(expression, local_zone, after.astimezone(UTC))


def _is_fixed(expression: str) -> bool:
    """Whether Debian's cron shifts the schedule at clock changes: neither minute nor hour begins with a star."""
    minute, hour, *_ = expression.split()
    return not minute.startswith("*") and not hour.startswith("*")


def _at_fixed_times(expression: str, local_zone: tzinfo, after: datetime) -> Iterator[datetime]:
    last = after
    for local in CronSim(expression, after.astimezone(local_zone)):
        at = local.astimezone(UTC)
        # In the second pass of a repeated hour, fixed-time schedules are searched on the naive wall clock and can
        # answer with the first pass, which is over.
        if at > last:
            last = at
            yield at


def _by_the_wall_clock(expression: str, local_zone: tzinfo, after: datetime) -> Iterator[datetime]:
    """Every minute whose wall clock matches, as often as it comes.

    Searched from one change of the clock to the next: cronsim alone loses its place where a change is not a whole
    number of hours (Lord Howe Island).
    """
    begin = last = after
    offset = _offset(local_zone, after)
    changed: datetime | None = after
    while changed is not None:
        changed = None
        for wall in CronSim(expression, begin + offset):
            at = wall - offset
            changed = _change(local_zone, last, at)
            if changed is not None:
                begin, last, offset = changed - _SECOND, changed, _offset(local_zone, changed)
                break
            last = at
            yield at


def _offset(local_zone: tzinfo, at: datetime) -> timedelta:
    return at.astimezone(local_zone).utcoffset() or timedelta(0)


def _change(local_zone: tzinfo, start: datetime, end: datetime) -> datetime | None:
    """The first second after `start` and not after `end` with another offset from UTC; no two lie within a day."""
    before = start.replace(microsecond=0)
    offset = _offset(local_zone, before)
    while before < end:
        after = min(before + _DAY, end)
        if _offset(local_zone, after) != offset:
            seconds = range((after - before) // _SECOND + 1)
            return before + _SECOND * bisect(
                seconds, False, key=lambda ahead: _offset(local_zone, before + _SECOND * ahead) != offset
            )
        before = after
    return None


def next_due(expression: str, zone_name: str, after: datetime) -> datetime | None:
    """The first due time later than `after`, in UTC, or None when there is none within cronsim's horizon."""
    return next(due_times(expression, zone_name, after), None)


def upcoming(expression: str, zone_name: str, after: datetime, count: int) -> list[NextRun]:
    """The next `count` due times with their local wall clock and daylight-saving marks."""
    local_zone = zone(zone_name)
    runs: list[NextRun] = []
    for at in due_times(expression, zone_name, after):
        local = at.astimezone(local_zone)
        runs.append(NextRun(at, local, _dst_mark(expression, local)))
        if len(runs) == count:
            break
    return runs


def _dst_mark(expression: str, local: datetime) -> DstMark | None:
    wall = local.replace(tzinfo=UTC)
    if _is_fixed(expression) and next(CronSim(expression, wall - _SECOND)) != wall:
        return "gap"
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        return "repeated"
    return None
