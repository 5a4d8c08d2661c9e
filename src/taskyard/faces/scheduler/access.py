"""Who may touch what: D3 tells a stranger's job (403) from one that does not exist (404) (RULINGS §5 D3)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from taskyard.domain.actors import Actor, Principal
from taskyard.domain.errors import NotFound
from taskyard.faces.kit.yard import Yard
from taskyard.services import accounts, calls, jobs
from taskyard.services.transactions import Tx


async def of_job(tx: Tx, caller: Principal, job_id: UUID) -> Actor:
    """The caller in the job's account. Raises `NotFound`, `Forbidden`."""
    tenant_id = await jobs.locate(tx, job_id)
    if tenant_id is None:
        raise NotFound("job", job_id)
    return caller.within(tenant_id)


async def of_call(tx: Tx, caller: Principal, call_id: UUID) -> Actor:
    """The caller in the webhook's account. Raises `NotFound`, `Forbidden`."""
    tenant_id = await calls.locate(tx, call_id)
    if tenant_id is None:
        raise NotFound("call", call_id)
    return caller.within(tenant_id)


@asynccontextmanager
async def reading_account(yard: Yard, caller: Principal, account_id: UUID) -> AsyncGenerator[tuple[Tx, Actor]]:
    """A transaction to read an account in. One never seen before is made on the way, which is a write."""
    if account_id in caller.actors:
        async with yard.database.read() as tx:
            yield tx, caller.within(account_id)
    else:
        async with yard.database.write() as tx:
            yield tx, await accounts.claim(tx, caller, account_id, yard.rules)
