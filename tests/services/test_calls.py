"""Calls: checked when saved, sealed at rest, in order."""

from typing import Any

import pytest

from taskyard.domain.errors import Conflict, Invalid, NotFound
from taskyard.domain.jobs import Call, Job
from taskyard.services import calls
from tests.services.world import Yard

pytestmark = pytest.mark.anyio

GOOD: dict[str, Any] = {"url": "https://example.com/hook", "method": "POST"}


async def add(yard: Yard, job: Job, **fields: Any) -> Call:
    """Alice adds a call."""
    async with yard.database.write() as tx:
        return await calls.create(tx, yard.alice, job.id, **(GOOD | fields))


async def test_calls_keep_their_order_and_everything_said(yard: Yard) -> None:
    job = await yard.job()
    made = [
        await add(
            yard,
            job,
            url=f"https://example.com/{number}",
            headers={"X-Key": "k"},
            query_params={"ä": "ö"},
            body_template="{{ job.name }}",
        )
        for number in range(3)
    ]
    async with yard.database.write() as tx:
        await calls.delete(tx, yard.alice, made[1].id)
    made.append(await add(yard, job, headers=None, body_template=""))
    del made[1]
    async with yard.database.read() as tx:
        assert await calls.of_job(tx, yard.alice, job.id) == made
        assert await calls.of_jobs(tx, yard.alice, [job.id]) == {job.id: made}


WRONG = [
    ("url", "ftp://example.com"),
    ("url", "example.com"),
    ("url", "http://x/" + "a" * 500),
    ("url", "http://example.com:0/"),
    ("method", "TRACE"),
    ("method", "post"),
    ("url", "http://%31/"),
    ("headers", {f"X-{number}": "x" for number in range(101)}),
    ("headers", {"X" * 257: "x"}),
    ("query_params", {"a": "x" * 8192}),
    ("headers", {"Bad Name": "x"}),
    ("headers", {"": "x"}),
    ("headers", {"X": "a\r\nY: b"}),
    ("headers", {"X": "a\0"}),
    ("headers", {"X": "a\x01"}),
    ("headers", {"X": "\ud800"}),
    ("query_params", {"a": "\ud800"}),
    ("body_template", "{{ job.name"),
    ("body_template", "{{" + "x" * 70_000 + "}}"),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
async def test_what_could_never_be_sent_is_refused_when_saved(yard: Yard, field: str, value: Any) -> None:
    job = await yard.job()
    call = await add(yard, job)
    with pytest.raises(Invalid) as caught:
        await add(yard, job, **{field: value})
    assert caught.value.field == field
    with pytest.raises(Invalid):
        async with yard.database.write() as tx:
            await calls.update(tx, yard.alice, call.id, {field: value})
    async with yard.database.read() as tx:
        assert await calls.of_job(tx, yard.alice, job.id) == [call]


async def test_changes_touch_only_what_they_name(yard: Yard) -> None:
    call = await add(yard, await yard.job(), headers={"A": "1"}, body_template="x")
    yard.now.advance(minutes=1)
    async with yard.database.write() as tx:
        changed = await calls.update(tx, yard.alice, call.id, {"method": "PUT", "headers": None})
    assert (changed.method, changed.headers, changed.body_template) == ("PUT", None, "x")
    assert (changed.url, changed.position, changed.updated_at) == (call.url, call.position, yard.now.at)
    async with yard.database.read() as tx:
        assert await calls.get(tx, yard.alice, call.id) == changed


@pytest.mark.parametrize("field", ["id", "tenant_id", "job_id", "position"])
async def test_a_call_cannot_be_moved(yard: Yard, field: str) -> None:
    call = await add(yard, await yard.job())
    with pytest.raises(Invalid):
        async with yard.database.write() as tx:
            await calls.update(tx, yard.alice, call.id, {field: call.id})


async def test_only_http_jobs_have_calls_and_not_without_end(yard: Yard) -> None:
    command = await yard.command_job()
    with pytest.raises(Conflict):
        await add(yard, command)
    job = await yard.job()
    for _ in range(calls.MAX_CALLS):
        await add(yard, job)
    with pytest.raises(Conflict):
        await add(yard, job)


async def test_a_call_that_is_gone_is_not_found(yard: Yard) -> None:
    call = await add(yard, await yard.job())
    async with yard.database.write() as tx:
        await calls.delete(tx, yard.alice, call.id)
        for attempt in (calls.get, calls.delete):
            with pytest.raises(NotFound):
                await attempt(tx, yard.alice, call.id)
