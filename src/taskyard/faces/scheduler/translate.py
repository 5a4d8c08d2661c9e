"""From the house's words to D3's, and back."""

from taskyard.domain import calls, cron, executions, jobs
from taskyard.domain.actors import Actor
from taskyard.domain.executions import Status
from taskyard.domain.ids import new_id
from taskyard.faces.scheduler import schemas
from taskyard.services import metrics


def job_wanted(asked: schemas.JobCreate) -> jobs.Job:
    """The job a caller asks for."""
    return jobs.Job(
        id=new_id(),
        tenant_id=asked.account_id,
        name=asked.name,
        schedule=asked.schedule,
        type=asked.type,
        timezone=asked.timezone,
        enabled=asked.enabled,
    )


def job(found: jobs.Job) -> schemas.Job:
    """A stored job."""
    if found.created_at is None or found.updated_at is None:
        raise ValueError("a job that is not stored has no place in a response")
    return schemas.Job(
        id=found.id,
        account_id=found.tenant_id,
        name=found.name,
        schedule=found.schedule,
        type=found.type,
        timezone=found.timezone,
        enabled=found.enabled,
        last_run_at=found.last_run_at,
        next_run_at=found.next_run_at,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def execution(found: executions.Execution) -> schemas.Execution:
    """An execution of a job."""
    if found.job_id is None:
        raise ValueError("an execution of no job has no place in this face")
    return schemas.Execution(
        id=found.id,
        job_id=found.job_id,
        status=found.status,
        started_at=found.started_at,
        finished_at=found.finished_at,
        response_code=found.response_code,
        # Why a due time did not run stands in `reason`; D3 has one field for what went wrong.
        error=found.error or (found.reason if found.status is not Status.SUCCESS else None),
        worker_id=found.worker_id,
        duration_ms=found.duration_ms,
        attempt=found.attempt,
        created_at=found.created_at,
    )


def webhook(found: jobs.Call, actor: Actor) -> schemas.Webhook:
    """A job's call, as far as `actor` may see its secrets."""
    found = calls.as_seen_by(actor, found)
    return schemas.Webhook(
        id=found.id,
        job_id=found.job_id,
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
    return schemas.NextRun(run_at=coming.at, local=coming.local.isoformat(), dst=coming.dst)


def numbers(found: metrics.Metrics) -> schemas.Metrics:
    """The numbers of an account."""
    by_status = found.executions.by_status
    return schemas.Metrics(
        timestamp=found.at,
        jobs=schemas.JobCounts(
            total=found.jobs_total,
            enabled=found.jobs_enabled,
            disabled=found.jobs_total - found.jobs_enabled,
        ),
        executions=schemas.ExecutionCounts(
            total=found.executions.total,
            **{status.value: by_status.get(status.value, 0) for status in Status},
            success_rate=found.success_rate,
            avg_duration_ms=round(found.executions.average_ms, 1),
        ),
    )
