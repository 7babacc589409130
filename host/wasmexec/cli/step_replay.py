"""`wasmexec step replay`: a recorded run again, without network, to the same rows or with what is different."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError
from . import outputs
from .step_support import STORE_HELP, folder_option, open_store, short_json, store_option
from .streams import emit
from .terminal import clean, note, say, style

if TYPE_CHECKING:
    from ..step.replaying import RefusedRow, ReplayedExecution, StepReplay

_DIFFERENT = 1
_SHOWN = 20


@click.command(
    "replay",
    short_help="Repeat a recorded run, without network.",
    epilog="""\
Exit codes:

\b
  0  the same requests, rows and log, byte for byte
  1  something is different, or the recording is incomplete
  2  there is no such run or recording, or the step file is wrong
"""
    "\n" + STORE_HELP,
)
@click.argument("run", metavar="RUN", type=click.IntRange(1))
@click.option("--step", "file", metavar="FILE", type=click.Path(path_type=Path), help="Step file [default: the run's].")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
@store_option
@click.option("--image", metavar="NAME|FILE", help="Guest image [default: the step's, else full, else core].")
@folder_option
def command(
    run: int, file: Path | None, form: str, store_url: str | None, image: str | None, allow_folders: tuple[Path, ...]
) -> int:
    """Repeat the run RUN, recorded by `step run --record`, with its input, checkpoint, clock, randomness and answers.

    The statement is the one that the step file has now: after an edit, what changed in requests and rows is shown.
    Rows that the input schema refused are checked by the schema that the file has now.
    """
    from ..executor import Executor
    from ..step import Step
    from ..step.replaying import replay_run
    from ..store.errors import RecordingNotFoundError, RunNotFoundError

    with open_store(store_url, create=False) as store:
        try:
            record = store.get_run(run)
        except RunNotFoundError as error:
            raise ConfigError(error.message) from None
        known = record.attributes.get("file")
        if file is None and not isinstance(known, str):
            raise ConfigError(f"run {run} does not say where its step file is: add --step FILE")
        step = Step.load(file or str(known), allow_folders=allow_folders)
        if step.name != record.step:
            raise ConfigError(f"run {run} belongs to the step {record.step!r}, not to {step.name!r}")
        with Executor(image or step.definition.image) as executor:
            try:
                replay = replay_run(step.definition, store, run, executor)
            except RecordingNotFoundError as error:
                raise ConfigError(error.message) from None
    if form == "json":
        _write_json(replay)
    else:
        _write_text(replay)
    different = sum(not item.is_identical for item in replay.executions)
    different += sum(not item.is_identical for item in replay.refused)
    count = f"{len(replay.executions):,} execution{'' if len(replay.executions) == 1 else 's'}"
    if replay.refused:
        count += f" and {len(replay.refused):,} refused row{'' if len(replay.refused) == 1 else 's'}"
    verdict = f"{different:,} different" if different else "all as recorded"
    if replay.incomplete:
        note(f"the recording is incomplete, there were more executions: {replay.incomplete}")
    say(style(f"run {run}: {count}, {verdict}", fg="green" if replay.is_identical else "red"))
    return 0 if replay.is_identical else _DIFFERENT


def _write_json(replay: StepReplay) -> None:
    items = [
        {"execution": item.execution, "report": None if item.report is None else item.report.as_dict()}
        for item in replay.executions
    ]
    refused = [{"row": item.row, "error": item.error, "error_now": item.error_now} for item in replay.refused]
    record = {
        "run_id": replay.run_id, "is_identical": replay.is_identical, "executions": items, "refused": refused,
        "incomplete": replay.incomplete,
    }  # fmt: skip
    emit(outputs.to_json(record, indent=True) + "\n")


def _write_text(replay: StepReplay) -> None:
    different = [item for item in replay.executions if not item.is_identical]
    for item in different[:_SHOWN]:
        emit(clean("\n".join(_lines(item))) + "\n")
    if len(different) > _SHOWN:
        say(f"{len(different) - _SHOWN:,} more executions are different")
    changed = [item for item in replay.refused if not item.is_identical]
    for refused in changed[:_SHOWN]:
        emit(clean("\n".join(_refused_lines(refused))) + "\n")
    if len(changed) > _SHOWN:
        say(f"{len(changed) - _SHOWN:,} more refused rows are different")


def _refused_lines(item: RefusedRow) -> list[str]:
    was = f"input row {item.row} was refused: {item.error['message']}"
    if item.error_now is None:
        return [was, "  the input takes it now; what the statement makes of it only a new run can tell"]
    return [was, f"  now: {item.error_now['message']}"]


def _lines(item: ReplayedExecution) -> list[str]:
    report = item.report
    if report is None:
        return [f"execution {item.execution}: {item.result.error}"]
    lines = [f"execution {item.execution}:" + (" the statement was edited" if report.is_statement_changed else "")]
    if report.recorded_status not in (None, report.status):
        lines.append(f"  status {report.recorded_status} -> {report.status}")
        if item.result.error is not None:
            lines.append(f"    {item.result.error.message.splitlines()[0]}")
    for request in report.requests:
        parts = f" ({', '.join(request.parts)})" if request.parts else ""
        lines.append(f"  request {request.kind}: {request.method} {request.url}{parts}")
        if "url" in request.parts:
            lines.append(f"    was {request.recorded_url}")
    for row in report.rows[:_SHOWN]:
        lines.append(f"  row {row.kind}:")
        lines += [f"    - {short_json(row.recorded_row, 100)}"] * (row.recorded is not None)
        lines += [f"    + {short_json(row.row, 100)}"] * (row.replayed is not None)
    if report.row_difference_count > _SHOWN:
        lines.append(f"  {report.row_difference_count - _SHOWN:,} more rows differ")
    if report.is_log_identical is False:
        lines.append("  the log differs")
    return lines
