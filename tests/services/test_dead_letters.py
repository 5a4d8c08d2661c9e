"""Dead letters: listed until somebody replays or dismisses them."""

import asyncio
from uuid import UUID

import pytest

from taskyard.domain.actors import Actor
from taskyard.domain.errors import Conflict, Invalid, NotFound
from taskyard.domain.executions import Execution, Status
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Job
from taskyard.domain.runs import Cause, Outcome
from taskyard.services import executions
from taskyard.services.transactions import Tx
from tests.services.world import Yard

pytestmark = pytest.mark.anyio


async def listed(yard: Yard, job: Job | None = None) -> list[Execution]:
    """Alice's dead letters, newest first."""
    async with yard.database.read() as tx:
        found, total = await executions.dead_letters(tx, yard.alice, job_id=job.id if job else None)
    assert total == len(found)
    return found


async def test_failures_are_listed_newest_first_by_job(yard: Yard) -> None:
    one, other = await yard.http_job(), await yard.http_job()
    dead = [await yard.dead_letter(job) for job in (one, other, one)]
    await yard.end((await yard.run_now(one)).id)
    assert [each.id for each in await listed(yard)] == [each.id for each in reversed(dead)]
    assert await listed(yard, other) == [dead[1]]


async def test_replaying_runs_the_work_again_and_takes_it_off_the_list(yard: Yard) -> None:
    dead = [await yard.dead_letter(await yard.http_job()) for _ in range(3)]
    async with yard.database.write() as tx:
        [again] = await executions.replay(tx, yard.alice, ids=[dead[1].id, dead[1].id])
    assert (again.replay_of, again.job_id) == (dead[1].id, dead[1].job_id)
    assert again.id in await yard.tickets()
    assert {each.id for each in await listed(yard)} == {dead[0].id, dead[2].id}
    assert (await yard.execution(dead[1].id)).status is Status.DEAD_LETTER
    async with yard.database.write() as tx:
        assert len(await executions.replay(tx, yard.alice)) == 2
    assert await listed(yard) == []


async def test_replaying_one_job_leaves_the_others(yard: Yard) -> None:
    one, other = await yard.http_job(), await yard.http_job()
    for job in (one, one, other):
        await yard.dead_letter(job)
    async with yard.database.write() as tx:
        assert len(await executions.replay(tx, yard.alice, job_id=one.id)) == 2
    assert [each.job_id for each in await listed(yard)] == [other.id]


async def test_two_who_replay_at_once_start_it_once(yard: Yard) -> None:
    dead = await yard.dead_letter(await yard.http_job())

    async def replay(*, by_id: bool) -> int:
        async with yard.database.write() as tx:
            try:
                return len(await executions.replay(tx, yard.alice, ids=[dead.id] if by_id else None))
            except NotFound:
                return 0

    assert sum(await asyncio.gather(*(replay(by_id=number % 2 == 0) for number in range(8)))) == 1
    assert len((await yard.tickets()) - {dead.id}) == 1


async def test_dismissing_takes_off_the_list_and_keeps_the_execution(yard: Yard) -> None:
    dead = [await yard.dead_letter(await yard.http_job()) for _ in range(2)]
    async with yard.database.write() as tx:
        assert await executions.dismiss(tx, yard.alice, [dead[0].id]) == 1
    assert await listed(yard) == [dead[1]]
    assert (await yard.execution(dead[0].id)).status is Status.DEAD_LETTER


async def test_what_is_no_dead_letter_is_not_found(yard: Yard) -> None:
    dead = await yard.dead_letter(await yard.http_job())
    done = await yard.end((await yard.run_now(await yard.http_job())).id)
    for wrong in (done.id, new_id()):
        for verb in (executions.dismiss, _replay):
            with pytest.raises(NotFound):
                async with yard.database.write() as tx:
                    await verb(tx, yard.alice, [dead.id, wrong])
    assert await listed(yard) == [dead], "one wrong id spoils the whole call"
    with pytest.raises(Invalid):
        async with yard.database.write() as tx:
            await executions.replay(tx, yard.alice, ids=[new_id() for _ in range(1001)])


async def _replay(tx: Tx, actor: Actor, ids: list[UUID]) -> None:
    await executions.replay(tx, actor, ids=ids)


async def test_a_delivery_is_not_replayed_here(yard: Yard) -> None:
    await yard.subscribe(None, "job.created")
    await yard.http_job()
    [delivery] = await yard.tickets()
    await yard.end(delivery, Outcome.failed(Cause.STATUS, "gone", response_code=410))
    with pytest.raises(Conflict) as caught:
        async with yard.database.write() as tx:
            await executions.retry(tx, yard.alice, delivery)
    assert caught.value.code == "IS_DELIVERY"
