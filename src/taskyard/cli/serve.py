"""`taskyard serve` and `taskyard worker`: the processes of the yard."""

from typing import TYPE_CHECKING, Annotated

import typer

from taskyard.cli import sockets
from taskyard.cli.desk import require_yard
from taskyard.cli.options import AsJson, DataDir, epilog
from taskyard.cli.usage import Commands

if TYPE_CHECKING:
    from taskyard import bootstrap
    from taskyard.settings import Settings

NoClock = Annotated[
    bool, typer.Option("--no-clock", help="Let other processes fire the schedules.", show_default=False)
]


def register(app: Commands, panel: str) -> None:
    """Add the commands to the command line."""
    app.command(
        rich_help_panel=panel,
        epilog=epilog(
            "taskyard serve",
            "taskyard serve --port 9000 --data-dir /var/lib/taskyard",
            "taskyard serve --bind 127.0.0.1:8000 --bind [::1]:8000",
        ),
    )(serve)
    app.command(rich_help_panel=panel)(worker)


def serve(
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, metavar="PORT", help="0 takes any that is free.", show_default="8000"),
    ] = None,
    bind: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="Instead of --host and --port; may be repeated.", show_default=False),
    ] = None,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Leave the work to other processes.", show_default=False)
    ] = False,
    no_clock: NoClock = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Start the yard: API, clock and worker in one process."""
    if bind and (host is not None or port is not None):
        raise typer.BadParameter("give either --bind or --host and --port", param_hint="--bind")
    from taskyard import settings

    chosen = settings.load(host=host, port=port, data_dir=data_dir)
    places = [sockets.parsed(each) for each in bind or ()] or [sockets.Address(chosen.host, chosen.port)]
    _serve(chosen, places, worker_too=not no_worker, clock_too=not no_clock, as_json=as_json)


def _serve(
    settings: "Settings", places: list[sockets.Address], *, worker_too: bool, clock_too: bool, as_json: bool
) -> None:
    listening = sockets.listen_on(places)
    from taskyard import bootstrap
    from taskyard.cli import logs, server, welcome
    from taskyard.services import first_start

    logs.configure(settings, server.secrets_of(settings))
    roles = bootstrap.Roles(worker=worker_too, clock=clock_too)

    async def opened(running: "bootstrap.Process") -> None:
        made = await first_start.open_yard(
            running.base.database,
            email=settings.owner_email,
            password=settings.owner_password,
            api_key=settings.api_key,
        )
        urls = [sockets.url_of(each) for each in listening]
        exposed = any(sockets.is_open_to_others(each) for each in listening)
        welcome.tell(settings, urls, _doing(roles, serves=True), made, exposed=exposed, as_json=as_json)

    try:
        server.run(server.serve(settings, roles, listening, opened))
    finally:
        for each in listening:
            each.close()


def worker(no_clock: NoClock = False, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Start a worker: as `serve`, but without HTTP. Any number may share one database."""
    from taskyard import bootstrap, settings
    from taskyard.cli import logs, screen, server

    chosen = settings.load(data_dir=data_dir)
    require_yard(chosen)
    logs.configure(chosen, server.secrets_of(chosen))
    roles = bootstrap.Roles(worker=True, clock=not no_clock)

    async def opened(_running: "bootstrap.Process") -> None:
        if as_json:
            screen.say(f'{{"doing": "{_doing(roles, serves=False)}"}}')
        else:
            screen.say(f"Taskyard works ({_doing(roles, serves=False)}); Ctrl-C ends it")

    server.run(server.work(chosen, roles, opened))


def _doing(roles: "bootstrap.Roles", *, serves: bool) -> str:
    parts = {"API": serves, "clock": roles.clock, "worker": roles.worker}
    return ", ".join(name for name, on in parts.items() if on)
