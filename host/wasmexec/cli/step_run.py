"""`wasmexec step run`: one run of a step, its rows to standard output or a file."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..result import Result
from ..status import Status
from . import exit_codes, outputs, parameters, report
from .step_support import EXIT_CODES, STORE_HELP, open_store, schema_notes, short_json, store_option
from .terminal import clean, note, say, show_record, style, warn

if TYPE_CHECKING:
    from ..step import Progress, Step, StepLog, StepResult

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])
_LAST_INPUT = 9
_SHOWN_FAILURES = 10
_INPUT_FORMATS = ("json", "jsonl", "csv", "parquet")
_LONG_SECONDS = 5.0


def _input_options(function: _Decorated) -> _Decorated:
    for number in range(_LAST_INPUT, 1, -1):
        function = click.option(
            f"--input{number}", metavar="FILE|-", hidden=number > 2,
            help=f"A second input: INPUT_DATA2; and so on to --input{_LAST_INPUT}.",
        )(function)  # fmt: skip
    return click.option("--input", "input1", metavar="FILE|-", help="The input: INPUT_DATA (None without it).")(
        function
    )


@click.command(
    "run",
    short_help="Run a step once.",
    epilog=EXIT_CODES
    + "\n"
    + STORE_HELP
    + """
Examples:

\b
  wasmexec step run orders.step.yaml --input orders.csv --output totals.jsonl
  wasmexec step run join.step.yaml --input orders.jsonl --input2 customers.parquet
  wasmexec step run since.step.yaml --format table --local Region='"north"'
""",
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@_input_options
@click.option(
    "--input-format", type=click.Choice(_INPUT_FORMATS), help="Of inputs whose names do not tell; else JSON for -."
)
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), help="Write the rows there, all or none.")
@click.option(
    "--format",
    "form",
    type=click.Choice(outputs.FORMATS),
    help="Rows as [default: by the name of --output, else json].",
)
@click.option("--row-column", metavar="NAME", help="Add a column with the index of the input row each row came from.")
@click.option("--checkpoint", metavar="JSON", help="DATA_CHECKPOINT instead of the stored one.")
@click.option(
    "--local", "local_variables", metavar="NAME=JSON", multiple=True, type=parameters.PairType(),
    help="A local variable instead of its initial value.",
)  # fmt: skip
@store_option
@click.option("--no-store", is_flag=True, help="Keep no record: no checkpoint is read or stored.")
@click.option("--record", is_flag=True, help="Keep all that decides the run, for `step replay`; runs in one process.")
@click.option("--processes", metavar="COUNT", type=click.IntRange(1, 64), help="Worker processes for long inputs.")
@click.option("--result", "whole_result", is_flag=True, help="Print everything about the run as one JSON object.")
@click.option("--image", metavar="NAME|FILE", help="Guest image [default: the step's, else full, else core].")
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
    step = Step.load(file)
    for text in schema_notes(step):
        note(text)
    options = _options(values)
    keeps_rows = values["whole_result"] or values["form"] == "table"
    spool = None if keeps_rows else _spool(step, values)
    if spool is not None:
        options["output"] = spool
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
        sys.stdout.write(outputs.to_json(result.as_dict(), indent=True) + "\n")
    elif keeps_rows and result.status.succeeded:
        outputs.write_rows(result.rows, values["form"], step.definition.output.prepared.column_names)
    return exit_codes.exit_code(result.status)


def _options(values: dict[str, Any]) -> dict[str, Any]:
    sources = [values[f"input{number}"] for number in range(1, _LAST_INPUT + 1)]
    if sources.count("-") > 1:
        raise click.UsageError("standard input (-) can be one input only")
    while sources and sources[-1] is None:
        sources.pop()
    paths = [None if source is None else Path(source) for source in sources]
    texts = parameters.unique(values["local_variables"], "--local")
    options: dict[str, Any] = {
        "input_data": paths[0] if paths else None,
        "extra_inputs": paths[1:],
        "input_format": values["input_format"],
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


def _spool(step: Step, values: dict[str, Any]) -> Any:
    from ..step import Spool

    form, target = values["form"], values["output"]
    if form is None:
        form = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}.get(
            target.suffix.lower() if target else "", "json"
        )
    names = step.definition.output.prepared.column_names
    return Spool(target or sys.stdout.buffer, form, column_names=names, row_column=values["row_column"])


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
    result = step.run(executor=executor, cancellation=cancellation, **options)
    options["on_progress"].clear()
    return result


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
        warn(f"{result.log_dropped:,} log records were dropped: limits log_records and log_bytes")
    for failure in result.failures[:_SHOWN_FAILURES]:
        report.show_failure(failure.error, failure.status, shown, statement.text, f"input row {failure.row}: ")
    if result.rows_failed > _SHOWN_FAILURES:
        note(f"{result.rows_failed - _SHOWN_FAILURES:,} more rows failed" + _where(result))
    if result.error is not None and not any(failure.error is result.error for failure in result.failures):
        report.report(Result(status=result.status, error=result.error), shown, statement.text)
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
