"""A yard as a program of its own, started by its command line, and the callers who knock at it over real HTTP."""

import ssl
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.processes import Process, Processes, eventually
from tests.servers import run_apart

START_SECONDS = 90
STOP_SECONDS = 30
ANSWER_SECONDS = 30
HTTP_TIMEOUT_SECONDS = 2
"""What the yard grants a webhook: short enough to wait for, long enough for a busy machine."""

SUPABASE_SECRET = "a secret shared with an outside issuer"
OWNER = {"email": "owner@yard.test", "password": "known to the owner alone"}
STRANGER = {"email": "stranger@yard.test", "password": "known to the stranger", "full_name": "S", "tenant_name": "S"}
SETTINGS = {
    "SUPABASE_JWT_SECRET": SUPABASE_SECRET,
    "TASKYARD_OWNER_EMAIL": OWNER["email"],
    "TASKYARD_OWNER_PASSWORD": OWNER["password"],
    "TASKYARD_RETRY_BASE_SECONDS": "0.05",
    "TASKYARD_HTTP_TIMEOUT_SECONDS": str(HTTP_TIMEOUT_SECONDS),
    "TASKYARD_LEASE_SECONDS": "5",
    "TASKYARD_LOG_FORMAT": "json",
}
JOB = {"name": "Daily Backup", "schedule": "0 2 * * *", "type": 1}
PREFIX = "/faces/scheduler"

SHARED_YARD = [pytest.mark.anyio, pytest.mark.xdist_group("e2e-yard")]
"""Marks of the tests that share one yard for each database; under `--dist loadgroup` one xdist worker has them all."""

# To load the certificates takes longer than most of these tests, and no call is encrypted.
_TLS = ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who signed in with a password: a house token, and the account it opens."""

    token: str
    account: str


@dataclass(frozen=True, slots=True)
class Yard:
    """A running yard, its operator, and somebody who came through open registration."""

    url: str
    process: Process
    owner: Member
    stranger: Member


@contextmanager
def open_yard(folder: Path, **settings: str) -> Generator[Yard]:
    """`taskyard serve` on a free port, with data in `folder`, until the block is left."""
    processes = Processes(folder)
    try:
        environment = {**SETTINGS, "TASKYARD_DATA_DIR": str(folder / "data"), **settings}
        process = processes.taskyard("serve", "--port", "0", env=environment)
        url = run_apart(process.line(r"open at (http://\S+)", START_SECONDS)).group(1)
        run_apart(process.answers(f"{url}/health", timeout=START_SECONDS))
        with httpx2.Client(base_url=url, trust_env=False, timeout=ANSWER_SECONDS, verify=_TLS) as http:
            assert http.post("/api/v1/auth/register", json=STRANGER).status_code == 201
            yield Yard(url, process, _signed_in(http, OWNER), _signed_in(http, STRANGER))
    finally:
        processes.close()


def _signed_in(http: httpx2.Client, who: dict[str, str]) -> Member:
    """D3's own tokens come from the authentication service: here the house's."""
    answer = http.post("/api/v1/auth/login", json={"email": who["email"], "password": who["password"]})
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    me = http.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
    return Member(token, me.json()["tenant_id"])


def outside_token(subject: str | None = None, **claims: Any) -> str:
    """A token as Supabase signs it; a claim given as None is left out."""
    said = {"sub": subject or str(uuid4()), "aud": "authenticated", "exp": int(time.time()) + 3600, **claims}
    known = {name: value for name, value in said.items() if value is not None}
    return jwt.encode({"alg": "HS256"}, known, OctKey.import_key(SUPABASE_SECRET))


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a credential, on a connection of their own."""

    yard: Yard
    http: httpx2.AsyncClient
    token: str
    account: str

    async def job(self, **change: Any) -> dict[str, Any]:
        """A new job of theirs."""
        answer = await self.http.post("/api/jobs", json={"account_id": self.account, **JOB, **change})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def webhook(self, job_id: str, url: str, **change: Any) -> dict[str, Any]:
        """A new webhook of one of their jobs."""
        answer = await self.http.post("/webhooks", json={"job_id": job_id, "url": url, "method": "POST", **change})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def run(self, *urls: str, **change: Any) -> str:
        """A job with a webhook for each URL, run at once; its id."""
        job = await self.job(**change)
        for url in urls:
            await self.webhook(job["id"], url)
        return await self.run_again(job["id"])

    async def run_again(self, job_id: str) -> str:
        """An existing job, run at once; its id."""
        answer = await self.http.post(f"/api/jobs/{job_id}/run")
        assert (answer.status_code, answer.json()["status"]) == (202, "queued"), answer.text
        return job_id

    async def executions(self, job_id: str, **query: Any) -> dict[str, Any]:
        """A page of the job's executions, newest first."""
        answer = await self.http.get(f"/api/jobs/{job_id}/executions", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def over(self, job_id: str, timeout: float = 30) -> list[dict[str, Any]]:
        """The job's executions, oldest first, once there are some and nothing of it waits or runs."""

        async def look() -> list[dict[str, Any]] | None:
            items = (await self.executions(job_id))["items"]
            waiting = any(item["status"] in ("queued", "running") for item in items)
            return None if waiting else items[::-1]

        return await eventually(look, timeout, f"the end of job {job_id}")


@asynccontextmanager
async def calling(yard: Yard, token: str, account: str, prefix: str = "") -> AsyncGenerator[Caller]:
    """A caller with `token`, below `prefix`."""
    async with httpx2.AsyncClient(
        base_url=yard.url + prefix,
        headers={"Authorization": f"Bearer {token}"} if token else {},
        trust_env=False,
        timeout=ANSWER_SECONDS,
        verify=_TLS,
    ) as http:
        yield Caller(yard, http, token, account)


def refused(answer: httpx2.Response, status: int, code: str) -> str:
    """Checks a refusal in D3's form (D3-X00); its sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"detail", "error_code", "status_code"}
    assert (body["error_code"], body["status_code"]) == (code, status)
    assert isinstance(body["detail"], str)
    assert body["detail"]
    return body["detail"]


def moment(text: str) -> datetime:
    """A time as D3 writes it: ISO 8601 with a Z."""
    assert text.endswith("Z")
    assert text[10] == "T"
    return datetime.fromisoformat(text)


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in its usual form."""
    return str(UUID(text)) == text
