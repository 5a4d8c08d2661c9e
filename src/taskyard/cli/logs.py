"""The log of a process on stderr: lines for people on a terminal, JSON lines for machines, no secrets in either."""

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from taskyard.settings import Settings

HIDDEN = "[hidden]"
SECRET_NAMES = re.compile(r"password|secret|token|authorization|cookie|api_?key", re.IGNORECASE)
MIN_SECRET_LENGTH = 6
"""Shorter values would be found in innocent words."""

NOISY = ("alembic", "aiosqlite", "asyncio", "pgqueuer", "uvicorn", "asyncpg")
"""Loggers that tell of themselves only when something is wrong. The HTTP client sees to its own, and the store's
toolkit is quiet by itself.
"""

_Event = MutableMapping[str, Any]


def quiet() -> None:
    """For commands: what goes wrong is said once, by the command itself."""
    logging.disable(logging.CRITICAL)


def configure(settings: "Settings", secrets: Iterable[str] = ()) -> None:
    """Send all logs, our own and other libraries', to stderr. `secrets` are values that no line may hold."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_by_name,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(as_json=as_json),
                _hiding(secrets),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)


def _renderers(*, as_json: bool) -> list[Any]:
    if as_json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)]


def _hide_by_name(_logger: Any, _method: str, event: _Event) -> Mapping[str, Any]:
    for name, value in event.items():
        if value is not None and SECRET_NAMES.search(name):
            event[name] = HIDDEN
    return event


def _hiding(secrets: Iterable[str]) -> Any:
    """The last processor: whatever line was made, these values are not in it."""
    known = sorted({secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH}, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(secret) for secret in known))

    def hide(_logger: object, _method: str, line: str) -> str:
        return pattern.sub(HIDDEN, line) if known else line

    return hide
