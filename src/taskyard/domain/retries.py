"""When a failed attempt is tried again, and how long it waits (RULINGS §4)."""

from dataclasses import dataclass, replace

from taskyard.domain.errors import Invalid
from taskyard.domain.runs import Cause, Outcome, Verdict

MAX_RETRY_AFTER_SECONDS = 3600.0
MAX_ATTEMPTS = 100
CRASH_ATTEMPTS = 3
"""How often an at-least-once execution is started in all when its workers keep dying."""

TRANSIENT = frozenset({"connect_error", "timeout", "5xx", "408", "425", "429"})
"""What is retried of HTTP calls unless the job says otherwise."""
ANY_FAILURE = frozenset({"connect_error", "timeout", "4xx", "5xx", "3xx", "exit_code", "internal"})
RETRY_WORDS = frozenset({"connect_error", "timeout", "exit_code", "internal", "any", "3xx", "4xx", "5xx"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential waits: before attempt n+1, `base_seconds * factor ** (n - 1)`, at most `max_seconds`, ± `jitter`.

    `attempts` counts the first one. `retry_on` holds causes ("connect_error", "timeout", "exit_code", "internal"),
    HTTP status codes ("429") and classes ("5xx"), or "any". `never_on` holds those that are not retried all the same.
    `waits_seconds`, when given, replaces the formula.
    """

    attempts: int = 3
    base_seconds: float = 60.0
    factor: float = 2.0
    max_seconds: float = 3600.0
    jitter: float = 0.1
    retry_on: frozenset[str] = TRANSIENT
    never_on: frozenset[str] = frozenset()
    waits_seconds: tuple[float, ...] = ()

    def wants(self, outcome: Outcome, attempt: int) -> bool:
        """Whether the failed attempt number `attempt` is to be followed by another."""
        words = _words(outcome)
        return attempt < self.attempts and not self.retry_on.isdisjoint(words) and self.never_on.isdisjoint(words)

    def wait(self, attempt: int, draw: float, retry_after: float | None = None) -> float:
        """Seconds to wait after failed attempt `attempt`; `draw` in [0, 1) decides the jitter.

        The other side's `retry_after` lengthens the wait, capped at one hour, and is never shortened by jitter.
        """
        if self.waits_seconds:
            planned = self.waits_seconds[min(attempt, len(self.waits_seconds)) - 1]
        else:
            planned = min(self.base_seconds * self.factor ** (attempt - 1), self.max_seconds)
        jittered = planned * (1 + self.jitter * (2 * draw - 1))
        return max(jittered, min(retry_after or 0.0, MAX_RETRY_AFTER_SECONDS))


NO_RETRY = RetryPolicy(attempts=1, retry_on=frozenset())

_DELIVERY_WAITS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 36000.0)


def delivery_policy(scale: float) -> RetryPolicy:
    """Eight tries over 28 hours, every failure but 410 retried; `scale` shortens all waits for trials."""
    return RetryPolicy(
        attempts=len(_DELIVERY_WAITS) + 1,
        retry_on=ANY_FAILURE,
        never_on=frozenset({"410"}),
        waits_seconds=tuple(wait * scale for wait in _DELIVERY_WAITS),
    )


def checked(policy: RetryPolicy) -> RetryPolicy:
    """`policy` itself, or `Invalid` naming the field that is out of range."""
    if not 1 <= policy.attempts <= MAX_ATTEMPTS:
        raise Invalid(f"retry.attempts must be from 1 to {MAX_ATTEMPTS}", field="retry.attempts")
    limits = (
        ("base_seconds", 0.0, 86400.0),
        ("factor", 1.0, 10.0),
        ("max_seconds", 0.0, 604800.0),
        ("jitter", 0.0, 1.0),
    )
    for name, low, high in limits:
        if not low <= getattr(policy, name) <= high:
            raise Invalid(f"retry.{name} must be from {low:g} to {high:g}", field=f"retry.{name}")
    for word in policy.retry_on:
        if word not in RETRY_WORDS and not (word.isascii() and word.isdigit() and 100 <= int(word) <= 599):
            known = ", ".join(sorted(RETRY_WORDS))
            raise Invalid(
                f"retry.retry_on: {word!r} is neither a status code nor one of {known}",
                field="retry.retry_on",
            )
    return replace(policy, retry_on=frozenset(policy.retry_on))


def _words(outcome: Outcome) -> set[str]:
    """What a policy may call this failure."""
    if outcome.verdict is Verdict.TIMED_OUT:
        return {"timeout", "any"}
    match outcome.cause:
        case Cause.STATUS if outcome.response_code is not None:
            return {str(outcome.response_code), f"{outcome.response_code // 100}xx", "any"}
        case Cause.CONNECT_ERROR | Cause.TIMEOUT | Cause.EXIT_CODE | Cause.INTERNAL:
            return {outcome.cause.value, "any"}
        case _:
            return set()
