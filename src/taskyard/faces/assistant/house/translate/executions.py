"""Executions and deliveries."""

from collections.abc import Sequence
from typing import Any

from taskyard.domain import executions
from taskyard.domain.executions import Status
from taskyard.faces.assistant.house.schemas import executions as schemas
from taskyard.faces.assistant.house.schemas import webhooks as webhook_schemas


def _facts(found: executions.Execution) -> dict[str, Any]:
    names = schemas.Execution.model_fields.keys() - {"webhook_id"}
    return {name: getattr(found, name) for name in names} | {"webhook_id": found.subscription_id}


def execution(found: executions.Execution) -> schemas.Execution:
    """An execution without what it brought."""
    return schemas.Execution(**_facts(found))


def full(found: executions.Execution, attempts: Sequence[executions.Execution]) -> schemas.FullExecution:
    """An execution with what it brought and the attempts of its run, given newest first."""
    return schemas.FullExecution(
        **_facts(found), result=dict(found.result), attempts=[_attempt(each) for each in reversed(attempts)]
    )


def _attempt(found: executions.Execution) -> schemas.Attempt:
    return schemas.Attempt(**{name: getattr(found, name) for name in schemas.Attempt.model_fields})


def delivery(found: executions.Execution) -> webhook_schemas.Delivery:
    """One try to deliver an event."""
    if found.subscription_id is None:
        raise ValueError("an execution that is no delivery has no place here")
    payload = found.spec["payload"]
    return webhook_schemas.Delivery(
        id=found.id,
        delivery_id=found.run_id,
        webhook_id=found.subscription_id,
        event_type=payload["event"],
        event_seq=payload["seq"],
        status=found.status,
        attempt=found.attempt,
        response_code=found.response_code,
        error=found.error or (found.reason if found.status is not Status.SUCCESS else None),
        duration_ms=found.duration_ms,
        created_at=found.created_at,
        finished_at=found.finished_at,
        next_try_at=found.available_at if found.status is Status.QUEUED else None,
    )
