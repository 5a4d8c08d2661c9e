"""`taskyard user`: the people of the yard."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taskyard.cli import screen
from taskyard.cli.desk import Desk, at_desk
from taskyard.cli.options import AsJson, DataDir, TenantChoice, group
from taskyard.domain.actors import Role

if TYPE_CHECKING:
    from taskyard.domain.actors import Member, User

commands = group(
    "The people of the yard.",
    "taskyard user create ada@example.com --name 'Ada Lovelace' --role developer",
    "taskyard user list --json",
)


@commands.command()
def create(
    email: Annotated[str, typer.Argument(metavar="EMAIL", show_default=False)],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Full name.", show_default="from the address")
    ] = None,
    role: Annotated[Role, typer.Option(metavar="ROLE", help=f"What they may do: {', '.join(Role)}.")] = Role.DEVELOPER,
    password_stdin: Annotated[
        bool,
        typer.Option(
            "--password-stdin", help="Read the password's one line from stdin; else one is made.", show_default=False
        ),
    ] = False,
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a user. Without --password-stdin their password is generated and shown this once."""
    given = sys.stdin.readline().rstrip("\r\n") if password_stdin else None

    async def make(desk: Desk) -> "tuple[User, str]":
        from taskyard.services import accounts, first_start, passwords

        password = first_start.generated_password() if given is None else given
        password_hash = await passwords.hash_password(password)
        async with desk.database.write() as tx:
            user = await accounts.add_user(
                tx,
                desk.actor,
                email=email,
                full_name=name or email.partition("@")[0],
                password_hash=password_hash,
                role=role,
            )
        return user, password

    user, password = at_desk(make, data_dir, tenant)
    shown = {} if password_stdin else {"password": password}
    if as_json:
        screen.data({"user": user, "role": role, **shown})
        return
    screen.say(f"Made user {user.email} ({role.value})")
    if shown:
        screen.say(f"Password, shown only this once: {password}")


@commands.command("list")
def list_users(tenant: TenantChoice = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the users of the tenant."""

    async def read(desk: Desk) -> "list[Member]":
        from taskyard.services import accounts

        async with desk.database.read() as tx:
            return await accounts.list_users(tx, desk.actor)

    members = at_desk(read, data_dir, tenant)
    if as_json:
        screen.data({"users": [{"user": each.user, "role": each.role} for each in members]})
        return
    rows = [
        (
            screen.short(each.user.id),
            each.user.email,
            each.user.full_name,
            each.role.value,
            "on" if each.user.is_active else "off",
            screen.ago(each.user.last_login_at) or "never",
        )
        for each in members
    ]
    screen.table(("ID", "E-mail", "Name", "Role", "Status", "Last sign-in"), rows, "No users", spare=("ID", "Name"))


@commands.command()
def disable(
    email: Annotated[str, typer.Argument(metavar="EMAIL", show_default=False)],
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Switch a user off: their tokens, sessions and keys stop working at once."""

    async def switch_off(desk: Desk) -> dict[str, Any]:
        from taskyard.services import accounts

        async with desk.database.write() as tx:
            person = await accounts.find_user(tx, desk.actor, email)
            await accounts.disable_user(tx, desk.actor, person.user.id)
        return {"id": person.user.id, "email": person.user.email, "is_active": False}

    off = at_desk(switch_off, data_dir, tenant)
    if as_json:
        screen.data(off)
    else:
        screen.say(f"User {off['email']} is switched off")
