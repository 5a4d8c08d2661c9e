"""How help pages show parameters: values by their names, flags by nothing, never the types of the language."""

from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption


class Command(TyperCommand):
    """A command with such a help page, and with refusals in plain words."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer's own, but a refusal does not say by which class of the program it was made."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as refusal:
            refusal.message = refusal.message.removeprefix("Value error, ")
            raise

    def get_params(self, ctx: Any) -> Any:
        """The parameters, as the help page shows them."""
        return [_shown(each) for each in super().get_params(ctx)]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line; required arguments stand without braces."""
        return [each.strip("{}") for each in super().collect_usage_pieces(ctx)]


class Group(TyperGroup):
    """A group of commands with such a help page."""

    def get_params(self, ctx: Any) -> Any:
        """The parameters, as the help page shows them."""
        return [_shown(each) for each in super().get_params(ctx)]


class Commands(typer.Typer):
    """Collects commands whose help pages are such."""

    def command(self, name: str | None = None, **settings: Any) -> Any:
        """As typer's own."""
        return super().command(name, cls=Command, **settings)


def _shown(parameter: Any) -> Any:
    """`parameter` without its type, which for a flag would stand where other options name their value."""
    if isinstance(parameter, TyperOption) and parameter.is_flag:
        parameter.metavar = ""
    elif isinstance(parameter, TyperArgument):
        parameter.display_type_rich = _no_type
    return parameter


def _no_type(ctx: Any) -> str | None:  # noqa: ARG001
    return None
