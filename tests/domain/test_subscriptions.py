"""Subscriptions: secrets, and when a receiver is given up."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.domain.errors import Invalid
from taskyard.domain.events import Event
from taskyard.domain.ids import new_id
from taskyard.domain.subscriptions import check_secret, disabling, new_secret, payload

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CODES = st.one_of(st.none(), st.integers(100, 599))


@given(CODES, st.one_of(st.none(), st.timedeltas(timedelta(0), timedelta(days=30))))
def test_a_receiver_is_given_up_when_gone_or_after_five_days(code: int | None, failing: timedelta | None) -> None:
    why = disabling(None if failing is None else NOW - failing, code, NOW)
    assert (why is not None) == (code == 410 or (failing is not None and failing >= timedelta(days=5)))


def test_the_reason_is_said() -> None:
    assert disabling(None, 410, NOW) == "the receiver answered 410 Gone"
    assert disabling(NOW - timedelta(days=5), 500, NOW) == "every delivery has failed for 5 days"


def test_secrets_are_long_enough_to_sign_with_and_never_the_same() -> None:
    assert check_secret("12345678") == "12345678"
    for wrong in ("", "1234567", "x" * 513):
        with pytest.raises(Invalid):
            check_secret(wrong)
    made = {new_secret() for _ in range(20)}
    assert len(made) == 20
    assert all(check_secret(secret) and len(secret) > 40 for secret in made)


def test_the_payload_says_what_happened_and_who_is_told() -> None:
    event = Event(new_id(), new_id(), 7, "job.created", NOW, {"name": "j"})
    subscription, delivery = new_id(), new_id()
    assert payload(event, subscription, delivery) == {
        "id": str(event.id),
        "event": "job.created",
        "timestamp": "2026-03-01T12:00:00Z",
        "seq": 7,
        "data": {"name": "j"},
        "webhook_id": str(subscription),
        "delivery_id": str(delivery),
    }
