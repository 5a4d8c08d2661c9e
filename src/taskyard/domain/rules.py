"""The operator's choices that rules depend on, read once from the settings and passed in."""

from dataclasses import dataclass

STANDARD_RETRY_BASE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Rules:
    """House-wide defaults; every number in seconds, days or counts as its name says. See `settings` for the names."""

    retry_attempts: int = 3
    retry_base_seconds: float = STANDARD_RETRY_BASE_SECONDS
    http_timeout_seconds: float = 30.0
    command_timeout_seconds: float = 300.0
    lease_seconds: float = 15.0
    output_limit_bytes: int = 10 * 1024 * 1024
    executions_kept_days: float = 90.0
    events_kept_days: float = 90.0
    create_unknown_accounts: bool = True
    open_registration: bool = True

    def delivery_scale(self) -> float:
        """Deliveries follow fixed waits; a shortened retry base shortens them alike."""
        return min(1.0, self.retry_base_seconds / STANDARD_RETRY_BASE_SECONDS)
