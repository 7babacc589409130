"""`wasmexec step`: steps are statements with schemas, a checkpoint and a history."""

from __future__ import annotations

import click

from .lazy_group import LazyGroup


@click.group(
    "step",
    cls=LazyGroup,
    names=("run", "check", "test", "history", "show", "checkpoint", "abandon", "replay", "schema", "debug"),
    module="step_{}",
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
