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
    """A log record and the input row (from 0) whose execution wrote it; None in bulk."""

    row: int | None
    record: LogRecord

    def as_dict(self) -> dict[str, object]:
        """The record as JSON-able values."""
        return {**self.record.as_dict(), "row": self.row}


@dataclass(frozen=True, slots=True)
class RowFailure:
    """An input row (from 0) whose execution failed, and how."""

    row: int
    status: Status
    error: WasmexecError

    def as_dict(self) -> dict[str, object]:
        """The failure as JSON-able values: pointer, rule and value are those of the error, if it has them."""
        return {"row": self.row, "status": int(self.status), "error": error_as_dict(self.error)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """Outcome of one run of a step; a failed one is a result too, see `raise_for_status`.

    `rows` is empty when they went to an `output`; `source_rows` has, row by row, the index of the input row that each
    came from. `failures` holds the first 1,000 of `rows_failed`. `checkpoint` is what the next run will see.
    """

    step: str
    status: Status
    rows: list[dict[str, Any]] = field(default_factory=list)
    source_rows: Sequence[int] = field(default_factory=lambda: array("q"))
    rows_in: int = 0
    rows_out: int = 0
    rows_failed: int = 0
    executions: int = 0
    failures: list[RowFailure] = field(default_factory=list)
    error: WasmexecError | None = None
    logs: list[StepLog] = field(default_factory=list)
    log_dropped: int = 0
    warnings: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    checkpoint: object = None
    checkpoint_advanced: bool = False
    local_variables: dict[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    run_id: int | None = None

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
    """How far a row-by-row run is; `fraction` (0 to 1) is None when the size of the input is not known."""

    rows_read: int
    rows_done: int
    rows_failed: int
    fraction: float | None
    seconds: float


def error_as_dict(error: WasmexecError) -> dict[str, object]:
    """Type, message and fields of an error as JSON-able values."""
    return {"type": type(error).__name__, "message": error.message, **error.fields()}
