"""`wasmexec step run`: one run of a step, its rows to standard output or a file."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import DeliveryError
from ..status import Status
from ..step import Spool
from . import exit_codes, inputs, network_options, outputs, parameters, report
from .step_support import EXIT_CODES, STORE_HELP, folder_option, open_store, schema_notes, short_json, store_option
from .streams import emit
from .terminal import clean, note, say, show_record, style, warn

if TYPE_CHECKING:
    from ..step import Progress, Step, StepLog, StepResult

_SHOWN_FAILURES = 10
_LONG_SECONDS = 5.0


@click.command(
    "run",
    short_help="Run a step once.",
    epilog=EXIT_CODES
    + "\n"
    + STORE_HELP
    + "\n"
    + network_options.WAY_HELP
    + """
Examples:

\b
  wasmexec step run orders.step.yaml --input orders.csv --output totals.jsonl
  wasmexec step run join.step.yaml --input orders.jsonl --input2 customers.parquet
  wasmexec step run rates.step.yaml --proxy env --ca-file company.pem
  wasmexec step run since.step.yaml --format table --local Region='"north"'
""",
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@inputs.input_options
@outputs.output_option
@outputs.format_option
@outputs.escape_option
@click.option("--row-column", metavar="NAME", help="Add a column with the index of the input row each row came from.")
@click.option("--checkpoint", metavar="JSON", help="DATA_CHECKPOINT instead of the stored one.")
@click.option(
    "--local", "local_variables", metavar="NAME=JSON", multiple=True, type=parameters.PairType(),
    help="A local variable instead of its initial value.",
)  # fmt: skip
@network_options.way_options
@store_option
@click.option("--no-store", is_flag=True, help="Keep no record: no checkpoint is read or stored.")
@click.option("--record", is_flag=True, help="Keep all that decides the run, for `step replay`; runs in one process.")
@click.option("--processes", metavar="COUNT", type=click.IntRange(1, 64), help="Worker processes for long inputs.")
@click.option("--result", "whole_result", is_flag=True, help="Print everything about the run as one JSON object.")
@click.option("--image", metavar="NAME|FILE", help="Guest image [default: the step's, else full, else core].")
@folder_option
def command(file: Path, **values: Any) -> int:
    """Run the step in FILE once: rows to standard output, log lines and a summary to standard error.

    The run, its rows and the checkpoint are stored in one transaction; only then are the rows delivered. Ctrl-C
    cancels.
    """
    from ..step import Step

    if values["whole_result"] and (values["output"] or values["form"] not in (None, "json")):
        raise click.UsageError("--result prints one JSON object with the rows in it: drop --output and --format")
    if values["no_store"] and (values["store_url"] or values["record"]):
        raise click.UsageError("--no-store goes with neither --store nor --record")
    step = network_options.step_on_way(Step.load(file, allow_folders=values["allow_folders"]), values)
    for text in schema_notes(step):
        note(text)
    options = _options(values)
    form = values["form"] or outputs.form_by_name(values["output"])
    outputs.refuse_escape(form, escape_formulas=values["escape_formulas"])
    target = outputs.destination(values["output"])
    names = step.definition.output.prepared.column_names
    if values["row_column"] is not None and values["row_column"] in (names or ()):
        raise click.UsageError(f"--row-column {values['row_column']}: the rows have a column of this name themselves")
    keeps_rows = values["whole_result"] or form == "table"
    if not keeps_rows:
        options["output"] = _Rows(
            target, form, column_names=names, row_column=values["row_column"], escape_formulas=values["escape_formulas"]
        )
    from ..executor import Executor

    before = None
    with Executor(values["image"] or step.definition.image) as executor:
        if values["no_store"]:
            result = _run(step, executor, options)
        else:
            with open_store(values["store_url"]) as store:
                before = store.checkpoint(step.name).value
                result = _run(step, executor, {**options, "store": store})
    _report(step, result, before)
    if values["whole_result"]:
        with _on_record(result):
            emit(outputs.to_json(result.as_dict(), indent=True) + "\n")
    elif keeps_rows and result.status.succeeded:
        with _on_record(result):
            outputs.write_rows(*_with_row_column(result, names, values["row_column"]), target)
    return exit_codes.exit_code(result.status)


def _with_row_column(
    result: StepResult, names: Sequence[str] | None, column: str | None
) -> tuple[list[dict[str, Any]], str, Sequence[str] | None]:
    if column is None:
        return result.rows, "table", names
    sources: Sequence[int | None] = result.source_rows or [None] * len(result.rows)
    rows = [{column: source, **row} for source, row in zip(sources, result.rows, strict=True)]
    return rows, "table", [column, *(names or ())]


@contextmanager
def _on_record(result: StepResult) -> Iterator[None]:
    try:
        yield
    except DeliveryError as error:
        raise DeliveryError(error.target, error.reason, run_id=result.run_id) from error


def _options(values: dict[str, Any]) -> dict[str, Any]:
    sources = inputs.sources(values)
    if sources.count("-") > 1:
        raise click.UsageError("standard input (-) can be one input only")
    how = inputs.read_options(values)
    paths = [None if source is None else Path(source) for source in sources]
    texts = parameters.unique(values["local_variables"], "--local")
    options: dict[str, Any] = {
        "input_data": paths[0] if paths else None,
        "extra_inputs": paths[1:],
        "input_format": how.form,
        "input_encoding": how.encoding,
        "input_delimiter": how.delimiter,
        "local_variables": {name: parameters.json_value(text, "--local") for name, text in texts.items()},
        "processes": values["processes"],
        "record": values["record"],
        "trigger": "cli",
        "on_log": _show_log,
        "on_progress": _ProgressLine(),
    }
    if values["checkpoint"] is not None:
        options["checkpoint"] = parameters.json_value(values["checkpoint"], "--checkpoint")
    return options


class _Rows(Spool):
    """The rows on their way out of the command."""

    def commit(self) -> None:
        """Deliver; an interrupt ends that, there is no run to be cancelled any more."""
        _interruptible()
        super().commit()


def _interruptible() -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _run(step: Step, executor: Any, options: dict[str, Any]) -> StepResult:
    from ..step import Cancellation

    cancellation = Cancellation()
    gate = threading.Lock()
    gate.acquire()

    def cancel() -> None:
        with gate:
            cancellation.cancel()

    def on_signal(*_: object) -> None:
        # A second one is not waited for. A handler must take no locks, which this thread may hold: another one cancels.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if gate.locked():
            gate.release()

    threading.Thread(target=cancel, name="wasmexec-step-cancel", daemon=True).start()
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    try:
        return step.run(executor=executor, cancellation=cancellation, **options)
    finally:
        options["on_progress"].clear()
        _interruptible()


def _show_log(item: StepLog) -> None:
    record = item.record
    if item.row is not None:
        record = type(record)(record.time, record.level, f"[row {item.row}] {record.message}")
    show_record(record)


class _ProgressLine:
    """One line that is written over on a terminal; else a line every few seconds."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._shown = False
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        if not self._on_terminal and progress.seconds - self._last < _LONG_SECONDS:
            return
        self._last = progress.seconds
        rate = progress.rows_done / progress.seconds if progress.seconds else 0.0
        text = f"{progress.rows_done:,} rows, {rate:,.0f}/s"
        if progress.fraction:
            left = progress.seconds * (1 - progress.fraction) / progress.fraction
            text += f", {progress.fraction:.0%}, {left:,.0f} s left"
        if progress.rows_failed:
            text += f", {progress.rows_failed:,} failed"
        if not self._on_terminal:
            say(text)
            return
        self._shown = True
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _report(step: Step, result: StepResult, before: object) -> None:
    statement = step.definition.statement
    shown = statement.file if statement.first_line == 1 else f"{statement.file} (statement)"
    for text in result.warnings:
        warn(text)
    if result.log_dropped:
        warn(
            f"{result.log_dropped:,} log records were dropped: `limits` in the step file has log_records and log_bytes"
        )
    for failure in result.failures[:_SHOWN_FAILURES]:
        report.show_failure(failure.error, failure.status, shown, statement.text, prefix=f"input row {failure.row}: ")
    if result.rows_failed > _SHOWN_FAILURES:
        note(f"{result.rows_failed - _SHOWN_FAILURES:,} more rows failed" + _where(result))
    if result.error is not None and not any(failure.error is result.error for failure in result.failures):
        report.show_failure(result.error, result.status, shown, statement.text)
    errors = [*(failure.error for failure in result.failures), result.error]
    report.advise(errors, (item.record for item in result.logs), in_step=True)
    say(style(clean(_summary(result, before)), fg="green" if result.status.succeeded else "red"))


def _where(result: StepResult) -> str:
    return "" if result.run_id is None else f": wasmexec step show {result.run_id}"


def _summary(result: StepResult, before: object) -> str:
    name = Status(result.status).name.lower().replace("_", " ")
    parts = [f"{result.step}: {int(result.status)} {name}", f"{result.rows_in:,} rows in", f"{result.rows_out:,} out"]
    if result.rows_failed:
        parts.append(f"{result.rows_failed:,} failed")
    if result.checkpoint_advanced:
        parts.append(f"checkpoint {short_json(before)} -> {short_json(result.checkpoint)}")
    if result.run_id is not None:
        parts.append(f"run {result.run_id}")
    return ", ".join(parts) + f" ({result.seconds:.2f} s)"
