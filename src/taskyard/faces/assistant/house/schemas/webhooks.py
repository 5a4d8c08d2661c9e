"""Webhooks: subscriptions to events, and their deliveries (D4-E12)."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool

from taskyard.domain.executions import Status
from taskyard.domain.subscriptions import MAX_SECRET_LENGTH, MAX_URL_LENGTH, MIN_SECRET_LENGTH
from taskyard.faces.assistant.house.schemas.events import EventType
from taskyard.faces.assistant.house.schemas.values import Paged, url_of_at_most
from taskyard.faces.kit.wire import Moment, Text

Url = Annotated[Text, Field(min_length=1, max_length=MAX_URL_LENGTH), url_of_at_most(MAX_URL_LENGTH)]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=100)]
Secret = Annotated[Text, Field(min_length=MIN_SECRET_LENGTH, max_length=MAX_SECRET_LENGTH)]
Description = Annotated[Text, Field(max_length=2000)]


class WebhookWanted(BaseModel):
    """D4-E12. Without a secret one is made and answered, this once."""

    url: Url
    event_types: EventTypes
    secret: Secret | None = None
    description: Description | None = None
    is_active: StrictBool = True


class WebhookChanges(BaseModel):
    """What is not sent stays as it is; null clears the description and is no value of the others."""

    url: Url = Field(default_factory=str)
    event_types: EventTypes = Field(default_factory=list[str])
    secret: Secret = Field(default_factory=str)
    description: Description | None = None
    is_active: StrictBool = True


class SecretWanted(BaseModel):
    """The next secret; without one it is made and answered, this once."""

    secret: Secret | None = None


class Webhook(BaseModel):
    """D4-E12. `failing_since` is the first failed delivery since the last good one."""

    id: UUID
    url: str
    event_types: list[str]
    is_active: bool
    created_at: Moment
    description: str | None
    updated_at: Moment
    disabled_reason: str | None
    failing_since: Moment | None


class WebhookWithSecret(Webhook):
    """`secret` is there only when it was made here, and only this once."""

    secret: str | None = Field(default=None, exclude_if=lambda secret: secret is None)


class WebhookPage(Paged):
    """A page of webhooks, newest first."""

    items: list[Webhook]


class Delivery(BaseModel):
    """One try to deliver. `delivery_id` is the same on every try, and is what the receiver sees; `next_try_at` is set
    while this try is still to come.
    """

    id: UUID
    delivery_id: UUID
    webhook_id: UUID
    event_type: str
    event_seq: int
    status: Status
    attempt: int
    response_code: int | None
    error: str | None
    duration_ms: int | None
    created_at: Moment
    finished_at: Moment | None
    next_try_at: Moment | None


class DeliveryPage(Paged):
    """A page of tries, newest first."""

    items: list[Delivery]
