"""Jobs: what may be saved, and what follows from it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from taskyard.domain.errors import Invalid
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import (
    Command,
    Job,
    Kind,
    at_least_once,
    checked,
    own_retry_policy,
    retry_policy,
    scheduled,
    timeout_seconds,
)
from taskyard.domain.queues import Queue
from taskyard.domain.retries import NO_RETRY, RetryPolicy
from taskyard.domain.rules import Rules

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
HTTP = Job(new_id(), new_id(), "j", schedule="*/5 * * * *")
COMMAND = replace(HTTP, kind=Kind.COMMAND, command=Command("true"))


@pytest.mark.parametrize("job", [HTTP, COMMAND, replace(HTTP, schedule=None), replace(HTTP, retry=NO_RETRY)])
def test_good_jobs_pass(job: Job) -> None:
    assert checked(job) == job


@pytest.mark.parametrize(
    ("job", "field"),
    [
        (replace(HTTP, name=" "), "name"),
        (replace(HTTP, name="x" * 256), "name"),
        (replace(HTTP, name="a\0b"), "name"),
        (replace(HTTP, name="half \ud800"), "name"),
        (replace(HTTP, schedule="* * * *"), "schedule"),
        (replace(HTTP, schedule=""), "schedule"),
        (replace(HTTP, timezone="Mars/Phobos"), "timezone"),
        (replace(HTTP, priority=51), "priority"),
        (replace(HTTP, queue=Queue.DELIVERIES), "queue"),
        (replace(HTTP, kind=Kind.DELIVERY), "kind"),
        (replace(HTTP, kind=Kind.COMMAND), "command"),
        (replace(HTTP, command=Command("true")), "command"),
        (replace(COMMAND, command=Command(" ")), "command"),
        (replace(COMMAND, command=Command("a\0b")), "command"),
        (replace(COMMAND, command=Command("x" * 65537)), "command"),
        (replace(HTTP, timeout_seconds=0.0), "timeout_seconds"),
        (replace(HTTP, timeout_seconds=3601.0), "timeout_seconds"),
        (replace(HTTP, timeout_seconds=float("nan")), "timeout_seconds"),
        (replace(HTTP, retry=RetryPolicy(attempts=0)), "retry.attempts"),
        (replace(HTTP, catch_up_window_seconds=-1), "catch_up_window_seconds"),
        (replace(HTTP, catch_up_window_seconds=2**31), "catch_up_window_seconds"),
        (replace(HTTP, type=2**63), "type"),
        (replace(HTTP, type=-(2**63) - 1), "type"),
    ],
)
def test_wrong_jobs_are_refused_by_the_field(job: Job, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        checked(job)
    assert caught.value.field == field


def test_a_policy_of_ones_own_is_the_houses_but_for_what_is_wished() -> None:
    rules = Rules(retry_base_seconds=7)
    call = own_retry_policy(Kind.HTTP, {"attempts": 5}, None, rules)
    assert call == replace(retry_policy(Kind.HTTP, None, rules), attempts=5)
    command = own_retry_policy(Kind.COMMAND, {"attempts": 2}, None, rules)
    assert (command.attempts, command.base_seconds, command.retry_on) == (2, 7, {"exit_code", "timeout"})
    assert own_retry_policy(Kind.COMMAND, {"jitter": 0.0}, call, rules) == replace(call, jitter=0.0)


def test_the_next_run_follows_schedule_zone_and_switch() -> None:
    assert scheduled(HTTP, NOW).next_run_at == datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
    assert scheduled(replace(HTTP, enabled=False), NOW).next_run_at is None
    assert scheduled(replace(HTTP, schedule=None), NOW).next_run_at is None
    tokyo = replace(HTTP, schedule="0 9 * * *", timezone="Asia/Tokyo")
    assert scheduled(tokyo, NOW).next_run_at == datetime(2026, 3, 2, 0, 0, tzinfo=UTC)


def test_only_commands_are_not_started_again_unless_the_job_says_so() -> None:
    assert at_least_once(Kind.HTTP, own=None)
    assert at_least_once(Kind.DELIVERY, own=None)
    assert not at_least_once(Kind.COMMAND, own=None)
    assert at_least_once(Kind.COMMAND, own=True)
    assert not at_least_once(Kind.HTTP, own=False)


def test_the_house_decides_what_a_job_leaves_open() -> None:
    rules = Rules(retry_attempts=5, retry_base_seconds=1.5, http_timeout_seconds=7, command_timeout_seconds=9)
    own = retry_policy(Kind.HTTP, None, rules)
    assert (own.attempts, own.base_seconds) == (5, 1.5)
    assert retry_policy(Kind.COMMAND, None, rules) == NO_RETRY
    assert [timeout_seconds(kind, None, rules) for kind in (Kind.HTTP, Kind.DELIVERY, Kind.COMMAND)] == [7, 7, 9]
    assert timeout_seconds(Kind.HTTP, 2.5, rules) == 2.5
