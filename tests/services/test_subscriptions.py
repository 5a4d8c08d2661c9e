"""Subscriptions: made, changed, tested; and which events become deliveries."""

import pytest

from taskyard.domain.errors import Conflict, Invalid, NotFound
from taskyard.domain.executions import Execution, Status
from taskyard.domain.jobs import Kind
from taskyard.domain.queues import Queue
from taskyard.domain.runs import DeliveryRun
from taskyard.domain.subscriptions import Subscription
from taskyard.services import deliveries, subscriptions
from tests.services.world import Yard

pytestmark = pytest.mark.anyio


async def sent(yard: Yard, subscription: Subscription) -> list[Execution]:
    """The deliveries to a subscription, oldest first."""
    actor = yard.alice if subscription.tenant_id == yard.alice.tenant_id else yard.bob
    async with yard.database.read() as tx:
        found, total = await deliveries.page(tx, actor, subscription.id, status=None, skip=0, limit=1000)
    assert total == len(found)
    return found[::-1]


async def test_a_subscription_is_kept_as_asked_for(yard: Yard) -> None:
    made = await yard.subscribe(None, "job.*", "execution.failed", "job.*", description="mine", secret="12345678")
    assert (made.event_types, made.secret, made.is_active) == (("job.*", "execution.failed"), "12345678", True)
    async with yard.database.read() as tx:
        assert await subscriptions.get(tx, yard.alice, made.id) == made
        assert await subscriptions.page(tx, yard.alice) == ([made], 1)
        assert await subscriptions.page(tx, yard.bob) == ([], 0)
    created = (await yard.events())[-1]
    assert created.type == "webhook.created"
    assert "12345678" not in str(created.data)


async def test_wrong_subscriptions_are_refused(yard: Yard) -> None:
    for wrong in ({"secret": "short"}, {"description": "nul \0"}):
        with pytest.raises(Invalid):
            await yard.subscribe(None, "*", **wrong)
    with pytest.raises(Invalid):
        await yard.subscribe(None, "no.such")
    for _ in range(subscriptions.MAX_SUBSCRIPTIONS):
        await yard.subscribe(None, "agent.completed")
    with pytest.raises(Conflict):
        await yard.subscribe()


async def test_each_event_that_is_wanted_is_delivered_once_per_subscription(yard: Yard) -> None:
    everything = await yard.subscribe()
    some = await yard.subscribe(None, "job.created")
    off = await yard.subscribe(None, "*", is_active=False)
    bobs = await yard.subscribe(yard.bob)
    seen = len(await yard.told())
    await yard.job()
    assert await yard.told(after=seen) == ["job.created"]
    assert [each.spec["payload"]["event"] for each in await sent(yard, some)] == ["job.created"]
    assert [each.spec["payload"]["event"] for each in await sent(yard, everything)] == [
        "webhook.created",
        "webhook.created",
        "webhook.created",
        "job.created",
    ]
    assert await sent(yard, off) == []
    assert [each.spec["payload"]["event"] for each in await sent(yard, bobs)] == ["webhook.created"]
    [delivery] = await sent(yard, some)
    assert (delivery.kind, delivery.queue, delivery.status) == (Kind.DELIVERY, Queue.DELIVERIES, Status.QUEUED)
    assert delivery.id in await yard.tickets()
    event = (await yard.events())[-1]
    assert delivery.spec["payload"] == {
        "id": str(event.id),
        "event": "job.created",
        "timestamp": "2026-03-01T12:00:30Z",
        "seq": event.seq,
        "data": event.data,
        "webhook_id": str(some.id),
        "delivery_id": str(delivery.id),
    }


async def test_a_rolled_back_event_is_not_delivered(yard: Yard) -> None:
    wanting = await yard.subscribe(None, "job.created")
    with pytest.raises(Invalid):
        await yard.job(schedule="wrong")
    assert await sent(yard, wanting) == []


async def test_changes_and_switching_on_again(yard: Yard) -> None:
    made = await yard.subscribe()
    yard.now.advance(minutes=1)
    async with yard.database.write() as tx:
        changed = await subscriptions.update(
            tx, yard.alice, made.id, {"url": "https://example.com/new", "event_types": ["job.*"], "is_active": False}
        )
    assert (changed.url, changed.event_types, changed.is_active) == ("https://example.com/new", ("job.*",), False)
    assert (changed.secret, changed.updated_at) == (made.secret, yard.now.at)
    async with yard.database.read() as tx:
        assert await subscriptions.get(tx, yard.alice, made.id) == changed
    wrong: list[dict[str, object]] = [
        {"url": "ftp://x"},
        {"event_types": ["nothing"]},
        {"description": "\0"},
        {"secret": "by the back door"},
        {"tenant_id": yard.bob.tenant_id},
        {"failing_since": None},
    ]
    for each in wrong:
        with pytest.raises(Invalid):
            async with yard.database.write() as tx:
                await subscriptions.update(tx, yard.alice, made.id, each)


async def test_a_new_secret_signs_from_then_on(yard: Yard) -> None:
    made = await yard.subscribe(None, "job.created")
    await yard.job()
    async with yard.database.write() as tx:
        changed = await subscriptions.rotate_secret(tx, yard.alice, made.id)
    assert changed.secret != made.secret
    [delivery] = await sent(yard, made)
    [begun] = await yard.begin(await yard.worker(), [delivery.id])
    assert isinstance(begun.run, DeliveryRun)
    assert begun.run.secret == changed.secret
    async with yard.database.write() as tx:
        assert (await subscriptions.rotate_secret(tx, yard.alice, made.id, "my own secret")).secret == "my own secret"
        with pytest.raises(Invalid):
            await subscriptions.rotate_secret(tx, yard.alice, made.id, "short")


async def test_a_trial_goes_to_this_subscription_alone(yard: Yard) -> None:
    tried, other = await yard.subscribe(None, "job.deleted"), await yard.subscribe(None, "*")
    before = len(await sent(yard, other))
    told = await yard.told()
    async with yard.database.write() as tx:
        trial = await subscriptions.test(tx, yard.alice, tried.id)
    assert [each.id for each in await sent(yard, tried)] == [trial.id]
    assert trial.spec["payload"]["event"] == "webhook.test"
    assert len(await sent(yard, other)) == before
    assert await yard.told() == told
    async with yard.database.write() as tx:
        await subscriptions.update(tx, yard.alice, tried.id, {"is_active": False})
        with pytest.raises(Conflict):
            await subscriptions.test(tx, yard.alice, tried.id)


async def test_deleting_ends_it_and_drops_what_is_under_way(yard: Yard) -> None:
    made = await yard.subscribe(None, "job.created")
    await yard.job()
    [delivery] = await sent(yard, made)
    async with yard.database.write() as tx:
        await subscriptions.delete(tx, yard.alice, made.id)
    assert (await yard.told())[-1] == "webhook.deleted"
    worker = await yard.worker()
    [begun] = await yard.begin(worker, [delivery.id])
    assert not isinstance(begun.run, DeliveryRun)
    with pytest.raises(NotFound):
        async with yard.database.read() as tx:
            await subscriptions.get(tx, yard.alice, made.id)
