"""Retries: what is tried again, and how long it waits (RULINGS §4)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.domain import retries
from taskyard.domain.errors import Invalid
from taskyard.domain.jobs import Kind, retry_policy
from taskyard.domain.retries import ANY_FAILURE, NO_RETRY, RetryPolicy
from taskyard.domain.rules import Rules
from taskyard.domain.runs import Cause, Outcome, Verdict

DRAWS = st.floats(0, 1, exclude_max=True)
SECONDS = st.floats(0, 1e6, allow_nan=False)


def answered(code: int) -> Outcome:
    """A call that was answered with an error."""
    return Outcome.failed(Cause.STATUS, f"HTTP {code}", response_code=code)


TIMED_OUT = Outcome(Verdict.TIMED_OUT, Cause.TIMEOUT, "time limit")

RETRIED = [
    Outcome.failed(Cause.CONNECT_ERROR, "refused"),
    Outcome.failed(Cause.TIMEOUT, "no answer"),
    TIMED_OUT,
    *map(answered, (408, 425, 429, 500, 501, 502, 503, 504, 507, 599)),
]
NOT_RETRIED = [
    *map(answered, (300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 409, 410, 413, 422, 451)),
    Outcome.failed(Cause.BLOCKED, "a private address"),
    Outcome.failed(Cause.NOT_RUNNABLE, "job has no webhook"),
    Outcome.failed(Cause.INTERNAL, "a bug"),
    Outcome.failed(Cause.EXIT_CODE, "exit code 1", exit_code=1),
    Outcome(Verdict.CANCELLED, Cause.CANCELLED),
]


def said(outcome: Outcome) -> str:
    return f"{outcome.verdict}-{outcome.cause}-{outcome.response_code}"


@pytest.mark.parametrize("outcome", RETRIED, ids=said)
def test_the_passing_troubles_of_http_are_retried(outcome: Outcome) -> None:
    policy = retry_policy(Kind.HTTP, None, Rules())
    assert [policy.wants(outcome, attempt) for attempt in (1, 2, 3, 4)] == [True, True, False, False]


@pytest.mark.parametrize("outcome", NOT_RETRIED, ids=said)
def test_nothing_else_of_http_is_retried(outcome: Outcome) -> None:
    assert not retry_policy(Kind.HTTP, None, Rules(retry_attempts=9)).wants(outcome, 1)


@pytest.mark.parametrize("outcome", [*RETRIED, *NOT_RETRIED], ids=said)
def test_commands_are_not_retried_unless_their_job_asks(outcome: Outcome) -> None:
    assert not retry_policy(Kind.COMMAND, None, Rules(retry_attempts=9)).wants(outcome, 1)


def test_a_job_may_ask_for_more() -> None:
    asking = RetryPolicy(attempts=2, retry_on=frozenset({"exit_code", "404", "3xx"}))
    assert retry_policy(Kind.COMMAND, asking, Rules()) is asking
    assert asking.wants(Outcome.failed(Cause.EXIT_CODE, "exit code 1"), 1)
    assert asking.wants(answered(404), 1)
    assert asking.wants(answered(302), 1)
    assert not asking.wants(answered(403), 1)
    assert not asking.wants(answered(500), 1)


@pytest.mark.parametrize("outcome", [*RETRIED, *map(answered, (302, 404)), answered(410)], ids=said)
def test_any_means_every_failure_that_can_pass(outcome: Outcome) -> None:
    assert RetryPolicy(retry_on=frozenset({"any"})).wants(outcome, 1)


@pytest.mark.parametrize("cause", [Cause.BLOCKED, Cause.NOT_RUNNABLE, Cause.CANCELLED])
def test_what_cannot_pass_is_not_even_retried_by_any(cause: Cause) -> None:
    assert not RetryPolicy(retry_on=frozenset({"any"})).wants(Outcome.failed(cause, "no"), 1)


def test_deliveries_are_tried_eight_times_over_28_hours() -> None:
    policy = retry_policy(Kind.DELIVERY, None, Rules())
    waits = [policy.wait(attempt, 0.5) for attempt in range(1, policy.attempts)]
    assert policy.attempts == 8
    assert 27 * 3600 < sum(waits) < 29 * 3600
    assert all(policy.wants(outcome, 7) for outcome in [*RETRIED, answered(404), answered(302)])
    assert not any(policy.wants(outcome, 8) for outcome in RETRIED)
    assert not policy.wants(answered(410), 1)
    assert RetryPolicy(retry_on=frozenset({"4xx"})).wants(answered(410), 1), "a job may ask for more"


def test_a_shorter_base_shortens_deliveries_and_a_longer_one_does_not_lengthen_them() -> None:
    def first(base: float) -> float:
        return retry_policy(Kind.DELIVERY, None, Rules(retry_base_seconds=base)).wait(1, 0.5)

    assert first(0.6) == pytest.approx(0.05)
    assert first(600) == first(60) == pytest.approx(5)


@given(base=st.floats(0, 86400), factor=st.floats(1, 10), top=st.floats(0, 604800), draw=DRAWS)
def test_waits_never_shrink_and_never_pass_the_top(base: float, factor: float, top: float, draw: float) -> None:
    policy = RetryPolicy(attempts=100, base_seconds=base, factor=factor, max_seconds=top, jitter=0)
    waits = [policy.wait(attempt, draw) for attempt in range(1, 100)]
    assert waits == sorted(waits)
    assert waits[0] == min(base, top)
    assert max(waits) <= top


def test_the_house_waits_one_two_four_minutes() -> None:
    policy = retry_policy(Kind.HTTP, None, Rules())
    assert [policy.wait(attempt, 0.5) for attempt in (1, 2, 3)] == pytest.approx([60, 120, 240])


@given(attempt=st.integers(1, 100), jitter=st.floats(0, 1), draw=DRAWS)
def test_jitter_stays_within_its_bounds(attempt: int, jitter: float, draw: float) -> None:
    plain = RetryPolicy(jitter=0).wait(attempt, draw)
    jittered = RetryPolicy(jitter=jitter).wait(attempt, draw)
    assert plain * (1 - jitter) <= jittered * (1 + 1e-9)
    assert jittered <= plain * (1 + jitter) * (1 + 1e-9)
    assert jittered >= 0


@given(attempt=st.integers(1, 20), draw=DRAWS, asked=st.one_of(st.none(), SECONDS))
def test_the_other_side_may_ask_for_more_time_up_to_an_hour(attempt: int, draw: float, asked: float | None) -> None:
    policy = RetryPolicy(attempts=20, max_seconds=7200)
    wait = policy.wait(attempt, draw, asked)
    assert wait == max(policy.wait(attempt, draw), min(asked or 0, 3600))


@pytest.mark.parametrize("asked", [0, -5])
def test_asking_for_no_wait_does_not_shorten_it(asked: float) -> None:
    assert RetryPolicy(jitter=0).wait(1, 0.5, asked) == 60


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attempts", 0),
        ("attempts", 101),
        ("base_seconds", -1.0),
        ("base_seconds", float("nan")),
        ("base_seconds", float("inf")),
        ("factor", 0.5),
        ("factor", 11.0),
        ("max_seconds", -1.0),
        ("max_seconds", 604801.0),
        ("jitter", 1.5),
        ("retry_on", frozenset({"sometimes"})),
        ("retry_on", frozenset({"600"})),
        ("retry_on", frozenset({"\u0665\u0660\u0660"})),
    ],
)
def test_a_policy_out_of_range_is_refused(field: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        retries.checked(RetryPolicy(**{field: value}))
    assert caught.value.field == f"retry.{field}"


@pytest.mark.parametrize("policy", [RetryPolicy(), NO_RETRY, RetryPolicy(retry_on=ANY_FAILURE | {"404", "any"})])
def test_a_good_policy_passes_unchanged(policy: RetryPolicy) -> None:
    assert retries.checked(policy) == policy
