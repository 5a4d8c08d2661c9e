"""`taskyard key`: API keys."""

from typing import TYPE_CHECKING, Annotated

import typer

from taskyard.cli import screen
from taskyard.cli.desk import Desk, at_desk
from taskyard.cli.options import AsJson, DataDir, TenantChoice, group
from taskyard.cli.references import pick
from taskyard.domain.errors import Invalid

if TYPE_CHECKING:
    from taskyard.domain.credentials import ApiKey
    from taskyard.services.keys import NewKey

commands = group(
    "API keys.",
    "taskyard key create deploys",
    "taskyard key create ci --user ada@example.com",
    "taskyard key revoke deploys",
)


@commands.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="To tell keys apart.", show_default=False)],
    user: Annotated[str | None, typer.Option(metavar="EMAIL", help="Whose key.", show_default="the owner's")] = None,
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown this once."""

    async def make(desk: Desk) -> "NewKey":
        from taskyard.services import accounts, keys

        async with desk.database.write() as tx:
            holder = None if user is None else (await accounts.find_user(tx, desk.actor, user)).user.id
            return await keys.create(tx, desk.actor, name, user_id=holder)

    made = at_desk(make, data_dir, tenant)
    if as_json:
        screen.data({"key": made.secret, "id": made.key.id, "name": made.key.name, "prefix": made.key.prefix})
    else:
        screen.say(made.secret)
        screen.note("Shown only this once: keep it")


@commands.command("list")
def list_keys(tenant: TenantChoice = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the keys of the tenant, revoked ones too."""
    known = at_desk(_read, data_dir, tenant)
    if as_json:
        screen.data({"keys": known})
        return
    rows = [
        (
            screen.short(each.id),
            each.name,
            f"{each.prefix}...",
            "off" if each.revoked_at else "on",
            screen.ago(each.created_at),
            screen.ago(each.last_used_at) or "never",
        )
        for each in known
    ]
    screen.table(("ID", "Name", "Key", "Status", "Made", "Last used"), rows, "No keys yet: `taskyard key create NAME`")


async def _read(desk: Desk) -> "list[ApiKey]":
    from taskyard.services import keys

    async with desk.database.read() as tx:
        return await keys.list_keys(tx, desk.actor)


@commands.command()
def revoke(
    key: Annotated[
        str,
        typer.Argument(metavar="KEY", help="Its id, the beginning or end of it, or its name.", show_default=False),
    ],
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """End a key now."""

    async def end(desk: Desk) -> "ApiKey":
        from taskyard.services import keys

        alive = [each for each in await _read(desk) if each.revoked_at is None]
        found = pick("key", key, alive, lambda each: str(each.id), lambda each: each.name)
        if found is None:
            raise Invalid(f"No key in use is called {key!r}: `taskyard key list` shows them", field="key")
        async with desk.database.write() as tx:
            await keys.revoke(tx, desk.actor, found.id)
        return found

    ended = at_desk(end, data_dir, tenant)
    if as_json:
        screen.data({"revoked": ended.id, "name": ended.name})
    else:
        screen.say(f"Key {screen.clean(ended.name)} is revoked")
