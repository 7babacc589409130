"""A command group that imports a command when it is used, because start-up time is part of every run."""

from __future__ import annotations

import importlib
from typing import Any, cast

import click


class LazyGroup(click.Group):
    """The commands `names`; each is the `command` of a module beside this one, whose name `module` gives: "step_{}"."""

    def __init__(self, *arguments: Any, names: tuple[str, ...], module: str, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._names = names
        self._module = module

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of the help."""
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them; None if there is no such command."""
        if cmd_name not in self._names:
            return None
        module_name = self._module.format(cmd_name.replace("-", "_"))
        module = importlib.import_module(f"{__package__}.{module_name}")
        return cast("click.Command", module.command)
