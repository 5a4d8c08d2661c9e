"""Attacks: another tenant's ids in every verb, roles that may not, and a stolen database file."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from taskyard.domain.actors import Actor, Role
from taskyard.domain.errors import Forbidden, NotFound, Unavailable
from taskyard.domain.events import Fact
from taskyard.domain.jobs import Command, Job, Kind
from taskyard.domain.queues import Queue
from taskyard.domain.runs import Stream
from taskyard.services import (
    calls,
    deliveries,
    events,
    executions,
    jobs,
    metrics,
    outputs,
    queues,
    subscriptions,
)
from taskyard.services.outputs import Chunk
from taskyard.services.transactions import Database, Tx
from taskyard.store.vault import Vault
from tests.services.identity_world import World
from tests.services.world import Yard, in_role

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Things:
    """What Alice has: one of everything, by id."""

    job: Job
    command: Job
    call: UUID
    queued: UUID
    ended: UUID
    dead: UUID
    subscription: UUID
    delivery: UUID


Verb = Callable[[Tx, Actor, Things], Awaitable[Any]]

READING: dict[str, Verb] = {
    "jobs.get": lambda tx, who, its: jobs.get(tx, who, its.job.id),
    "jobs.upcoming": lambda tx, who, its: jobs.upcoming(tx, who, its.job.id),
    "calls.get": lambda tx, who, its: calls.get(tx, who, its.call),
    "calls.of_job": lambda tx, who, its: calls.of_job(tx, who, its.job.id),
    "executions.get": lambda tx, who, its: executions.get(tx, who, its.ended),
    "outputs.read": lambda tx, who, its: outputs.read(tx, who, its.ended),
    "outputs.extent": lambda tx, who, its: outputs.extent(tx, who, its.ended),
    "subscriptions.get": lambda tx, who, its: subscriptions.get(tx, who, its.subscription),
    "deliveries.page": lambda tx, who, its: deliveries.page(tx, who, its.subscription, status=None, skip=0, limit=9),
}
WRITING: dict[str, Verb] = {
    "jobs.update": lambda tx, who, its: jobs.update(tx, who, its.job.id, {"name": "taken"}),
    "jobs.set_enabled": lambda tx, who, its: jobs.set_enabled(tx, who, its.job.id, enabled=False),
    "jobs.run_now": lambda tx, who, its: jobs.run_now(tx, who, its.job.id),
    "jobs.delete": lambda tx, who, its: jobs.delete(tx, who, its.job.id),
    "calls.create": lambda tx, who, its: calls.create(tx, who, its.job.id, url="http://x/", method="GET"),
    "calls.update": lambda tx, who, its: calls.update(tx, who, its.call, {"method": "GET"}),
    "calls.delete": lambda tx, who, its: calls.delete(tx, who, its.call),
    "executions.cancel": lambda tx, who, its: executions.cancel(tx, who, its.queued),
    "executions.retry": lambda tx, who, its: executions.retry(tx, who, its.ended),
    "executions.replay": lambda tx, who, its: executions.replay(tx, who, ids=[its.dead]),
    "executions.dismiss": lambda tx, who, its: executions.dismiss(tx, who, [its.dead]),
    "subscriptions.update": lambda tx, who, its: subscriptions.update(tx, who, its.subscription, {"description": "x"}),
    "subscriptions.rotate": lambda tx, who, its: subscriptions.rotate_secret(tx, who, its.subscription),
    "subscriptions.test": lambda tx, who, its: subscriptions.test(tx, who, its.subscription),
    "subscriptions.delete": lambda tx, who, its: subscriptions.delete(tx, who, its.subscription),
    "deliveries.redeliver": lambda tx, who, its: deliveries.redeliver(tx, who, its.subscription, its.delivery),
}
OWN: dict[str, Verb] = {
    "jobs.create": lambda tx, who, its: jobs.create(tx, who, its.job),
    "subscriptions.create": lambda tx, who, _: subscriptions.create(tx, who, url="http://x/", event_types=["*"]),
    "executions.replay all": lambda tx, who, _: executions.replay(tx, who),
    "executions.prioritise": lambda tx, who, its: executions.prioritise(tx, who, [its.queued], Queue.HIGH),
}
LISTING: dict[str, Verb] = {
    "jobs.page": lambda tx, who, _: jobs.page(tx, who),
    "executions.page": lambda tx, who, _: executions.page(tx, who),
    "executions.page job": lambda tx, who, its: executions.page(tx, who, job_id=its.job.id),
    "executions.page run": lambda tx, who, its: executions.page(tx, who, run_id=its.ended),
    "executions.dead_letters": lambda tx, who, _: executions.dead_letters(tx, who),
    "subscriptions.page": lambda tx, who, _: subscriptions.page(tx, who),
    "events.history": lambda tx, who, _: events.history(tx, who),
    "metrics.read": lambda tx, who, _: metrics.read(tx, who),
    "queues.states": lambda tx, who, _: queues.states(tx, who),
}


async def things(yard: Yard) -> Things:
    """Everything there can be, Alice's."""
    subscription = await yard.subscribe(None, "job.deleted")
    job, command = await yard.http_job(name="alice's"), await yard.command_job()
    ended = await yard.end((await yard.run_now(job)).id)
    dead, queued = await yard.dead_letter(job), await yard.run_now(job)
    async with yard.database.write() as tx:
        await outputs.append(tx, [Chunk(ended.id, ended.tenant_id, 0, Stream.STDOUT, b"alice's")])
        trial = await subscriptions.test(tx, yard.alice, subscription.id)
        [call] = await calls.of_job(tx, yard.alice, job.id)
    await yard.end(trial.id)
    return Things(job, command, call.id, queued.id, ended.id, dead.id, subscription.id, trial.id)


async def attempt(yard: Yard, verb: Verb, who: Actor, its: Things) -> Any:
    """Do it and take it back, so that the next verb finds everything as it was."""
    async with yard.database.write() as tx:
        point = await tx.connection.begin_nested()
        try:
            return await verb(tx, who, its)
        finally:
            await point.rollback()
            tx.hints.clear()


async def test_another_tenants_ids_are_not_found_in_any_verb(yard: Yard) -> None:
    its = await things(yard)
    before = await yard.told()
    for name, verb in (READING | WRITING).items():
        try:
            answer = await attempt(yard, verb, yard.bob, its)
        except NotFound:
            await attempt(yard, verb, yard.alice, its)
            continue
        pytest.fail(f"{name} answered {answer!r}")
    assert await yard.told() == before


async def test_lists_of_another_tenant_show_nothing_of_it(yard: Yard) -> None:
    its = await things(yard)
    for name, verb in LISTING.items():
        if name == "queues.states":
            continue
        seen = repr(await attempt(yard, verb, yard.bob, its))
        for secret in (str(yard.alice.tenant_id), str(its.job.id), "alice"):
            assert secret not in seen, name
    async with yard.database.write() as tx:
        assert await executions.prioritise(tx, yard.bob, [its.queued], Queue.HIGH) == []
        assert await executions.replay(tx, yard.bob, job_id=its.job.id) == []
        assert await queues.clear(tx, yard.bob, Queue.NORMAL) == 0
        assert await calls.of_jobs(tx, yard.bob, [its.job.id]) == {its.job.id: []}
    assert (await yard.execution(its.queued)).queue is Queue.NORMAL


async def test_viewers_read_and_change_nothing(yard: Yard) -> None:
    its = await things(yard)
    viewer = in_role(yard.alice, Role.VIEWER)
    for verb in (READING | LISTING).values():
        await attempt(yard, verb, viewer, its)
    for name, verb in (WRITING | OWN).items():
        try:
            await attempt(yard, verb, viewer, its)
        except Forbidden:
            continue
        pytest.fail(f"a viewer may {name}")


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.ADMIN, Role.OWNER])
async def test_developers_and_up_do_all_of_it(yard: Yard, role: Role) -> None:
    its = await things(yard)
    for verb in (READING | LISTING | WRITING | OWN).values():
        await attempt(yard, verb, in_role(yard.alice, role), its)


async def test_commands_need_the_permission_to_execute(yard: Yard) -> None:
    ended = await yard.end((await yard.run_now(await yard.command_job())).id)
    command = await yard.command_job()
    http = await yard.http_job()
    its = await things(yard)
    without = in_role(yard.bob, Role.ADMIN)
    without = Actor(yard.alice.tenant_id, without.role, without.permissions, yard.alice.user_id)
    making = {"kind": Kind.COMMAND, "command": Command("true")}
    forbidden: list[Verb] = [
        lambda tx, who, _: jobs.create(tx, who, command),
        lambda tx, who, _: jobs.update(tx, who, command.id, {"name": "x"}),
        lambda tx, who, _: jobs.update(tx, who, http.id, making),
        lambda tx, who, _: jobs.run_now(tx, who, command.id),
        lambda tx, who, _: jobs.delete(tx, who, command.id),
        lambda tx, who, _: executions.retry(tx, who, ended.id),
    ]
    for verb in forbidden:
        with pytest.raises(Forbidden, match="allow-commands"):
            await attempt(yard, verb, without, its)
        await attempt(yard, verb, yard.alice, its)
    await attempt(yard, lambda tx, who, _: jobs.update(tx, who, http.id, {"name": "x"}), without, its)


SECRETS = (
    *("sesame-password", "sesame-path", "sesame-header", "sesame-query", "sesame-body"),
    *("sesame-environment", "sesame-line", "sesame-subscriber", "sesame-signing"),
)


async def test_no_secret_is_readable_in_the_database(
    yard: Yard, database: Database, migrated_url: str, tmp_path: Path
) -> None:
    job = await yard.job()
    async with yard.database.write() as tx:
        await calls.create(
            tx,
            yard.alice,
            job.id,
            url="http://me:sesame-password@example.com/sesame-path",
            method="POST",
            headers={"Authorization": "sesame-header"},
            query_params={"key": "sesame-query"},
            body_template="sesame-body",
        )
    await yard.job(kind=Kind.COMMAND, command=Command("curl sesame-line", environment={"KEY": "sesame-environment"}))
    address = "http://example.com/events?key=sesame-subscriber"
    subscription = await yard.subscribe(None, "system.alert", url=address, secret="sesame-signing")
    async with yard.database.write() as tx:
        await events.append(tx, [Fact(yard.alice.tenant_id, "system.alert", {"said": "as-events-are"})])
    queued = await yard.run_now(job)
    await yard.end(queued.id)
    stored = await everything(yard, database, tmp_path)
    assert b"as-events-are" in stored, "looked in the right place"
    for secret in SECRETS:
        assert secret.encode() not in stored
    async with yard.database.read() as tx:
        [call] = await calls.of_job(tx, yard.alice, job.id)
        assert call.headers == {"Authorization": "sesame-header"}
        assert call.url == "http://me:sesame-password@example.com/sesame-path"
        kept = await subscriptions.get(tx, yard.alice, subscription.id)
        assert (kept.url, kept.secret) == (address, "sesame-signing")
    stranger = Database(migrated_url, Vault("another key"), clock=yard.now)
    try:
        async with stranger.read() as tx:
            with pytest.raises(Unavailable) as caught:
                await calls.of_job(tx, yard.alice, job.id)
        assert caught.value.code == "SECRET_KEY_MISMATCH"
    finally:
        await stranger.close()


async def test_what_a_delivery_carries_is_sealed(yard: Yard, database: Database, tmp_path: Path) -> None:
    await yard.subscribe(None, "webhook.test")
    async with yard.database.write() as tx:
        subscription = (await subscriptions.page(tx, yard.alice))[0][0]
        await subscriptions.test(tx, yard.alice, subscription.id)
    stored = await everything(yard, database, tmp_path)
    assert b"A trial delivery from Taskyard" not in stored


async def everything(yard: Yard, database: Database, folder: Path) -> bytes:
    """All bytes of the SQLite files, or all values of all tables."""
    if database.is_sqlite:
        return await asyncio.to_thread(lambda: b"".join(path.read_bytes() for path in folder.glob("taskyard.db*")))
    return (await World.everything_stored(yard)).encode()  # pyright: ignore[reportArgumentType]
