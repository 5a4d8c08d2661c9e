"""Executions: their place in the engine, and what is told of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from taskyard.domain.executions import EVENT_OF, Execution, Status, Trigger, next_attempt, ticket, told
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Kind
from taskyard.domain.queues import Queue

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUNNING = Execution(
    id=new_id(),
    tenant_id=new_id(),
    run_id=new_id(),
    kind=Kind.HTTP,
    trigger=Trigger.SCHEDULE,
    status=Status.RUNNING,
    created_at=NOW,
    available_at=NOW,
)


def test_a_ticket_carries_what_orders_the_queue() -> None:
    made = ticket(RUNNING)
    assert (made.execution_id, made.kind, made.queue, made.priority) == (RUNNING.id, "http", Queue.NORMAL, 0)
    assert made.available_at == NOW


def test_each_status_has_its_event_which_leaves_out_what_is_unknown() -> None:
    for status in Status:
        [fact] = told([replace(RUNNING, status=status)], "alice")
        assert (fact.type, fact.actor, fact.execution_id) == (EVENT_OF[status], "alice", RUNNING.id)
        assert None not in fact.data.values()
        assert "due_at" not in fact.data
        assert (fact.data["status"], fact.data["attempt"]) == (status.value, 1)


def test_a_failed_attempt_tells_of_the_next() -> None:
    failed = replace(RUNNING, status=Status.FAILURE)
    retry = next_attempt(failed, NOW, NOW + timedelta(seconds=90))
    [fact] = told([failed], retries={retry.run_id: retry})
    assert fact.data["next_execution_id"] == str(retry.id)
    assert fact.data["next_attempt_at"] == "2026-03-01T12:01:30Z"


def test_a_delivery_tells_nothing_of_itself() -> None:
    assert told([replace(RUNNING, kind=Kind.DELIVERY)]) == []
