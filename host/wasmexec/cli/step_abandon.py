"""`wasmexec step abandon`: ending the record of runs that nobody will finish."""

from __future__ import annotations

import click

from .step_support import STORE_HELP, open_store, store_option
from .terminal import clean, say


@click.command(
    "abandon",
    short_help="End runs on record whose process is gone.",
    epilog="""\
When is this needed?

\b
  A run whose process was killed stays "running" in `step history` and `step show`. The next run of the step ends it,
  if the process was one of this machine. Runs of a machine that is gone (or of a container that was thrown away)
  stay "running" until they are abandoned by hand.

What does it do?

\b
  The run is "abandoned" from then on: what it had stored of its rows is dropped, its log stays. The checkpoint is not
  touched, nothing waits for a running run. Should the run be alive after all, it cannot end any more: it delivers
  nothing and says that it was abandoned. One that is seen to live on this machine is left alone without --force.

Examples:

\b
  wasmexec step history orders                     which are running, since when
  wasmexec step show 17                            process: the machine and the number of its process
  wasmexec step abandon 17 --reason "host db3 was scrapped"
  wasmexec step abandon --dead                     all whose process died on this machine
"""
    "\n" + STORE_HELP,
)
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=click.IntRange(1))
@click.option("--dead", is_flag=True, help="All runs, of all steps, whose process died on this machine.")
@click.option("--reason", default="", metavar="TEXT", help="Kept in the record of the run.")
@click.option("--force", is_flag=True, help="Also a run whose process lives on this machine.")
@store_option
def command(runs: tuple[int, ...], dead: bool, reason: str, force: bool, store_url: str | None) -> int:
    """End the record of the runs with these numbers, which nobody will finish."""
    if dead == bool(runs):
        raise click.UsageError("give the numbers of runs, or --dead: `wasmexec step history` shows which are running")
    with open_store(store_url, create=False) as store:
        if dead:
            found = store.abandon_dead()
            say(f"abandoned: {', '.join(f'run {number}' for number in found) or 'none'}")
            return 0
        for number in runs:
            record = store.abandon(number, reason, even_if_alive=force)
            say(clean(f"abandoned: run {number} of {record.step}, started {record.started_at:%Y-%m-%d %H:%M} UTC"))
    return 0
