"""`wasmexec step history`: the runs of a step, the newest first."""

from __future__ import annotations

import click

from . import outputs
from .step_support import STORE_HELP, moment, open_store, short_json, step_name, store_option
from .streams import emit
from .terminal import clean, say

_MOST = 1000


@click.command("history", short_help="List the runs of a step.", epilog=STORE_HELP)
@click.argument("step", metavar="[FILE|NAME]", required=False)
@click.option("--limit", type=click.IntRange(1, _MOST), default=20, show_default=True, help="How many runs.")
@click.option("--format", "form", type=click.Choice(("table", "json", "jsonl")), default="table", show_default=True)
@store_option
def command(step: str | None, limit: int, form: str, store_url: str | None) -> int:
    """List the runs of a step, given by its file or name, or of all steps; the newest first."""
    with open_store(store_url) as store:
        runs = store.runs(None if step is None else step_name(step), limit=limit).runs
    if form == "json":
        emit(outputs.to_json([run.as_dict() for run in runs], indent=True) + "\n")
        return 0
    if form == "jsonl":
        emit("".join(outputs.to_json(run.as_dict()) + "\n" for run in runs))
        return 0
    rows = [
        {
            "run": run.run_id,
            "step": run.step,
            "started": moment(run.started_at),
            "seconds": None if run.wall_seconds is None else round(run.wall_seconds, 2),
            "status": run.state if run.status is None else f"{int(run.status)} {run.status_name}",
            "in": run.rows_in,
            "out": run.rows_out,
            "failed": run.rows_failed,
            "checkpoint": None if run.checkpoint_version_after is None else short_json(run.checkpoint_after, 30),
        }
        for run in runs
    ]
    if not rows:
        say("no runs" if step is None else f"no runs of {clean(step)}")
        return 0
    outputs.write_rows(rows, "table", None)
    return 0
