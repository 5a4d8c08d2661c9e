"""Cron schedules: five fields in an IANA zone, with the rules of Debian's cron (RULINGS §5 D3).

Daylight saving follows Debian cron: a fixed-time job whose moment falls into the gap runs right after it, one whose
moment comes twice runs once; wildcard jobs follow the wall clock through both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from taskyard.domain.errors import Invalid

FIELDS = 5
MAX_EXPRESSION_LENGTH = 255
_PROBE = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NextRun:
    """A coming due time, with what daylight saving does to it: "gap", "repeated" or None."""

    at: datetime
    local: datetime
    dst: str | None


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo:
    """The zone called `name`, e.g. "Europe/Berlin". Raises `Invalid` for a name the tz database lacks."""
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        message = f"Unknown timezone {name!r}: use an IANA name such as Europe/Berlin or UTC"
        raise Invalid(message, field="timezone") from None


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
    start = after.astimezone(zone(zone_name))
    last = after
    for local in CronSim(expression, start):
        at = local.astimezone(UTC)
        # In the second pass of a repeated hour, fixed-time schedules are searched on the naive wall clock and can
        # answer with the first pass, which is over.
        if at > last:
            last = at
            yield at


def next_due(expression: str, zone_name: str, after: datetime) -> datetime | None:
    """The first due time later than `after`, in UTC, or None when there is none within cronsim's horizon."""
    return next(due_times(expression, zone_name, after), None)


def upcoming(expression: str, zone_name: str, after: datetime, count: int) -> list[NextRun]:
    """The next `count` due times with their local wall clock and daylight-saving marks."""
    local_zone = zone(zone_name)
    runs: list[NextRun] = []
    for at in due_times(expression, zone_name, after):
        local = at.astimezone(local_zone)
        runs.append(NextRun(at, local, _dst_mark(at, local)))
        if len(runs) == count:
            break
    return runs


def _dst_mark(at: datetime, local: datetime) -> str | None:
    earlier = (at - timedelta(hours=1)).astimezone(local.tzinfo).utcoffset()
    offset = local.utcoffset()
    if offset is not None and earlier is not None and offset > earlier:
        return "gap"
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        return "repeated"
    return None
