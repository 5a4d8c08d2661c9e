"""From an execution and what it refers to, the `Run` a runner can make; or the outcome that says why there is none."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from taskyard.domain import actors
from taskyard.domain.actors import Tenant
from taskyard.domain.executions import Execution
from taskyard.domain.jobs import Call, Job, Kind, timeout_seconds
from taskyard.domain.rules import Rules
from taskyard.domain.runs import Cause, CommandRun, DeliveryRun, HttpCall, HttpRun, NetworkPolicy, Outcome, Run, Verdict
from taskyard.domain.subscriptions import Subscription
from taskyard.domain.times import iso


def for_job(
    execution: Execution, job: Job | None, calls: Sequence[Call], tenant: Tenant, rules: Rules
) -> Run | Outcome:
    """What an execution of `job` runs."""
    if job is None:
        return Outcome(Verdict.CANCELLED, Cause.CANCELLED, "the job was deleted")
    limit = timeout_seconds(job.kind, job.timeout_seconds, rules)
    if job.kind is Kind.COMMAND:
        return _command(job, tenant, limit, rules)
    if not calls:
        return Outcome.failed(Cause.NOT_RUNNABLE, "job has no webhook")
    return HttpRun(
        calls=tuple(_http_call(call) for call in calls),
        context=_context(execution, job),
        timeout_seconds=limit,
        network=NetworkPolicy(allow_private=tenant.private_network_allowed),
    )


def for_delivery(
    execution: Execution, subscription: Subscription | None, tenant: Tenant, rules: Rules
) -> Run | Outcome:
    """What a delivery runs."""
    if subscription is None:
        return Outcome(Verdict.CANCELLED, Cause.CANCELLED, "the subscription was deleted")
    if not subscription.is_active:
        return Outcome(Verdict.CANCELLED, Cause.CANCELLED, "the subscription is switched off")
    payload = execution.spec["payload"]
    return DeliveryRun(
        url=subscription.url,
        secret=subscription.secret,
        delivery_id=execution.run_id,
        subscription_id=subscription.id,
        event_type=payload["event"],
        event_time=datetime.fromisoformat(payload["timestamp"]),
        payload=payload,
        timeout_seconds=timeout_seconds(Kind.DELIVERY, None, rules),
        network=NetworkPolicy(allow_private=tenant.private_network_allowed),
    )


def _command(job: Job, tenant: Tenant, limit: float, rules: Rules) -> Run | Outcome:
    if not tenant.commands_allowed:
        return Outcome.failed(Cause.NOT_RUNNABLE, actors.COMMANDS_FORBIDDEN)
    if job.command is None:
        return Outcome.failed(Cause.NOT_RUNNABLE, "the job has no command")
    return CommandRun(
        command=job.command.line,
        timeout_seconds=limit,
        working_directory=job.command.working_directory,
        environment=job.command.environment,
        output_limit_bytes=rules.output_limit_bytes,
    )


def _http_call(call: Call) -> HttpCall:
    return HttpCall(
        url=call.url,
        method=call.method,
        headers=call.headers or {},
        query=call.query_params or {},
        body=call.body_template,
    )


def _context(execution: Execution, job: Job) -> dict[str, Any]:
    scheduled_at = execution.due_at or execution.created_at
    return {
        "job": {"id": str(job.id), "name": job.name, "type": job.type, "schedule": job.schedule},
        "execution": {
            "id": str(execution.id),
            "run_id": str(execution.run_id),
            "attempt": execution.attempt,
            "trigger": execution.trigger.value,
        },
        "scheduled_at": iso(scheduled_at),
    }
