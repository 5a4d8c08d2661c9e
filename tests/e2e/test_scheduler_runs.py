"""D3's main story over real HTTP: a job runs, its webhooks are called, and what became of it stands in its executions
(D3-V01, E08).
"""

import asyncio
import json
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.adapters.receiver import Answer, Received, Receiver, answer
from tests.e2e.yard import HTTP_TIMEOUT_SECONDS, SHARED_YARD, Caller, Yard, calling, is_uuid, moment
from tests.processes import eventually, free_port

pytestmark = SHARED_YARD

EXECUTION = {
    "id",
    "job_id",
    "status",
    "started_at",
    "finished_at",
    "worker_id",
    "duration_ms",
    "attempt",
    "created_at",
}
BACKUP = '{"action": "backup"}'
TEMPLATE = '{"job": {{ job.name | tojson }}, "attempt": {{ execution.attempt }}, "at": "{{ scheduled_at }}"}'


def in_turn(*answers: Answer) -> Answer:
    """One answer after the other, the last one for good."""
    left = list(answers)

    async def give(received: Received, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(received, writer)

    return give


async def silence(received: Received, _writer: asyncio.StreamWriter) -> None:
    """No answer, until the caller gives up."""
    await received.hung_up()


def told(executions: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What matters of executions: attempt, status, response code."""
    return [(each["attempt"], each["status"], each.get("response_code")) for each in executions]


async def test_v01_on_its_minute(sqlite_yard: Yard, called: Receiver) -> None:
    """D3-V01, the whole story once: the schedule fires by itself. SLOW: waits for the next full minute."""
    async with calling(sqlite_yard, sqlite_yard.owner.token, sqlite_yard.owner.account) as owner:
        # Switched on only when all is there, however near the minute is.
        job = await owner.job(schedule="* * * * *", enabled=False)
        await owner.webhook(job["id"], called.url("/"), body_template="{{ scheduled_at }} {{ execution.trigger }}")
        due = (await owner.http.patch(f"/api/jobs/{job['id']}/enable")).json()["next_run_at"]
        await eventually(lambda: called.requests, timeout=75, what="the call at the full minute")
        await owner.http.patch(f"/api/jobs/{job['id']}/disable")
        first = (await owner.over(job["id"]))[0]
        after = (await owner.http.get(f"/api/jobs/{job['id']}")).json()
    assert called.requests[0].body.decode() == f"{due} schedule"
    assert told([first]) == [(1, "success", 200)]
    late = (moment(first["started_at"]) - moment(due)).total_seconds()
    assert 0 <= late < 5
    assert moment(after["last_run_at"]) >= moment(due)
    assert after["next_run_at"] is None


async def test_v01_the_call_is_the_webhook(owner: Caller, called: Receiver) -> None:
    """D3-V01, E08: method, URL, query, headers and rendered body go out; the result is recorded."""
    job = await owner.job(name='Daily "Backup"')
    await owner.webhook(
        job["id"],
        called.url("/hook?fixed=1"),
        method="PUT",
        headers={"Authorization": "Bearer api-key", "Content-Type": "application/vnd.backup+json"},
        query_params={"param1": "value1", "words": "a b&c=d"},
        body_template=TEMPLATE,
    )
    (execution,) = await owner.over(await owner.run_again(job["id"]))
    (request,) = called.requests
    assert request.method == "PUT"
    assert urlsplit(request.target).path == "/hook"
    query = parse_qsl(urlsplit(request.target).query)
    assert sorted(query) == [("fixed", "1"), ("param1", "value1"), ("words", "a b&c=d")]
    assert request.headers["authorization"] == "Bearer api-key"
    assert request.headers["content-type"] == "application/vnd.backup+json"
    body = json.loads(request.body)
    assert (body["job"], body["attempt"]) == ('Daily "Backup"', 1)
    assert moment(body["at"]) == moment(execution["created_at"])
    assert execution.keys() >= EXECUTION | {"response_code"}
    assert "error" not in execution
    assert told([execution]) == [(1, "success", 200)]
    assert is_uuid(execution["id"])
    assert execution["job_id"] == job["id"]
    assert execution["worker_id"]
    started, finished = moment(execution["started_at"]), moment(execution["finished_at"])
    assert moment(execution["created_at"]) <= started <= finished
    assert abs((finished - started).total_seconds() * 1000 - execution["duration_ms"]) <= 1
    assert moment((await owner.http.get(f"/api/jobs/{job['id']}")).json()["last_run_at"]) <= started


async def test_v01_webhooks_are_called_in_order(owner: Caller, called: Receiver) -> None:
    """RULINGS §4: every method, in order of creation, in one execution; text without a template goes unchanged."""
    methods = ("POST", "GET", "DELETE", "PATCH", "PUT")
    job = await owner.job()
    for number, method in enumerate(methods):
        await owner.webhook(job["id"], called.url(f"/{number}"), method=method, body_template=BACKUP)
    assert told(await owner.over(await owner.run_again(job["id"]))) == [(1, "success", 200)]
    expected = [(method, f"/{number}", BACKUP) for number, method in enumerate(methods)]
    assert [(each.method, each.target, each.body.decode()) for each in called.requests] == expected


async def test_v01_the_first_webhook_that_fails_ends_the_run(owner: Caller, called: Receiver) -> None:
    """RULINGS §4: the execution succeeds when every call is 2xx; a retry makes all calls again."""
    called.on("/second", in_turn(answer(503), answer(204)))
    job_id = await owner.run(called.url("/first"), called.url("/second"), called.url("/third"))
    assert told(await owner.over(job_id)) == [(1, "failure", 503), (2, "success", 200)]
    assert [each.target for each in called.requests] == ["/first", "/second", "/first", "/second", "/third"]


async def test_v01_a_changed_webhook_counts_from_the_next_run(owner: Caller, called: Receiver) -> None:
    """D3-E11, E12 as the receiver sees them."""
    job = await owner.job()
    webhook = await owner.webhook(job["id"], called.url("/old"), body_template="old")
    other = await owner.webhook(job["id"], called.url("/other"))
    change = {"url": called.url("/new"), "method": "PATCH", "body_template": "new"}
    assert (await owner.http.put(f"/webhooks/{webhook['id']}", json=change)).status_code == 200
    assert (await owner.http.delete(f"/webhooks/{other['id']}")).status_code == 204
    await owner.over(await owner.run_again(job["id"]))
    assert [(each.method, each.target, each.body) for each in called.requests] == [("PATCH", "/new", b"new")]


async def test_v01_failing_twice_then_well(owner: Caller, called: Receiver) -> None:
    """D3-E08, Q05 to Q07: each attempt is an execution of its own."""
    url = called.on("/", in_turn(answer(503), answer(503), answer(200)))
    job_id = await owner.run(url)
    attempts = await owner.over(job_id)
    assert told(attempts) == [(1, "failure", 503), (2, "failure", 503), (3, "success", 200)]
    for failed in attempts[:2]:
        assert failed["error"] == f"HTTP 503 from 127.0.0.1:{called.port}"
    for earlier, later in pairwise(attempts):
        assert moment(earlier["finished_at"]) <= moment(later["started_at"])
    assert len({each["id"] for each in attempts}) == 3
    assert (await owner.executions(job_id))["items"] == attempts[::-1]
    failures = await owner.executions(job_id, status="failure")
    assert (failures["items"], failures["total"]) == (attempts[1::-1], 2)
    assert (await owner.executions(job_id, status="success"))["items"] == attempts[2:]
    assert (await owner.executions(job_id, status="dead_letter"))["total"] == 0
    part = await owner.executions(job_id, skip=1, limit=1)
    assert part == {"items": [attempts[1]], "total": 3, "skip": 1, "limit": 1}


@pytest.mark.parametrize(
    ("status", "attempts"),
    [(500, 3), (502, 3), (408, 3), (425, 3), (404, 1), (400, 1), (410, 1), (302, 1), (304, 1)],
)
async def test_v01_what_is_retried_and_what_is_not(owner: Caller, called: Receiver, status: int, attempts: int) -> None:
    """RULINGS §4: 5xx, 408 and 425 are retried; other 4xx and 3xx end at once. Redirects are not followed."""
    called.on("/", answer(status, headers=(("Location", called.url("/elsewhere")),)))
    executions = await owner.over(await owner.run(called.url("/")))
    failed: list[tuple[Any, ...]] = [(number, "failure", status) for number in range(1, attempts)]
    assert told(executions) == [*failed, (attempts, "dead_letter", status)]
    assert str(status) in executions[-1]["error"]
    assert [each.target for each in called.requests] == ["/"] * attempts


async def test_v01_a_receiver_that_never_answers(owner: Caller, called: Receiver) -> None:
    """D3-Q07: an attempt that met its time limit is `timed_out` and retried; the last one is a dead letter."""
    executions = await owner.over(await owner.run(called.on("/", silence)))
    expected = [(1, "timed_out", None), (2, "timed_out", None), (3, "dead_letter", None)]
    assert told(executions) == expected
    for each in executions:
        assert each["error"] == f"No answer within {HTTP_TIMEOUT_SECONDS} s"
        assert each["duration_ms"] >= HTTP_TIMEOUT_SECONDS * 1000
        assert "response_code" not in each
    assert len((await owner.executions(executions[0]["job_id"], status="timed_out"))["items"]) == 2


async def test_v01_retry_after_is_honoured(owner: Caller, called: Receiver) -> None:
    """RULINGS §4: 429 waits as long as the receiver asks."""
    url = called.on("/", in_turn(answer(429, headers=(("Retry-After", "1"),)), answer(200)))
    first, second = await owner.over(await owner.run(url))
    assert told([first, second]) == [(1, "failure", 429), (2, "success", 200)]
    waited = moment(second["started_at"]) - moment(first["finished_at"])
    assert waited.total_seconds() >= 1


async def test_v01_nobody_listens(owner: Caller) -> None:
    """RULINGS §4: a connect error is retried; its executions have an error and no response code."""
    executions = await owner.over(await owner.run(f"http://127.0.0.1:{free_port()}/"))
    assert told(executions) == [(1, "failure", None), (2, "failure", None), (3, "dead_letter", None)]
    assert all("response_code" not in each and each["error"] for each in executions)


async def test_v01_a_job_without_webhook_fails_at_once(owner: Caller, outsider: Caller) -> None:
    """RULINGS §4."""
    for who in (owner, outsider):
        (execution,) = await who.over(await who.run())
        assert (execution["status"], execution["error"]) == ("dead_letter", "job has no webhook")
        assert "response_code" not in execution


async def test_v01_a_disabled_job_runs_by_hand(owner: Caller, called: Receiver) -> None:
    """It has no next run, before and after."""
    job_id = await owner.run(called.url("/"), enabled=False)
    assert told(await owner.over(job_id)) == [(1, "success", 200)]
    job = (await owner.http.get(f"/api/jobs/{job_id}")).json()
    assert (job["enabled"], job["next_run_at"]) == (False, None)
    assert job["last_run_at"] is not None


async def test_e05_a_deleted_job_is_called_no_more(owner: Caller, called: Receiver) -> None:
    """D3-E05: what runs of it is given up; the receiver sees the connection close."""
    hung_up = asyncio.Event()

    async def wait(received: Received, _writer: asyncio.StreamWriter) -> None:
        await received.hung_up()
        hung_up.set()

    job_id = await owner.run(called.on("/", wait))
    await eventually(lambda: called.requests)
    assert (await owner.http.delete(f"/api/jobs/{job_id}")).status_code == 204
    await asyncio.wait_for(hung_up.wait(), 10)
    # The yard works on, and one after the other: what it was to do for the deleted job would have come before this.
    assert told(await owner.over(await owner.run(called.url("/next")))) == [(1, "success", 200)]
    assert [each.target for each in called.requests] == ["/", "/next"]
