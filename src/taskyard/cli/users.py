"""`taskyard user`: the people of the yard."""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taskyard.cli import screen
from taskyard.cli.desk import Desk, at_desk
from taskyard.cli.options import AsJson, DataDir, TenantChoice, group
from taskyard.domain.actors import Role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from taskyard.domain.actors import Actor, Member, User
    from taskyard.services.transactions import Tx

commands = group(
    "The people of the yard.",
    "taskyard user create ada@example.com --name 'Ada Lovelace' --role developer",
    "taskyard user list --json",
)

Email = Annotated[str, typer.Argument(metavar="EMAIL", show_default=False)]
PasswordStdin = Annotated[
    bool,
    typer.Option(
        "--password-stdin", help="Read the password's one line from stdin; else one is made.", show_default=False
    ),
]


@dataclass(frozen=True, slots=True)
class _Password:
    """One that was given, or one that was made and is shown this once."""

    text: str
    shown: bool

    @classmethod
    def chosen(cls, *, from_stdin: bool) -> "_Password":
        from taskyard.services.passwords import generated_password

        return cls(sys.stdin.readline().rstrip("\r\n") if from_stdin else generated_password(), not from_stdin)

    async def hashed(self) -> str:
        from taskyard.services.passwords import hash_password

        return await hash_password(self.text)

    def tell(self, line: str, facts: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            screen.data(facts | ({"password": self.text} if self.shown else {}))
            return
        screen.say(line)
        if self.shown:
            screen.say(f"Password, shown only this once: {self.text}")


@commands.command()
def create(
    email: Email,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Full name.", show_default="from the address")
    ] = None,
    role: Annotated[Role, typer.Option(metavar="ROLE", help=f"What they may do: {', '.join(Role)}.")] = Role.DEVELOPER,
    password_stdin: PasswordStdin = False,
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a user. Without --password-stdin their password is generated and shown this once."""
    password = _Password.chosen(from_stdin=password_stdin)

    async def make(desk: Desk) -> "User":
        from taskyard.services import accounts

        password_hash = await password.hashed()
        async with desk.database.write() as tx:
            return await accounts.add_user(
                tx,
                desk.actor,
                email=email,
                full_name=name or email.partition("@")[0],
                password_hash=password_hash,
                role=role,
            )

    user = at_desk(make, data_dir, tenant)
    password.tell(f"Made user {user.email} ({role.value})", {"user": user, "role": role}, as_json=as_json)


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
def disable(email: Email, tenant: TenantChoice = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Switch a user off: their tokens, sessions and keys stop working at once."""
    _switch(email, tenant, data_dir, active=False, as_json=as_json)


@commands.command()
def enable(email: Email, tenant: TenantChoice = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Switch a user on again. Their keys and sessions stay ended."""
    _switch(email, tenant, data_dir, active=True, as_json=as_json)


def _switch(email: str, tenant: str | None, data_dir: Path | None, *, active: bool, as_json: bool) -> None:
    async def switch(desk: Desk) -> "User":
        from taskyard.services import accounts

        return await _changed(desk, email, accounts.enable_user if active else accounts.disable_user)

    user = at_desk(switch, data_dir, tenant)
    if as_json:
        screen.data({"id": user.id, "email": user.email, "is_active": active})
    else:
        screen.say(f"User {user.email} is switched {'on' if active else 'off'}")


@commands.command("password")
def set_password(
    email: Email,
    password_stdin: PasswordStdin = False,
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give a user another password, and end their sessions. Without --password-stdin it is generated."""
    password = _Password.chosen(from_stdin=password_stdin)

    async def change(desk: Desk) -> "User":
        from taskyard.services import accounts

        return await _changed(desk, email, partial(accounts.set_password, password_hash=await password.hashed()))

    user = at_desk(change, data_dir, tenant)
    facts = {"id": user.id, "email": user.email}
    password.tell(f"User {user.email} has another password", facts, as_json=as_json)


async def _changed(desk: Desk, email: str, change: "Callable[[Tx, Actor, UUID], Awaitable[None]]") -> "User":
    """Make `change` to the user with that address; who it is."""
    from taskyard.services import accounts

    async with desk.database.write() as tx:
        person = await accounts.find_user(tx, desk.actor, email)
        await change(tx, desk.actor, person.user.id)
    return person.user
