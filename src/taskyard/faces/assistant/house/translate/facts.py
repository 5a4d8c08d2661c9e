"""Queues, events and webhooks."""

from taskyard.domain import events, queues, subscriptions
from taskyard.faces.assistant.house.schemas import events as event_schemas
from taskyard.faces.assistant.house.schemas import queues as queue_schemas
from taskyard.faces.assistant.house.schemas import webhooks as webhook_schemas


def queue(found: queues.QueueState) -> queue_schemas.QueueState:
    """A queue as it stands."""
    return queue_schemas.QueueState(
        name=found.name,
        waiting=found.waiting,
        delayed=found.delayed,
        running=found.running,
        oldest_seconds=round(found.oldest_seconds, 3),
        paused=found.paused_at is not None,
        paused_at=found.paused_at,
        paused_reason=found.paused_reason,
    )


def event(found: events.Event) -> event_schemas.Event:
    """A fact."""
    return event_schemas.Event(
        id=found.id,
        seq=found.seq,
        type=found.type,
        time=found.time,
        actor=found.actor,
        job_id=found.job_id,
        execution_id=found.execution_id,
        data=dict(found.data),
    )


def webhook(found: subscriptions.Subscription) -> webhook_schemas.Webhook:
    """A subscription without its secret."""
    return webhook_schemas.Webhook(
        id=found.id,
        url=found.url,
        event_types=list(found.event_types),
        is_active=found.is_active,
        created_at=found.created_at,
        description=found.description,
        updated_at=found.updated_at,
        disabled_reason=found.disabled_reason,
        failing_since=found.failing_since,
    )


def webhook_with_secret(found: subscriptions.Subscription, *, told: bool) -> webhook_schemas.WebhookWithSecret:
    """A subscription, with its secret if that was made here and has to be `told`."""
    return webhook_schemas.WebhookWithSecret(**webhook(found).model_dump(), secret=found.secret if told else None)
