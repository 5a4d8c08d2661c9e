"""Endings: every outcome at every attempt under every policy."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.domain.endings import Ending, ending
from taskyard.domain.executions import Execution, Status, Trigger
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Kind
from taskyard.domain.retries import CRASH_ATTEMPTS, NO_RETRY, RetryPolicy
from taskyard.domain.runs import Cause, Outcome, Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS = ["connect_error", "timeout", "exit_code", "internal", "any", "3xx", "4xx", "5xx", "429", "410"]

OUTCOMES = st.builds(
    Outcome,
    verdict=st.sampled_from(Verdict),
    cause=st.one_of(st.none(), st.sampled_from(Cause)),
    error=st.one_of(st.none(), st.just("something")),
    response_code=st.one_of(st.none(), st.integers(100, 599)),
    retry_after=st.one_of(st.none(), st.floats(0, 1e6)),
)
POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 6),
    base_seconds=st.floats(0, 100),
    retry_on=st.frozensets(st.sampled_from(WORDS)),
)
DRAWS = st.floats(0, 1, exclude_max=True)


def execution(attempt: int = 1, *, cancel: bool = False, reason: str | None = None) -> Execution:
    """One that runs."""
    ident = new_id()
    return Execution(
        id=ident,
        tenant_id=new_id(),
        run_id=ident,
        kind=Kind.HTTP,
        trigger=Trigger.SCHEDULE,
        status=Status.RUNNING,
        created_at=NOW,
        available_at=NOW,
        attempt=attempt,
        cancel_requested_at=NOW if cancel else None,
        reason=reason,
    )


def decide(
    outcome: Outcome, policy: RetryPolicy, attempt: int = 1, *, cancel: bool = False, at_least_once: bool = True
) -> Ending:
    """The ending with no chance in it."""
    running = execution(attempt, cancel=cancel, reason="stop it" if cancel else None)
    return ending(running, outcome, policy, NOW, 0.5, at_least_once=at_least_once)


@given(OUTCOMES, POLICIES, st.integers(1, 10), st.booleans(), st.booleans(), DRAWS)
def test_every_ending_keeps_the_rules(
    outcome: Outcome, policy: RetryPolicy, attempt: int, cancel: bool, at_least_once: bool, draw: float
) -> None:
    running = execution(attempt, cancel=cancel)
    decided = ending(running, outcome, policy, NOW, draw, at_least_once=at_least_once)
    retried = decided.retry_at is not None
    lost = outcome.cause is Cause.WORKER_LOST
    assert decided.status not in {Status.QUEUED, Status.RUNNING, Status.SKIPPED, Status.MISSED}
    assert not (decided.dead and retried)
    if decided.retry_at is not None:
        assert decided.retry_at >= NOW
        assert attempt < (max(policy.attempts, CRASH_ATTEMPTS) if lost else policy.attempts)
        assert decided.status in {Status.FAILURE, Status.TIMED_OUT}
        assert not cancel
        assert at_least_once or not lost
    if decided.status is Status.SUCCESS:
        assert outcome.verdict is Verdict.SUCCEEDED
    if decided.status in {Status.SUCCESS, Status.CANCELLED}:
        assert not decided.dead
        assert not retried
    else:
        assert decided.dead or retried, "a failed run either goes on or lists as dead"
    if decided.status is Status.DEAD_LETTER:
        assert decided.dead
        assert decided.reason
    if cancel and outcome.verdict is not Verdict.SUCCEEDED:
        assert decided.status is Status.CANCELLED


@given(OUTCOMES, POLICIES, st.booleans())
def test_a_run_that_always_fails_alike_ends(outcome: Outcome, policy: RetryPolicy, at_least_once: bool) -> None:
    attempt = 1
    while decide(outcome, policy, attempt, at_least_once=at_least_once).retry_at is not None:
        attempt += 1
        assert attempt <= max(policy.attempts, CRASH_ATTEMPTS)


def test_a_job_that_kills_its_worker_each_time_ends_as_a_dead_letter() -> None:
    lost = Outcome.failed(Cause.WORKER_LOST, "worker lost: its lease lapsed")
    endings = [decide(lost, NO_RETRY, attempt) for attempt in range(1, CRASH_ATTEMPTS + 1)]
    assert [each.status for each in endings] == [Status.FAILURE, Status.FAILURE, Status.DEAD_LETTER]
    assert [each.retry_at for each in endings] == [NOW, NOW, None]
    assert {each.reason for each in endings} == {"worker lost"}


def test_what_is_not_declared_at_least_once_is_not_started_again() -> None:
    lost = Outcome.failed(Cause.WORKER_LOST, "worker lost")
    decided = decide(lost, RetryPolicy(attempts=9, retry_on=frozenset({"any"})), at_least_once=False)
    assert decided == Ending(Status.DEAD_LETTER, reason="worker lost", dead=True)


def test_a_good_end_beats_a_request_to_cancel() -> None:
    assert decide(Outcome(Verdict.SUCCEEDED), RetryPolicy(), cancel=True) == Ending(Status.SUCCESS)


@pytest.mark.parametrize(
    ("verdict", "cause"), [*product([Verdict.FAILED, Verdict.TIMED_OUT], Cause), (Verdict.CANCELLED, Cause.CANCELLED)]
)
def test_a_cancelled_run_is_never_retried_and_keeps_its_reason(verdict: Verdict, cause: Cause) -> None:
    decided = decide(Outcome(verdict, cause, "x"), RetryPolicy(retry_on=frozenset({"any"})), cancel=True)
    assert decided == Ending(Status.CANCELLED, reason="stop it")


def test_the_last_of_several_attempts_says_how_many_there_were() -> None:
    refused = Outcome.failed(Cause.CONNECT_ERROR, "refused")
    assert decide(refused, RetryPolicy(), 3) == Ending(Status.DEAD_LETTER, reason="failed 3 of 3 attempts", dead=True)
    timed_out = Outcome(Verdict.TIMED_OUT, Cause.TIMEOUT, "time limit")
    assert decide(timed_out, RetryPolicy(), 2).status is Status.TIMED_OUT
    assert decide(timed_out, RetryPolicy(), 3).status is Status.DEAD_LETTER


def test_what_is_not_worth_a_retry_is_dead_at_once() -> None:
    decided = decide(Outcome.failed(Cause.STATUS, "HTTP 404", response_code=404), RetryPolicy())
    assert decided == Ending(Status.DEAD_LETTER, reason="not retried", dead=True)


def test_one_attempt_over_its_time_limit_stays_timed_out() -> None:
    decided = decide(Outcome(Verdict.TIMED_OUT, Cause.TIMEOUT, "time limit"), NO_RETRY)
    assert decided == Ending(Status.TIMED_OUT, reason="time limit", dead=True)


@given(st.floats(0, 7200), DRAWS)
def test_a_retry_is_due_when_its_policy_says(retry_after: float, draw: float) -> None:
    busy = Outcome.failed(Cause.STATUS, "HTTP 429", response_code=429, retry_after=retry_after)
    policy = RetryPolicy()
    decided = ending(execution(2), busy, policy, NOW, draw, at_least_once=True)
    assert decided.retry_at == NOW + timedelta(seconds=policy.wait(2, draw, retry_after))
