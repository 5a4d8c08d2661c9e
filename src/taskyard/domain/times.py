"""Times as they are written down."""

from datetime import UTC, datetime


def iso(at: datetime) -> str:
    """An aware time as "2024-01-02T02:00:00Z"; microseconds are shown only when there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
