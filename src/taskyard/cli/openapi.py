"""`taskyard openapi`: the OpenAPI documents of the faces as files."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from taskyard.cli import screen
from taskyard.cli.options import AsJson, epilog
from taskyard.cli.usage import Commands


def register(app: Commands, panel: str) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel=panel, epilog=epilog("taskyard openapi --out docs/openapi --check"))(openapi)


def openapi(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files are.", show_default=False)],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 when a file is out of date.", show_default=False)
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the OpenAPI document of each face to DIR. Needs no database."""
    from taskyard import bootstrap

    documents = asyncio.run(bootstrap.documents())
    files = {out / f"{name}.json": json.dumps(spec, indent=2) + "\n" for name, spec in documents.items()}
    wrong = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if not check:
        out.mkdir(parents=True, exist_ok=True)
        for path in wrong:
            path.write_text(files[path], encoding="utf-8")
    if as_json:
        screen.data({"out_of_date" if check else "changed": [str(path) for path in wrong]})
    else:
        for path in wrong:
            screen.say(f"{path} {'is out of date' if check else 'changed'}")
    if check and wrong:
        screen.error(f"Run `taskyard openapi --out {out}` and keep what it writes")
        raise typer.Exit(1)
