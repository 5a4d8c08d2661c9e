"""`taskyard tenant`: the accounts of the yard, and what the operator allows them."""

from typing import TYPE_CHECKING, Annotated

import typer

from taskyard.cli import screen
from taskyard.cli.desk import Desk, at_desk, chosen_tenant
from taskyard.cli.options import AsJson, DataDir, group

if TYPE_CHECKING:
    from taskyard.domain.actors import Tenant

TenantWord = Annotated[
    str,
    typer.Argument(metavar="TENANT", help="Its id, the beginning or end of it, or its name.", show_default=False),
]
Revoke = Annotated[bool, typer.Option("--revoke", help="Take the permission away.", show_default=False)]

commands = group(
    "The accounts of the yard, and what the operator allows them.",
    "taskyard tenant list",
    "taskyard tenant allow-commands 'Ada and sons'",
)


async def _read(desk: Desk) -> "list[Tenant]":
    from taskyard.services import accounts

    async with desk.database.read() as tx:
        return await accounts.list_tenants(tx, desk.actor)


@commands.command("list")
def list_tenants(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show every tenant."""
    known = at_desk(_read, data_dir)
    if as_json:
        screen.data({"tenants": known})
        return
    rows = [
        (
            screen.short(each.id),
            each.name,
            "operator" if each.is_operator else "",
            each.commands_allowed,
            each.private_network_allowed,
            screen.ago(each.created_at),
        )
        for each in known
    ]
    screen.table(("ID", "Name", "", "Commands", "Private network", "Made"), rows, "No tenants", spare=("Made", ""))


@commands.command("allow-commands")
def allow_commands(
    tenant: TenantWord, revoke: Revoke = False, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Let a tenant run shell commands on the yard's machines."""

    async def allow(desk: Desk) -> "Tenant":
        from taskyard.services import accounts

        found = chosen_tenant(await _read(desk), tenant)
        async with desk.database.write() as tx:
            return await accounts.allow_commands(tx, desk.actor, found.id, allowed=not revoke)

    _tell(at_desk(allow, data_dir), "run commands", allowed=not revoke, as_json=as_json)


@commands.command("allow-private-network")
def allow_private_network(
    tenant: TenantWord, revoke: Revoke = False, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Let a tenant call private and loopback addresses."""

    async def allow(desk: Desk) -> "Tenant":
        from taskyard.services import accounts

        found = chosen_tenant(await _read(desk), tenant)
        async with desk.database.write() as tx:
            return await accounts.allow_private_network(tx, desk.actor, found.id, allowed=not revoke)

    _tell(at_desk(allow, data_dir), "call private addresses", allowed=not revoke, as_json=as_json)


def _tell(tenant: "Tenant", what: str, *, allowed: bool, as_json: bool) -> None:
    if as_json:
        screen.data(tenant)
    else:
        screen.say(f"Tenant {screen.clean(tenant.name)} may {'' if allowed else 'not '}{what}")
