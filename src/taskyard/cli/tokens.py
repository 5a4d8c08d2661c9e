"""`taskyard token`: a house token for scripts and trials."""

import re
from typing import Annotated

import typer

from taskyard.cli import screen
from taskyard.cli.desk import Desk, at_desk
from taskyard.cli.options import AsJson, DataDir, TenantChoice, epilog
from taskyard.cli.usage import Commands
from taskyard.domain.errors import Forbidden

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_LENGTH = re.compile(r"(\d{1,9})([smhd]?)")
MAX_SECONDS = 366 * 86_400


def register(app: Commands, panel: str) -> None:
    """Add the command to the command line."""
    app.command(
        rich_help_panel=panel,
        epilog=epilog(
            'curl -H "Authorization: Bearer $(taskyard token --expires 10m)" http://127.0.0.1:8000/api/v1/jobs'
        ),
    )(token)


def token(
    user: Annotated[str | None, typer.Option(metavar="EMAIL", help="Whose token.", show_default="the owner's")] = None,
    expires: Annotated[str, typer.Option(metavar="TIME", help="How long it is good: 30m, 12h, 7d.")] = "24h",
    tenant: TenantChoice = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print a house token, for `Authorization: Bearer`."""
    seconds = _seconds(expires)

    async def issue(desk: Desk) -> dict[str, object]:
        from taskyard.services import accounts

        async with desk.database.read() as tx:
            email = user or desk.actor.name
            person = await accounts.find_user(tx, desk.actor, email)
        homes = [held.tenant.id for held in person.memberships]
        acting_in = desk.actor.tenant_id
        meant = acting_in if tenant is not None or acting_in in homes else next(iter(homes), acting_in)
        if meant not in homes or not person.user.is_active:
            raise Forbidden(f"{person.user.email} is switched off or does not belong to that tenant; name another user")
        made = desk.identity.issue(person.user.id, meant, lifetime_seconds=seconds)
        return {"token": made, "expires_in": seconds, "user": person.user.email, "tenant_id": meant}

    issued = at_desk(issue, data_dir, tenant)
    if as_json:
        screen.data(issued)
    else:
        screen.say(str(issued["token"]))


def _seconds(text: str) -> int:
    found = _LENGTH.fullmatch(text.strip())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 1 <= seconds <= MAX_SECONDS:
        raise typer.BadParameter(f"{text!r}: write a time as 30m, 12h or 7d, at most 366d", param_hint="--expires")
    return seconds
