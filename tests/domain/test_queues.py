"""Queues: what leaves first, and what the engine carries."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.domain.errors import Invalid, NotFound
from taskyard.domain.ids import new_id
from taskyard.domain.queues import (
    PRIORITY_RANGE,
    Queue,
    Ticket,
    check_priority,
    engine_priority,
    named,
    payload_of,
    read_payload,
)

PRIORITIES = st.sampled_from(PRIORITY_RANGE)


@given(PRIORITIES, PRIORITIES)
def test_the_queue_decides_before_the_priority(one: int, other: int) -> None:
    assert engine_priority(Queue.HIGH, one) > engine_priority(Queue.NORMAL, other) > engine_priority(Queue.LOW, one)
    assert engine_priority(Queue.HIGH, one) > engine_priority(Queue.DELIVERIES, other) > engine_priority(Queue.LOW, one)


@given(st.sampled_from(Queue), PRIORITIES, PRIORITIES)
def test_within_a_queue_the_priority_decides(queue: Queue, one: int, other: int) -> None:
    assert (engine_priority(queue, one) > engine_priority(queue, other)) == (one > other)


@pytest.mark.parametrize("wrong", [-51, 51, 10**9])
def test_priorities_have_bounds(wrong: int) -> None:
    with pytest.raises(Invalid) as caught:
        check_priority(wrong)
    assert caught.value.field == "priority"
    assert [check_priority(each) for each in (-50, 0, 50)] == [-50, 0, 50]


def test_queues_are_known_by_name() -> None:
    assert [named(queue.value) for queue in Queue] == list(Queue)
    for wrong in ("", "HIGH", "urgent"):
        with pytest.raises(NotFound):
            named(wrong)


@pytest.mark.parametrize("kind", ["http", "command", "delivery"])
def test_the_engine_carries_kind_and_id(kind: str) -> None:
    ticket = Ticket(new_id(), kind, Queue.LOW, 0, datetime(2026, 1, 1, tzinfo=UTC))
    assert read_payload(payload_of(ticket)) == (kind, ticket.execution_id)
