"""Subscriptions: where the tenant wants its events delivered, and when a receiver has failed for too long."""

import secrets
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from taskyard.domain.errors import Invalid
from taskyard.domain.events import Event
from taskyard.domain.times import iso

FAILING_ALLOWED = timedelta(days=5)
MAX_URL_LENGTH = 2000
MIN_SECRET_LENGTH = 8
MAX_SECRET_LENGTH = 512
HTTP_GONE = 410


@dataclass(frozen=True, slots=True)
class Subscription:
    """`failing_since` is the first failed delivery since the last good one."""

    id: UUID
    tenant_id: UUID
    url: str
    event_types: tuple[str, ...]
    secret: str
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    is_active: bool = True
    disabled_reason: str | None = None
    failing_since: datetime | None = None


def new_secret() -> str:
    """A signing secret with 256 bits of chance, as Standard Webhooks spells it: base64, not its URL form."""
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> str:
    """`secret`, or `Invalid` when it is too short to sign with."""
    if not MIN_SECRET_LENGTH <= len(secret) <= MAX_SECRET_LENGTH:
        raise Invalid(f"secret must have {MIN_SECRET_LENGTH} to {MAX_SECRET_LENGTH} characters", field="secret")
    return secret


def disabling(failing_since: datetime | None, response_code: int | None, now: datetime) -> str | None:
    """Why a receiver that has just failed is to be switched off, or None to go on trying."""
    if response_code == HTTP_GONE:
        return "the receiver answered 410 Gone"
    if failing_since is not None and now - failing_since >= FAILING_ALLOWED:
        return f"every delivery has failed for {FAILING_ALLOWED.days} days"
    return None


def payload(event: Event, subscription_id: UUID, delivery_id: UUID) -> dict[str, Any]:
    """The body a subscriber receives (D1's webhook payload, with the event's own place in history)."""
    return {
        "id": str(event.id),
        "event": event.type,
        "timestamp": iso(event.time),
        "seq": event.seq,
        "data": dict(event.data),
        "webhook_id": str(subscription_id),
        "delivery_id": str(delivery_id),
    }
