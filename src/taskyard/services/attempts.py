"""The life of an attempt: begun by a worker, finished by it, or reaped when the worker is lost.

All three take lists, because many small transactions cost more than one of the same size. Locks are taken in one
order everywhere: serial jobs, executions, event counters.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from taskyard.domain import plans
from taskyard.domain.endings import ended, ending
from taskyard.domain.executions import Execution, next_attempt, ticket, told
from taskyard.domain.hints import OutputAppended
from taskyard.domain.jobs import Job, Kind, at_least_once, retry_policy
from taskyard.domain.rules import Rules
from taskyard.domain.runs import Cause, Outcome, Run, Verdict
from taskyard.services import deliveries, dispatch, events
from taskyard.store import attempts as store
from taskyard.store import calls, jobs, subscriptions, tenants, workers
from taskyard.store.attempts import Held
from taskyard.store.database import Tx
from taskyard.store.queue import tickets

OVERDUE = timedelta(seconds=60)
SWEEP = 1000


@dataclass(frozen=True, slots=True)
class Begun:
    """An execution that now runs under the asking worker, and what to run; an `Outcome` when there is nothing to."""

    execution: Execution
    run: Run | Outcome


@dataclass(frozen=True, slots=True)
class Finished:
    """A worker's word on how one attempt ended."""

    execution: Execution
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Beginning:
    """What became of the asked-for executions; `put_back` are still queued, but may not begin here and now."""

    begun: list[Begun]
    put_back: set[UUID]


async def begin(tx: Tx, rules: Rules, worker_id: UUID, execution_ids: Sequence[UUID]) -> Beginning:
    """Compare and set queued to running. What is cancelled, held or begun elsewhere is left out, quietly.

    A worker that was given up for lost and does not know it yet begins nothing: nobody would look after it.
    """
    begun = await store.begin(tx, execution_ids, worker_id)
    left = set(execution_ids).difference(execution.id for execution in begun)
    put_back = await store.still_queued(tx, list(left)) if left else set[UUID]()
    planned = await _plans(tx, rules, begun)
    await events.append(tx, told(begun))
    return Beginning(planned, put_back)


async def _plans(tx: Tx, rules: Rules, begun: Sequence[Execution]) -> list[Begun]:
    job_ids = {execution.job_id for execution in begun if execution.job_id}
    known_jobs = await jobs.by_ids(tx, job_ids)
    known_calls = await calls.of_jobs(tx, [ident for ident, job in known_jobs.items() if job.kind is Kind.HTTP])
    receivers = await subscriptions.by_ids(tx, {each.subscription_id for each in begun if each.subscription_id})
    owners = await tenants.by_ids(tx, {execution.tenant_id for execution in begun})
    planned: list[Begun] = []
    for execution in begun:
        tenant = owners[execution.tenant_id]
        if execution.kind is Kind.DELIVERY:
            receiver = receivers.get(execution.subscription_id) if execution.subscription_id else None
            planned.append(Begun(execution, plans.for_delivery(execution, receiver, tenant, rules)))
        else:
            job = known_jobs.get(execution.job_id) if execution.job_id else None
            own_calls = known_calls.get(job.id, []) if job else []
            planned.append(Begun(execution, plans.for_job(execution, job, own_calls, tenant, rules)))
    return planned


async def finish(tx: Tx, rules: Rules, worker_id: UUID, results: Sequence[Finished]) -> set[UUID]:
    """Write what the worker says, if it still holds the attempt; the answer names those that were accepted.

    The fence is `status = running AND worker = me AND attempt = n`: a worker that was given up for lost finds its
    executions ended under another's hand, and writes nothing.
    """
    said = {result.execution.id: result for result in results}
    known = await jobs.by_ids(tx, _job_ids([result.execution for result in results]))
    serial = await jobs.lock_serial(tx, known.values())
    fence = await store.lock_running(tx, worker_id, list(said))
    accepted = [held for held in fence if held.attempt == said[held.id].execution.attempt]
    ends = [(_as_held(said[held.id].execution, held), said[held.id].outcome) for held in accepted]
    await _end(tx, rules, ends, known, serial)
    return {held.id for held in accepted}


def _as_held(execution: Execution, held: Held) -> Execution:
    """The execution as its worker knows it, with what others may have asked meanwhile."""
    if held.cancel_requested_at is None:
        return execution
    return replace(execution, cancel_requested_at=held.cancel_requested_at, reason=held.reason)


async def reap(tx: Tx, rules: Rules, reaper_id: UUID | None = None) -> int:
    """End what runs under workers whose lease has lapsed, and give those workers up; how many attempts it was.

    What is declared at-least-once starts again at once; the rest ends as failed, reason "worker lost". The process
    that asks, `reaper_id`, is alive, however late it is with its own lease: a machine that slept loses nothing.
    """
    lost = await workers.lapsed(tx, reaper_id)
    await workers.end(tx, lost, "lease lapsed")
    return await _abandon(tx, rules, lost, "worker lost: its lease lapsed")


async def reissue(tx: Tx) -> int:
    """Enqueue again what has long been due and the engine does not know; how many executions it was.

    Every execution is enqueued in the transaction that makes it, so this finds nothing unless the engine's table was
    damaged, cleared by hand, or lost rows in a way nobody thought of.
    """
    overdue = await store.overdue(tx, tx.now - OVERDUE, SWEEP)
    return await tickets.reissue(tx, [ticket(execution) for execution in overdue])


async def give_back(tx: Tx, rules: Rules, worker_id: UUID, execution_ids: Sequence[UUID]) -> int:
    """End what runs under a worker that does not attend to it, as `reap` would; how many attempts it was."""
    return await _abandon(tx, rules, [worker_id], "worker lost: it knew nothing of this run", execution_ids)


async def retire(tx: Tx, rules: Rules, worker_id: UUID) -> None:
    """A worker that stops in good order gives back what it still runs."""
    await workers.end(tx, [worker_id], "stopped")
    await _abandon(tx, rules, [worker_id], "worker lost: it was stopped")


async def _abandon(
    tx: Tx, rules: Rules, worker_ids: Sequence[UUID], why: str, execution_ids: Sequence[UUID] | None = None
) -> int:
    seen = await store.running_under(tx, worker_ids, execution_ids, lock=False)
    known = await jobs.by_ids(tx, _job_ids(seen))
    serial = await jobs.lock_serial(tx, known.values())
    orphans = await store.running_under(tx, worker_ids, execution_ids)
    outcome = Outcome(Verdict.FAILED, Cause.WORKER_LOST, why)
    await _end(tx, rules, [(orphan, outcome) for orphan in orphans], known, serial)
    return len(orphans)


def _job_ids(of: Sequence[Execution]) -> set[UUID]:
    return {execution.job_id for execution in of if execution.job_id}


async def _end(
    tx: Tx,
    rules: Rules,
    ends: Sequence[tuple[Execution, Outcome]],
    known_jobs: Mapping[UUID, Job],
    serial: set[UUID],
) -> None:
    """Decide and write the endings of locked executions, with the retries and releases that follow from them."""
    if not ends:
        return
    over: list[Execution] = []
    retries: dict[UUID, Execution] = {}
    for execution, outcome in ends:
        job = known_jobs.get(execution.job_id) if execution.job_id else None
        end, retry = _ended(tx, rules, execution, outcome, job)
        over.append(end)
        if retry is not None:
            retries[retry.run_id] = retry
    await store.finish(tx, over)
    facts = told(over, retries=retries)
    facts += await dispatch.enter(tx, list(retries.values()))
    facts += await deliveries.note(tx, [execution for execution in over if execution.kind is Kind.DELIVERY])
    over_jobs = {execution.job_id for execution in over if execution.run_id not in retries}
    await dispatch.release(tx, [job_id for job_id in serial if job_id in over_jobs])
    await events.append(tx, facts)
    for execution in over:
        tx.hint(OutputAppended(execution.id))


def _ended(
    tx: Tx, rules: Rules, execution: Execution, outcome: Outcome, job: Job | None
) -> tuple[Execution, Execution | None]:
    policy = retry_policy(execution.kind, job.retry if job else None, rules)
    again = at_least_once(execution.kind, job.rerun_on_crash if job else None)
    draw = random.random()  # noqa: S311  jitter, not a secret
    decided = ending(execution, outcome, policy, tx.now, draw, at_least_once=again)
    over = ended(execution, outcome, decided, tx.now)
    return over, None if decided.retry_at is None else next_attempt(execution, tx.now, decided.retry_at)
