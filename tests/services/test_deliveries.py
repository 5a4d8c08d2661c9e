"""Deliveries: the same id on every try, and receivers that are gone or fail for too long."""

import asyncio
from datetime import timedelta

import pytest

from taskyard.domain.errors import Conflict, NotFound
from taskyard.domain.executions import Execution, Status, Trigger
from taskyard.domain.runs import Cause, DeliveryRun, Outcome
from taskyard.domain.subscriptions import Subscription
from taskyard.services import attempts, deliveries, subscriptions
from taskyard.services.attempts import Finished
from tests.services.world import GOOD, REFUSED, Yard

pytestmark = pytest.mark.anyio

GONE = Outcome.failed(Cause.STATUS, "HTTP 410", response_code=410)


async def sent(yard: Yard, subscription: Subscription) -> list[Execution]:
    """The tries to deliver, oldest first."""
    async with yard.database.read() as tx:
        found, _ = await deliveries.page(tx, yard.alice, subscription.id, status=None, skip=0, limit=1000)
    return found[::-1]


async def receiver(yard: Yard, subscription: Subscription) -> Subscription:
    """The subscription as it stands."""
    async with yard.database.read() as tx:
        return await subscriptions.get(tx, yard.alice, subscription.id)


async def delivery(yard: Yard, subscription: Subscription) -> Execution:
    """A fresh delivery of a trial event."""
    async with yard.database.write() as tx:
        return await subscriptions.test(tx, yard.alice, subscription.id)


async def test_every_try_has_the_same_delivery_id_until_the_eighth(yard: Yard) -> None:
    subscription = await yard.subscribe(None, "job.created")
    await yard.job()
    started = yard.now.at
    runs: list[DeliveryRun] = []
    for attempt in range(1, 9):
        current = (await sent(yard, subscription))[-1]
        assert (current.attempt, current.status) == (attempt, Status.QUEUED)
        yard.now.at = max(yard.now.at, current.available_at)
        worker = await yard.worker()
        [begun] = await yard.begin(worker, [current.id])
        assert isinstance(begun.run, DeliveryRun)
        runs.append(begun.run)
        await yard.finish(worker, begun.execution, REFUSED)
    tries = await sent(yard, subscription)
    assert len(tries) == 8
    assert tries[-1].status is Status.DEAD_LETTER
    assert {run.delivery_id for run in runs} == {tries[0].id}
    assert {run.payload["delivery_id"] for run in runs} == {str(tries[0].id)}
    assert timedelta(hours=25) < yard.now.at - started < timedelta(hours=31)


async def test_deliveries_make_no_events(yard: Yard) -> None:
    subscription = await yard.subscribe()
    [first] = await sent(yard, subscription)
    told = await yard.told()
    await yard.end(first.id, REFUSED)
    await yard.end((await sent(yard, subscription))[-1].id)
    assert await yard.told() == told
    assert len(await sent(yard, subscription)) == 2


async def test_a_receiver_that_is_gone_is_switched_off_at_once(yard: Yard) -> None:
    subscription = await yard.subscribe(None, "job.created")
    waiting = await delivery(yard, subscription)
    gone = await yard.end((await delivery(yard, subscription)).id, GONE)
    assert (gone.status, gone.dead) == (Status.DEAD_LETTER, True)
    off = await receiver(yard, subscription)
    assert (off.is_active, off.disabled_reason) == (False, "the receiver answered 410 Gone")
    disabled = (await yard.events())[-1]
    assert (disabled.type, disabled.data["webhook_id"]) == ("webhook.disabled", str(subscription.id))
    await yard.job()
    assert len(await sent(yard, subscription)) == 2, "nothing new is queued for it"
    [begun] = await yard.begin(await yard.worker(), [waiting.id])
    assert isinstance(begun.run, Outcome), "and what was queued is dropped"


async def test_others_are_told_that_a_receiver_is_off(yard: Yard) -> None:
    watching = await yard.subscribe(None, "webhook.disabled")
    subscription = await yard.subscribe(None, "job.created")
    await yard.end((await delivery(yard, subscription)).id, GONE)
    [told] = await sent(yard, watching)
    assert told.spec["payload"]["data"]["webhook_id"] == str(subscription.id)


async def test_five_days_of_failures_switch_a_receiver_off(yard: Yard) -> None:
    subscription = await yard.subscribe(None, "job.created")
    await yard.end((await delivery(yard, subscription)).id, REFUSED)
    since = yard.now.at
    yard.now.advance(days=5, seconds=-1)
    await yard.end((await delivery(yard, subscription)).id, REFUSED)
    failing = await receiver(yard, subscription)
    assert (failing.is_active, failing.failing_since) == (True, since)
    yard.now.advance(seconds=1)
    await yard.end((await delivery(yard, subscription)).id, REFUSED)
    off = await receiver(yard, subscription)
    assert (off.is_active, off.disabled_reason) == (False, "every delivery has failed for 5 days")
    assert (await yard.told())[-1] == "webhook.disabled"
    async with yard.database.write() as tx:
        on = await subscriptions.update(tx, yard.alice, subscription.id, {"is_active": True})
    assert (on.failing_since, on.disabled_reason) == (None, None)


async def test_one_good_delivery_forgives_all_failures(yard: Yard) -> None:
    subscription = await yard.subscribe(None, "job.created")
    await yard.end((await delivery(yard, subscription)).id, REFUSED)
    yard.now.advance(days=4)
    await yard.end((await delivery(yard, subscription)).id)
    assert (await receiver(yard, subscription)).failing_since is None
    yard.now.advance(days=4)
    await yard.end((await delivery(yard, subscription)).id, REFUSED)
    assert (await receiver(yard, subscription)).is_active


async def test_two_workers_that_find_a_receiver_gone_tell_it_once(yard: Yard) -> None:
    subscription = await yard.subscribe(None, "job.created")
    under_way = [await delivery(yard, subscription) for _ in range(6)]
    worker = await yard.worker()
    begun = await yard.begin(worker, [each.id for each in under_way])
    await asyncio.gather(*(yard.finish(worker, each.execution, GONE) for each in begun))
    assert (await yard.told()).count("webhook.disabled") == 1


async def test_several_endings_in_one_word_are_judged_in_order(yard: Yard) -> None:
    subscription = await yard.subscribe(None, "job.created")
    under_way = [await delivery(yard, subscription) for _ in range(3)]
    worker = await yard.worker()
    begun = await yard.begin(worker, [each.id for each in under_way])
    words = [Finished(each.execution, outcome) for each, outcome in zip(begun, (GONE, GOOD, GONE), strict=True)]
    async with yard.database.write() as tx:
        await attempts.finish(tx, yard.rules, worker, words)
    assert not (await receiver(yard, subscription)).is_active
    assert (await yard.told()).count("webhook.disabled") == 1


async def test_a_failing_delivery_never_undoes_a_new_secret(yard: Yard) -> None:
    for _ in range(5):
        subscription = await yard.subscribe(None, "job.created")
        worker = await yard.worker()
        [begun] = await yard.begin(worker, [(await delivery(yard, subscription)).id])

        async def rotate(subscription: Subscription = subscription) -> str:
            async with yard.database.write() as tx:
                return (await subscriptions.rotate_secret(tx, yard.alice, subscription.id)).secret

        secret, _ = await asyncio.gather(rotate(), yard.finish(worker, begun.execution, REFUSED))
        after = await receiver(yard, subscription)
        assert after.secret == secret
        assert after.failing_since is not None


async def test_sending_once_more_keeps_the_delivery_id(yard: Yard) -> None:
    subscription = await yard.subscribe(None, "job.created")
    first = await delivery(yard, subscription)
    with pytest.raises(Conflict):
        async with yard.database.write() as tx:
            await deliveries.redeliver(tx, yard.alice, subscription.id, first.id)
    await yard.end(first.id)
    async with yard.database.write() as tx:
        again = await deliveries.redeliver(tx, yard.alice, subscription.id, first.id)
    assert (again.run_id, again.spec, again.attempt, again.trigger) == (first.run_id, first.spec, 1, Trigger.REPLAY)
    assert (again.replay_of, again.id in await yard.tickets()) == (first.id, True)
    other = await yard.subscribe(None, "job.deleted")
    job_run = await yard.end((await yard.run_now(await yard.http_job())).id)
    for subscription_id, execution_id in ((other.id, first.id), (subscription.id, job_run.id)):
        with pytest.raises(NotFound):
            async with yard.database.write() as tx:
                await deliveries.redeliver(tx, yard.alice, subscription_id, execution_id)
