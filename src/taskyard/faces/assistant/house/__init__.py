"""The house's own full API, in D4's manners (RULINGS §1): jobs, executions, queues, dead letters, events, webhooks."""

from fastapi import APIRouter

from taskyard.faces.assistant.house import (
    calls,
    dead_letters,
    deliveries,
    events,
    executions,
    jobs,
    outputs,
    queues,
    webhooks,
)

routers: tuple[APIRouter, ...] = (
    jobs.router,
    calls.router,
    executions.router,
    outputs.router,
    queues.router,
    dead_letters.router,
    events.router,
    webhooks.router,
    deliveries.router,
)

__all__ = ["routers"]
