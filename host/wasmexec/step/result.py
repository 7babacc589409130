"""What a run of a step leaves behind."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import WasmexecError
from ..result import LogRecord, Usage
from ..status import Status

MAX_KEPT_FAILURES = 1000


class StepLog(NamedTuple):
    """A log record of one of a run's executions."""

    row: int | None
    """Index (from 0) of the input row whose execution wrote it; None in bulk, and without an input."""
    record: LogRecord
    """The record itself: time, level and message."""

    def as_dict(self) -> dict[str, object]:
        """The record as JSON-able values."""
        return {**self.record.as_dict(), "row": self.row}


@dataclass(frozen=True, slots=True)
class RowFailure:
    """An input row whose execution failed, or that was refused before it began."""

    row: int
    """Index of the input row, from 0."""
    status: Status
    """How its execution ended; 307 (INPUT_REFUSED) if the row never reached the statement."""
    error: WasmexecError
    """Why, masked."""

    def as_dict(self) -> dict[str, object]:
        """The failure as JSON-able values: pointer, rule and value are those of the error, if it has them."""
        return {"row": self.row, "status": int(self.status), "error": error_as_dict(self.error)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """Outcome of one run of a step; a failed one is a result too, see `raise_for_status`."""

    step: str
    """Name of the step, under which runs and checkpoints are stored."""
    status: Status
    """How the run ended: 2xx if its rows were accepted."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """The accepted rows in input order; empty if the run failed, or if they went to an `output`."""
    source_rows: Sequence[int] = field(default_factory=lambda: array("q"))
    """For each of `rows` the index (from 0) of the input row that it came from; empty in bulk."""
    rows_in: int = 0
    """Input rows that were read: all, unless the run ended early; 0 without an input, or for one that is no list."""
    rows_out: int = 0
    """Accepted rows, wherever they went; 0 if the run failed."""
    rows_failed: int = 0
    """Row by row, input rows that failed or were refused; in bulk always 0."""
    executions: int = 0
    """Executions of the statement whose outcome was taken; those that an early end cancelled are not among them."""
    failures: list[RowFailure] = field(default_factory=list)
    """The first 1,000 of `rows_failed`, in input order; empty in bulk."""
    error: WasmexecError | None = None
    """Why the run failed, masked; None if it did not, even if rows were skipped."""
    logs: list[StepLog] = field(default_factory=list)
    """Log records in input order, the first 10,000 and some warnings and errors beyond; also of a run that failed."""
    log_dropped: int = 0
    """Log records that are not in `logs`: cut by a limit of their execution, or beyond what is kept."""
    warnings: list[str] = field(default_factory=list)
    """Each warning of the inputs and executions once, with the number of executions that had it; at most 100."""
    usage: Usage = field(default_factory=Usage)
    """Sums over all executions; `peak_memory_bytes` is the most that one of them had."""
    checkpoint: object = None
    """What the next run sees as DATA_CHECKPOINT, a JSON value; None if there never was one."""
    checkpoint_advanced: bool = False
    """Whether this run set `checkpoint`; False if it failed, had no rows or the step has no `checkpoint_column`."""
    local_variables: dict[str, object] = field(default_factory=dict)
    """Values by name, secrets left out: updated from the last row if the run succeeded, else those at its start.

    Empty if the step has none, or if the run was refused before they were known.
    """
    seconds: float = 0.0
    """From the call until the outcome was known; putting it on record and delivering the rows comes after that."""
    run_id: int | None = None
    """Number of the run in the store; None without a store."""

    def raise_for_status(self) -> None:
        """Raise `error` if the run failed, else do nothing."""
        if self.error is not None:
            raise self.error

    def as_dict(self) -> dict[str, object]:
        """The whole record as JSON-able values."""
        return {
            "step": self.step,
            "run_id": self.run_id,
            "status": int(self.status),
            "rows": self.rows,
            "source_rows": list(self.source_rows),
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "rows_failed": self.rows_failed,
            "executions": self.executions,
            "failures": [failure.as_dict() for failure in self.failures],
            "error": None if self.error is None else error_as_dict(self.error),
            "logs": [record.as_dict() for record in self.logs],
            "log_dropped": self.log_dropped,
            "warnings": self.warnings,
            "usage": self.usage.as_dict(),
            "checkpoint": self.checkpoint,
            "checkpoint_advanced": self.checkpoint_advanced,
            "local_variables": self.local_variables,
            "seconds": round(self.seconds, 6),
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a row-by-row run is."""

    rows_read: int
    """Input rows that were read, those under way included."""
    rows_done: int
    """Input rows whose outcome has been taken, in order."""
    rows_failed: int
    """Those of `rows_done` that failed or were refused."""
    fraction: float | None
    """How much of the input is done, from 0 to 1; None when its size is not known."""
    seconds: float
    """Since the run began to read rows."""


def error_as_dict(error: WasmexecError) -> dict[str, object]:
    """Type, message and fields of an error as JSON-able values."""
    return {"type": type(error).__name__, "message": error.message, **error.fields()}
