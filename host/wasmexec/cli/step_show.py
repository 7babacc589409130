"""`wasmexec step show`: everything about one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..result import LogRecord
from . import outputs
from .step_support import STORE_HELP, open_store, store_option
from .streams import emit, has_reader
from .terminal import clean, say, show_record

if TYPE_CHECKING:
    from ..store import RunRecord, RunStore

_PAGE = 1000


@click.command("show", short_help="Show one run: status, error, log, rows.", epilog=STORE_HELP)
@click.argument("run", metavar="RUN", type=click.IntRange(1))
@click.option("--rows", is_flag=True, help="Print the rows that the run delivered, as JSON Lines.")
@click.option("--errors", is_flag=True, help="Print the input rows that failed, as JSON Lines.")
@click.option("--log", is_flag=True, help="Print the log.")
@click.option("--definition", is_flag=True, help="Print the step file and statement of that run.")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@store_option
def command(run: int, rows: bool, errors: bool, log: bool, definition: bool, form: str, store_url: str | None) -> int:
    """Show the run with the number RUN, or one part of it."""
    if rows + errors + log + definition > 1:
        raise click.UsageError("only one of --rows, --errors, --log and --definition")
    with open_store(store_url) as store:
        record = store.get_run(run)
        if rows:
            for item in store.output(run):
                if not emit(outputs.to_json(item.row) + "\n"):
                    break
        elif errors:
            _write_errors(store, run)
        elif log:
            _write_log(store, run)
        elif definition:
            if record.definition_sha256 is None:
                say("the run has no definition on record")
            else:
                emit(store.definition(record.definition_sha256).rstrip("\n") + "\n")
        elif form == "json":
            emit(outputs.to_json(record.as_dict(), indent=True) + "\n")
        else:
            _write_record(record)
    return 0


def _write_record(record: RunRecord) -> None:
    for name, value in record.as_dict().items():
        if value is None or value in ({}, [], ""):
            continue
        text = value if isinstance(value, str) else outputs.to_json(value)
        emit(clean(f"{name.replace('_', ' '):<26}{text}") + "\n")


def _write_errors(store: RunStore, run: int) -> None:
    after: int | None = 0
    while after is not None and has_reader():
        page = store.row_errors(run, after=after, limit=_PAGE)
        for item in page.errors:
            emit(outputs.to_json({"row": item.row, "status": int(item.status), "error": item.error}) + "\n")
        after = page.next_after


def _write_log(store: RunStore, run: int) -> None:
    after: int | None = 0
    while after is not None:
        page = store.logs(run, after=after, limit=_PAGE)
        for item in page.records:
            prefix = "" if item.execution is None else f"[row {item.execution}] "
            show_record(LogRecord(item.time, item.level, prefix + item.message))
        after = page.next_after
