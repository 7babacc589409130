"""Repeating a recorded run of a step: without network and waiting, to the same rows, or showing what is different."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._finishing.long_inputs import LongInputs
from ..errors import ConfigError
from ..executor import Executor
from ..recording import Recording
from ..replay import ReplayReport
from ..result import Result
from ..rows.intake import row_error
from ..rows.long_rows import LongRowsError
from ..secret import Secret
from .file.definition import StepDefinition
from .result import error_as_dict
from .running.row_by_row import REFUSED

if TYPE_CHECKING:
    from ..prepared import Prepared
    from ..store import RecordedPart, RunStore


@dataclass(frozen=True, slots=True)
class ReplayedExecution:
    """One execution again: row by row `execution` is the index of the input row, in bulk 0."""

    execution: int
    result: Result

    @property
    def report(self) -> ReplayReport | None:
        """What was different; None if the execution was refused before it began."""
        return self.result.replay

    @property
    def is_identical(self) -> bool:
        """The same requests, status, rows and log."""
        return self.report is not None and self.report.is_identical


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """An input row that never reached the statement: `error` was the reason, `error_now` is what the schema says now.

    A row that is not even JSON is refused by every schema: then they are the same.
    """

    row: int
    error: Mapping[str, object]
    error_now: Mapping[str, object] | None

    @property
    def is_identical(self) -> bool:
        """It is refused for the same reason."""
        now = self.error_now
        return now is not None and all(now.get(name) == self.error.get(name) for name in ("type", "pointer", "rule"))


@dataclass(frozen=True, slots=True)
class StepReplay:
    """A run again, execution by execution, and the rows that the input schema refused.

    `incomplete` says why the recording has not all of them; empty if it has.
    """

    run_id: int
    executions: list[ReplayedExecution]
    refused: list[RefusedRow]
    incomplete: str = ""

    @property
    def is_identical(self) -> bool:
        """Every execution and every refused row is, and none is missing."""
        if self.incomplete:
            return False
        return all(item.is_identical for item in self.executions) and all(item.is_identical for item in self.refused)


def replay_run(
    definition: StepDefinition,
    store: RunStore,
    run_id: int,
    executor: Executor,
    secrets: Mapping[str, str | Secret] | None = None,
) -> StepReplay:
    """Repeat every recorded execution of a run with the statement that the step has now; nothing is stored.

    Raises:
        RunNotFoundError, RecordingNotFoundError: there is no such run, or it was not recorded.
        ConfigError: the recording is damaged, nothing was executed, or a secret has no value.
        StoreError: the run store is damaged.
    """
    recording = store.recording(run_id)
    given = secrets or {}
    values = {
        name: source.bind(given[name] if name in given else source.read(name))
        for name, source in definition.secrets.items()
    }
    prepared = executor.prepare(
        definition.statement.text, output_schema=definition.output.prepared, limits=definition.limits,
        grants=definition.grants, secrets=values or None,
    )  # fmt: skip
    executions: list[ReplayedExecution] = []
    refused: list[RefusedRow] = []
    with closing(LongInputs()) as long_rows:
        for number, parts in _recorded(store, run_id):
            if parts[0].kind == REFUSED:
                refused.append(_check(definition, parts[0], long_rows))
            elif any(part.kind == "clock" for part in parts):
                executions.append(_replay(prepared, number, parts))
    run = store.get_run(run_id)
    if not executions and not refused and run.error is not None:
        reason = run.error.get("message") or run.error.get("type")
        raise ConfigError(f"nothing of run {run_id} was executed, so nothing can be repeated; it ended with: {reason}")
    executions.sort(key=lambda item: item.execution)
    return StepReplay(run_id, executions, refused, recording.incomplete_reason)


def _recorded(store: RunStore, run_id: int) -> Iterator[tuple[int, list[RecordedPart]]]:
    """The parts of each execution, as the executions ended; read once, so that a long recording takes no longer."""
    under_way: dict[int, list[RecordedPart]] = {}
    for part in store.recorded_parts(run_id):
        under_way.setdefault(part.execution, []).append(part)
        if part.kind in ("result", REFUSED):
            yield part.execution, under_way.pop(part.execution)
    # Where the recording broke off.
    yield from under_way.items()


def _check(definition: StepDefinition, part: RecordedPart, long_rows: LongInputs) -> RefusedRow:
    error_now: Mapping[str, object] | None = part.meta
    if part.payload:
        try:
            error = row_error(part.payload, definition.input_schema(0), "INPUT_DATA", part.execution, long_rows)
        except ValueError as wrong:
            raise ConfigError(f"the recording is damaged: row {part.execution} is not JSON: {wrong}") from None
        except LongRowsError as lost:
            reason = str(lost) or "it has too many values"
            raise ConfigError(f"row {part.execution} of the recording cannot be checked: {reason}") from None
        error_now = None if error is None else error_as_dict(error)
    return RefusedRow(part.execution, part.meta, error_now)


def _replay(prepared: Prepared, number: int, parts: list[RecordedPart]) -> ReplayedExecution:
    recording = Recording.from_parts(
        [part for part in parts if part.kind != "http"], [part.as_exchange() for part in parts if part.kind == "http"]
    )
    return ReplayedExecution(number, prepared.run(replay=recording))
