"""Options that many commands share, spelled once."""

from pathlib import Path
from typing import Annotated

import typer

COMMON = "Common options"

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of the yard's database and keys.  [default: data]",
        rich_help_panel=COMMON,
        show_default=False,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Write JSON to stdout, and nothing else.", rich_help_panel=COMMON, show_default=False),
]
TenantChoice = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        metavar="ID",
        help="Act in this tenant instead of the operator's own.",
        rich_help_panel=COMMON,
        show_default=False,
    ),
]
JobWord = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="The job's id, the beginning or end of it, or its exact name.", show_default=False
    ),
]
ExecutionWord = Annotated[
    str, typer.Argument(metavar="ID", help="The execution's id, or the beginning or end of it.", show_default=False)
]


def group(help_text: str, *examples: str) -> typer.Typer:
    """A group of commands that shows its help when called alone."""
    return typer.Typer(help=help_text, epilog=epilog(*examples), no_args_is_help=True)


def epilog(*examples: str) -> str | None:
    """Examples below the help text, one to a line."""
    if not examples:
        return None
    return "\n".join(["[bold]Examples[/bold]", *(f"[cyan]{each}[/cyan]" for each in examples)])
