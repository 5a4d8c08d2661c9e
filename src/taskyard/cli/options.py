"""Options that many commands share, spelled once."""

from pathlib import Path
from typing import Annotated

import typer

from taskyard.cli.usage import Commands, Group

COMMON = "Common options"

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of the yard's database and keys.",
        rich_help_panel=COMMON,
        show_default="data",
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
        metavar="TENANT",
        help="Act in this tenant (its id, the beginning or end of it, or its name) instead of the operator's own.",
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


def group(help_text: str, *examples: str) -> Commands:
    """A group of commands that shows its help when called alone."""
    return Commands(cls=Group, help=help_text, epilog=epilog(*examples), no_args_is_help=True)


def epilog(*examples: str) -> str | None:
    """Examples below the help text, one to a line."""
    if not examples:
        return None
    return "\n".join(["[bold]Examples[/bold]", *(f"[cyan]{each}[/cyan]" for each in examples)])
