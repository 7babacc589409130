"""`wasmexec step checkpoint`: reading and changing checkpoints by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import outputs, parameters
from .step_support import STORE_HELP, moment, open_store, short_json, step_name, store_option
from .streams import emit
from .terminal import one_line, say

if TYPE_CHECKING:
    from ..store import Checkpoint


@click.group("checkpoint", short_help="Read or change the checkpoint of a step.", epilog=STORE_HELP)
def command() -> None:
    """Read or change the checkpoint of a step, given by its file or name.

    A change by hand counts like a run: a run that is under way cannot advance the checkpoint any more.
    """


@command.command("get", short_help="Print the checkpoint as JSON.")
@click.argument("step", metavar="FILE|NAME")
@click.option("--history", is_flag=True, help="Print all its values, the newest first.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Of --history.")
@store_option
def get(step: str, history: bool, limit: int, store_url: str | None) -> int:
    """Print the checkpoint of a step as JSON: null if there is none."""
    name = step_name(step)
    with open_store(store_url) as store:
        if not history:
            found = store.checkpoint(name)
            say(_described(found))
            emit(outputs.to_json(found.value) + "\n")
            return 0
        entries = store.checkpoint_history(name, limit=limit).checkpoints
    rows = [
        {
            "version": entry.version,
            "value": short_json(entry.value),
            "cause": entry.cause,
            "run": entry.run_id,
            "changed": moment(entry.changed_at),
        }
        for entry in entries
    ]
    outputs.write_rows(rows, "table", ("version", "value", "cause", "run", "changed"))
    return 0


@command.command("set", short_help="Store another checkpoint.")
@click.argument("step", metavar="FILE|NAME")
@click.argument("value", metavar="JSON")
@store_option
def set_value(step: str, value: str, store_url: str | None) -> int:
    """Store a checkpoint, written as JSON: 17, '"2026-11-01"', null."""
    content = parameters.json_value(value, "JSON")
    with open_store(store_url) as store:
        say(_described(store.set_checkpoint(step_name(step), content)))
    return 0


@command.command("reset", short_help="Start again: the next run sees None.")
@click.argument("step", metavar="FILE|NAME")
@store_option
def reset(step: str, store_url: str | None) -> int:
    """Remove the checkpoint: the next run sees None, as the first one did."""
    with open_store(store_url) as store:
        say(_described(store.reset_checkpoint(step_name(step))))
    return 0


def _described(checkpoint: Checkpoint) -> str:
    if checkpoint.cause == "never":
        return f"{one_line(checkpoint.step)}: no checkpoint"
    by = f"run {checkpoint.run_id}" if checkpoint.cause == "run" else checkpoint.cause
    return f"{one_line(checkpoint.step)}: version {checkpoint.version}, by {by}, {moment(checkpoint.changed_at)}"
