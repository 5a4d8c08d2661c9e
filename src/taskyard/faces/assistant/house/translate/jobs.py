"""Jobs and their calls."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from taskyard.domain import cron, jobs
from taskyard.domain.actors import Actor, veiled
from taskyard.domain.calls import as_seen_by
from taskyard.domain.errors import Invalid
from taskyard.domain.jobs import Command, Kind
from taskyard.domain.queues import Queue
from taskyard.domain.retries import RetryPolicy
from taskyard.domain.rules import Rules
from taskyard.faces.assistant.house.schemas import calls as call_schemas
from taskyard.faces.assistant.house.schemas import jobs as schemas

UNMADE = UUID(int=0)


def wanted(asked: schemas.JobWanted, rules: Rules) -> jobs.Job:
    """A job as asked for; the service gives it its id, tenant and times. Raises `Invalid`."""
    if asked.calls and asked.kind != Kind.HTTP.value:
        raise Invalid("a command job makes no HTTP calls", field="calls")
    blank = jobs.Job(id=UNMADE, tenant_id=UNMADE, name=asked.name, kind=Kind(asked.kind))
    return replace(blank, **changes(asked, blank, rules))


def changes(asked: schemas.JobWanted | schemas.JobChanges, job: jobs.Job, rules: Rules) -> dict[str, Any]:
    """The fields of `job` that are asked to change, in the house's words."""
    sent = asked.model_dump(exclude_unset=True, exclude={"calls"})
    if "kind" in sent:
        sent["kind"] = Kind(sent["kind"])
    if "queue" in sent:
        sent["queue"] = Queue(sent["queue"])
    if sent.get("command") is not None:
        sent["command"] = replace(job.command or Command(line=""), **sent["command"])
    if sent.get("retry") is not None:
        wishes = sent["retry"]
        if "retry_on" in wishes:
            wishes["retry_on"] = frozenset(wishes["retry_on"])
        sent["retry"] = jobs.own_retry_policy(sent.get("kind", job.kind), wishes, job.retry, rules)
    return sent


def job(found: jobs.Job, calls: Sequence[jobs.Call], actor: Actor) -> schemas.Job:
    """A stored job with its calls, as far as `actor` may see their secrets."""
    if found.created_at is None or found.updated_at is None:
        raise ValueError("a job that is not stored has no place in a response")
    return schemas.Job(
        id=found.id,
        tenant_id=found.tenant_id,
        name=found.name,
        kind="command" if found.kind is Kind.COMMAND else "http",
        type=found.type,
        schedule=found.schedule,
        timezone=found.timezone,
        enabled=found.enabled,
        command=None if found.command is None else _command(found.command, actor),
        calls=[call(each, actor) for each in calls],
        queue=found.queue,
        priority=found.priority,
        retry=None if found.retry is None else _retry_shown(found.retry),
        timeout_seconds=found.timeout_seconds,
        overlap=found.overlap,
        catch_up=found.catch_up,
        catch_up_window_seconds=found.catch_up_window_seconds,
        rerun_on_crash=found.rerun_on_crash,
        next_run_at=found.next_run_at,
        last_run_at=found.last_run_at,
        created_by=found.created_by,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def _command(found: Command, actor: Actor) -> schemas.CommandShown:
    return schemas.CommandShown(
        line=found.line,
        working_directory=found.working_directory,
        environment=veiled(found.environment, actor),
    )


def _retry_shown(found: RetryPolicy) -> schemas.RetryShown:
    return schemas.RetryShown(
        attempts=found.attempts,
        base_seconds=found.base_seconds,
        factor=found.factor,
        max_seconds=found.max_seconds,
        jitter=found.jitter,
        retry_on=sorted(found.retry_on),
    )


def call(found: jobs.Call, actor: Actor) -> call_schemas.Call:
    """A stored call, as far as `actor` may see its secrets."""
    found = as_seen_by(actor, found)
    return call_schemas.Call(
        id=found.id,
        job_id=found.job_id,
        position=found.position,
        url=found.url,
        method=found.method,
        headers=None if found.headers is None else dict(found.headers),
        query_params=None if found.query_params is None else dict(found.query_params),
        body_template=found.body_template,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def next_run(coming: cron.NextRun) -> schemas.NextRun:
    """A coming due time."""
    return schemas.NextRun(at=coming.at, local=coming.local.isoformat(), dst=coming.dst)
