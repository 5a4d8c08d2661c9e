"""Fates: every due time gets exactly one, however the passes of the clock fall."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskyard.domain import cron, schedules
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import CatchUp, Job, scheduled
from taskyard.domain.schedules import ON_TIME, Fate, fates

START = datetime(2026, 3, 27, 23, 59, 30, tzinfo=UTC)
SCHEDULES = ["* * * * *", "*/7 * * * *", "30 * * * *", "0 2-4 * * *", "30 2 * * *", "15,45 1,2,3 * * SUN"]


def job(schedule: str | None = "* * * * *", catch_up: CatchUp = CatchUp.LATEST, **more: object) -> Job:
    """A job made at `START`."""
    made = Job(new_id(), new_id(), "j", schedule=schedule, timezone="Europe/Berlin", catch_up=catch_up)
    return scheduled(replace(made, **more), START)


def passes(each: Job, moments: list[datetime], limit: int) -> list[Fate]:
    """What a clock decides that wakes up at `moments`, and each time goes on until nothing is due."""
    decided: list[Fate] = []
    for now in moments:
        while each.next_run_at is not None and each.next_run_at <= now:
            found, upcoming = fates(each, now, limit)
            assert 1 <= len(found) <= limit
            assert upcoming is None or upcoming > found[-1].due_at
            decided += found
            each = replace(each, next_run_at=upcoming)
    return decided


def due_until(each: Job, now: datetime) -> list[datetime]:
    """All due times of the job from `START` to `now`."""
    assert each.schedule is not None
    return list(takewhile(lambda at: at <= now, cron.due_times(each.schedule, each.timezone, START)))


@given(
    schedule=st.sampled_from(SCHEDULES),
    catch_up=st.sampled_from(CatchUp),
    pauses=st.lists(st.integers(1, 50_000), min_size=1, max_size=12),
    limit=st.integers(1, 40),
)
@settings(deadline=None)
def test_every_due_time_has_exactly_one_fate(schedule: str, catch_up: CatchUp, pauses: list[int], limit: int) -> None:
    moments = [START + timedelta(seconds=sum(pauses[: number + 1])) for number in range(len(pauses))]
    each = job(schedule, catch_up)
    assert [fate.due_at for fate in passes(each, moments, limit)] == due_until(each, moments[-1])


@given(late=st.integers(0, 7200), limit=st.integers(1, 200))
def test_latest_runs_one_however_many_have_passed(late: int, limit: int) -> None:
    now = START + timedelta(seconds=30 + late)
    decided = passes(job(), [now], limit)
    assert [fate.due_at for fate in decided if fate.missed_because is None] == [due_until(job(), now)[-1]]


@given(late=st.integers(0, 7200), window=st.integers(0, 3600), limit=st.integers(1, 200))
def test_all_runs_what_lies_within_the_window(late: int, window: int, limit: int) -> None:
    now = START + timedelta(seconds=30 + late)
    decided = passes(job(catch_up=CatchUp.ALL, catch_up_window_seconds=window), [now], limit)
    within = max(timedelta(seconds=window), ON_TIME)
    assert all((fate.missed_because is None) == (now - fate.due_at <= within) for fate in decided)


@given(late=st.integers(0, 7200), limit=st.integers(1, 200))
def test_none_runs_only_what_is_on_time(late: int, limit: int) -> None:
    now = START + timedelta(seconds=30 + late)
    decided = passes(job(catch_up=CatchUp.NONE), [now], limit)
    assert all((fate.missed_because is None) == (now - fate.due_at <= ON_TIME) for fate in decided)


@pytest.mark.parametrize("catch_up", CatchUp)
def test_a_clock_in_time_runs_everything(catch_up: CatchUp) -> None:
    moments = [START + timedelta(seconds=30.2 + 60 * number) for number in range(10)]
    decided = passes(job(catch_up=catch_up), moments, 500)
    assert len(decided) == 10
    assert {fate.missed_because for fate in decided} == {None}


def test_a_year_without_a_clock_is_worked_off_in_bites() -> None:
    each = job("*/20 * * * *")
    now = START + timedelta(days=365)
    decided = passes(each, [now], schedules.MAX_FATES)
    assert len(decided) == 365 * 24 * 3
    ran = [fate for fate in decided if fate.missed_because is None]
    assert ran == [decided[-1]]
    assert now - ran[0].due_at < timedelta(minutes=20)


def test_each_missed_time_says_why() -> None:
    now = START + timedelta(minutes=10)
    by_policy = {each: passes(job(catch_up=each, catch_up_window_seconds=90), [now], 500)[0] for each in CatchUp}
    assert by_policy[CatchUp.LATEST].missed_because == "a later due time had passed too (catch-up: latest)"
    assert by_policy[CatchUp.ALL].missed_because == "570 s late, outside the catch-up window"
    assert by_policy[CatchUp.NONE].missed_because == "570 s late (catch-up: none)"


@pytest.mark.parametrize("without", [job(schedule=None), job(enabled=False)], ids=["schedule", "switch"])
def test_without_a_next_run_nothing_is_due(without: Job) -> None:
    assert fates(without, START + timedelta(days=1)) == ([], None)
