"""`wasmexec step`: steps are statements with schemas, a checkpoint and a history."""

from __future__ import annotations

import importlib
from typing import cast

import click

_COMMANDS = ("run", "check", "test", "history", "show", "checkpoint", "abandon", "replay", "schema", "debug")


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"{__package__}.step_{cmd_name}")
        return cast("click.Command", module.command)


@click.group(
    "step",
    cls=_LazyGroup,
    short_help="Run a step: schemas, checkpoint, several inputs, history.",
    epilog="""\
Examples:

\b
  wasmexec step run orders.step.yaml --input orders.csv --output totals.jsonl
  wasmexec step check orders.step.yaml
  wasmexec step test orders.step.yaml
  wasmexec step history orders.step.yaml
  wasmexec step checkpoint get orders.step.yaml
  wasmexec step replay 17
  wasmexec step schema > step.schema.json
""",
)
def command() -> None:
    """Run, test and look back at steps.

    A step file is YAML or JSON: a statement with its inputs, output schema, processing, checkpoint column, local
    variables, limits, grants and secrets. Checkpoints and history are kept in the run store.
    """
