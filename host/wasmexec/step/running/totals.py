"""What a run has produced so far: rows go on to where they are wanted, the rest is added up, all of it bounded."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import WasmexecError
from ...limits import RESERVE_RECORDS
from ...result import LogRecord, Result, Usage
from ...rows.block import RowBlock
from ...rows.spool import Spool
from ...status import Status
from ..result import MAX_KEPT_FAILURES, RowFailure, StepLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...store import RunHandle
    from .step_store import StepStore

MAX_KEPT_LOGS = 10_000
MAX_KEPT_WARNINGS = 100
_STORE_ROWS = 5000
_STORE_LOGS = 1000
_STORE_BYTES = 8 * 1024 * 1024


class Output(Protocol):
    """Where accepted rows go, in order. Nothing may be delivered before `commit`."""

    def write(self, rows: Sequence[dict[str, Any]], source_row: int | None) -> None:
        """Take rows, and the index of the input row that they came from."""

    def commit(self) -> None:
        """The run has succeeded and is on record: deliver."""

    def discard(self) -> None:
        """The run has failed: forget everything."""


class Totals:
    """Takes the results of executions in input order."""

    def __init__(
        self, output: Output | None, store: tuple[StepStore, RunHandle] | None,
        on_log: Callable[[StepLog], None] | None, *, keeps_rows: bool = True,
    ) -> None:  # fmt: skip
        self.rows: list[dict[str, Any]] = []
        self.source_rows: array[int] = array("q")
        self.rows_in = self.rows_out = self.rows_failed = self.executions = self.log_dropped = 0
        self.failures: list[RowFailure] = []
        self.logs: list[StepLog] = []
        self._last: RowBlock | None = None
        self.has_errors = False
        self.logs_unkept = 0
        self._warnings: dict[str, int] = {}
        self.usage = Usage()
        """The sum over all executions; of the memory the most that one had."""
        self._output = output
        self._keeps_rows = keeps_rows and output is None
        # Whoever has a `write` of their own wants to see the rows.
        self._spool = output if isinstance(output, Spool) and type(output).write is Spool.write else None
        self._on_log = on_log
        self._store = None if store is None else _StoreFeed(*store)

    def accept(self, result: Result, row: int | None, *, logs_shown: bool = False) -> None:
        """Take the rows, log and usage of an execution that succeeded."""
        self.note(result, row, logs_shown=logs_shown)
        self.has_errors |= result.status is Status.FINISHED_WITH_ERRORS
        rows = result.block
        if not rows:
            return
        self.rows_out += len(rows)
        self._last = rows
        if self._keeps_rows:
            self.rows += rows.rows
            if row is not None:
                self.source_rows.extend([row] * len(rows))
        if self._output is None and self._store is None:
            return
        for block in rows.blocks():
            if self._spool is not None:
                self._spool.write_block(block, row)
            elif self._output is not None:
                self._output.write(block.rows, row)
            if self._store is not None:
                self._store.add_block(block, row)

    def fail(self, row: int, status: Status, error: WasmexecError, result: Result | None) -> None:
        """Take the failure of an input row, with the log and usage of its execution if there was one."""
        if result is not None:
            self.note(result, row)
        self.rows_failed += 1
        failure = RowFailure(row, status, error)
        if len(self.failures) < MAX_KEPT_FAILURES:
            self.failures.append(failure)
        if self._store is not None:
            self._store.add_failure(failure)

    def note(self, result: Result, row: int | None, *, logs_shown: bool = False) -> None:
        """Take everything but the rows."""
        self.executions += 1
        self.usage = self.usage.plus(result.usage)
        self.log_dropped += result.log_dropped
        for text in result.warnings:
            self.warn(text)
        if result.logs:
            self._note_logs(result.logs, row, logs_shown)

    def _note_logs(self, records: list[LogRecord], row: int | None, logs_shown: bool) -> None:
        for record in records:
            if len(self.logs) < MAX_KEPT_LOGS + RESERVE_RECORDS.get(record.level, 0):
                self.logs.append(StepLog(row, record))
            else:
                self.logs_unkept += 1
        if self._on_log is not None and not logs_shown:
            for record in records:
                self._on_log(StepLog(row, record))
        if self._store is not None:
            self._store.add_logs(records, row)

    def warn(self, text: str) -> None:
        """Take a warning."""
        if text in self._warnings or len(self._warnings) < MAX_KEPT_WARNINGS:
            self._warnings[text] = self._warnings.get(text, 0) + 1

    def flush(self) -> None:
        """Give the store what is still here."""
        if self._store is not None:
            self._store.flush()

    def last_values(self, columns: Collection[str]) -> dict[str, Any] | None:
        """What the last row has in some columns, as far as it has them; None if there are no rows."""
        return None if self._last is None else self._last.last_members(columns)

    @property
    def warnings(self) -> list[str]:
        """Each warning once, with the number of executions that had it."""
        return [text if count == 1 else f"{text} ({count:,} executions)" for text, count in self._warnings.items()]


class _StoreFeed:
    """Hands rows, logs and failures over in batches: each is a transaction."""

    def __init__(self, store: StepStore, handle: RunHandle) -> None:
        self._store = store
        self._handle = handle
        self._lines: list[bytes] = []
        self._sources: list[int] = []
        self._count = self._bytes = 0
        self._logs: list[LogRecord | tuple[int, LogRecord]] = []
        self._failures: list[RowFailure] = []

    def add_block(self, block: RowBlock, row: int | None) -> None:
        """Take accepted rows."""
        self._lines.append(block.lines)
        self._count += len(block)
        self._bytes += len(block.lines)
        if row is not None:
            self._sources.extend([row] * len(block))
        if self._count >= _STORE_ROWS or self._bytes >= _STORE_BYTES:
            self._flush_rows()

    def add_logs(self, records: list[LogRecord], row: int | None) -> None:
        """Take log records."""
        self._logs += records if row is None else [(row, record) for record in records]
        if len(self._logs) >= _STORE_LOGS:
            self._flush_logs()

    def add_failure(self, failure: RowFailure) -> None:
        """Take a failed row."""
        self._failures.append(failure)
        if len(self._failures) >= _STORE_LOGS:
            self._flush_failures()

    def flush(self) -> None:
        """Hand over everything."""
        self._flush_rows()
        self._flush_logs()
        self._flush_failures()

    def _flush_rows(self) -> None:
        if self._lines:
            block = RowBlock(lines=b"".join(self._lines))
            self._store.append_output(self._handle, block, source_rows=self._sources or None)
            self._lines, self._sources, self._count, self._bytes = [], [], 0, 0

    def _flush_logs(self) -> None:
        if self._logs:
            self._store.append_logs(self._handle, self._logs)
            self._logs = []

    def _flush_failures(self) -> None:
        if self._failures:
            from ...store import RowError
            from ..result import error_as_dict

            errors = [
                RowError(row=item.row, status=item.status, error=error_as_dict(item.error)) for item in self._failures
            ]
            self._store.append_row_errors(self._handle, errors)
            self._failures = []
