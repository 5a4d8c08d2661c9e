"""Where a command works: the yard's database open, the operator's owner acting, errors told by `app.main`."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from taskyard.cli.matching import pick
from taskyard.domain.actors import PERMISSIONS, Actor, Permission, Role, Tenant
from taskyard.domain.errors import Conflict, NotFound, Unavailable

if TYPE_CHECKING:
    from taskyard import bootstrap
    from taskyard.services.identity import Identity
    from taskyard.services.transactions import Database
    from taskyard.settings import Settings

T = TypeVar("T")

NO_OWNER = "This yard has no owner yet: start it once with `taskyard serve`"
OUTDATED = "The database is of an older version: run `taskyard migrate` first"


@dataclass(frozen=True, slots=True)
class Desk:
    """An open yard and who acts in it."""

    base: "bootstrap.Base"
    actor: Actor

    @property
    def database(self) -> "Database":
        """Opens transactions."""
        return self.base.database

    @property
    def identity(self) -> "Identity":
        """Issues and proves credentials."""
        return self.base.identity

    @property
    def settings(self) -> "Settings":
        """Of this process; those of a running server may differ."""
        return self.base.settings


def at_desk(
    work: Callable[[Desk], Coroutine[Any, Any, T]], data_dir: Path | None = None, tenant: str | None = None
) -> T:
    """Run `work` as the operator's owner, or as the operator within `tenant`; its answer.

    Raises what `work` raises, `Invalid` for wrong settings, `Unavailable` where there is no yard, `Conflict` for a
    database of another version, `NotFound`.
    """
    from taskyard import settings
    from taskyard.cli import logs

    chosen = settings.load(data_dir=data_dir)
    logs.quiet()
    return asyncio.run(_work(chosen, work, tenant))


async def _work(settings: "Settings", work: Callable[[Desk], Coroutine[Any, Any, T]], tenant: str | None) -> T:
    from taskyard import bootstrap
    from taskyard.services import accounts

    require_yard(settings)
    async with bootstrap.base(settings, upgrade=False) as base:
        if await bootstrap.outdated(base):
            raise Conflict(OUTDATED)
        async with base.database.read() as tx:
            operator = await accounts.find_operator(tx)
            if operator is None:
                raise Conflict(NO_OWNER)
            known = await accounts.list_tenants(tx, operator) if tenant is not None else []
        actor = operator if tenant is None else _within(operator, chosen_tenant(known, tenant))
        return await work(Desk(base, actor))


def require_yard(settings: "Settings") -> None:
    """Raises `Unavailable` when the data directory holds no yard, before an empty one is made by mistake."""
    if not settings.has_yard():
        raise Unavailable(
            f"There is no yard in {settings.data_dir.absolute()}: start one with `taskyard serve`, "
            "or name its folder with --data-dir (on PostgreSQL, its database with DATABASE_URL)",
            code="NO_YARD",
        )


def chosen_tenant(known: list[Tenant], word: str) -> Tenant:
    """The tenant with that id (or the beginning or end of it) or that exact name. Raises `NotFound`, `Conflict`."""
    found = pick("tenant", word, known, lambda each: str(each.id), lambda each: each.name)
    if found is None:
        raise NotFound("tenant", word)
    return found


def _within(operator: Actor, tenant: Tenant) -> Actor:
    """The operator acting in a tenant, with what the tenant itself may do."""
    permissions = PERMISSIONS[Role.OWNER]
    if not tenant.commands_allowed:
        permissions = permissions - {Permission.EXECUTE}
    return replace(operator, tenant_id=tenant.id, permissions=permissions)
