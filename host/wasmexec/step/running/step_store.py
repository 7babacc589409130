"""`StepStore`: what a run of a step needs of a run store, in this process or behind a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ...errors import WasmexecError
    from ...recording import Recorder
    from ...result import LogRecord, Usage
    from ...rows.block import RowBlock
    from ...status import Status
    from ...store import Advance, JsonValue, RowError, RunHandle


class StepStore(Protocol):
    """See `RunStore`, whose methods these are."""

    def begin_run(
        self, step: str, *, definition: str | None = None, processing: str | None = None, trigger: str = "api",
        attributes: Mapping[str, JsonValue] | None = None,
    ) -> RunHandle:  # fmt: skip
        """Write a running run and read the checkpoint it starts from."""

    def append_output(self, run: RunHandle, rows: RowBlock, *, source_rows: Sequence[int] | None = None) -> None:
        """Add accepted rows."""

    def append_logs(self, run: RunHandle, records: Iterable[LogRecord | tuple[int, LogRecord]]) -> None:
        """Add log lines."""

    def append_row_errors(self, run: RunHandle, errors: Iterable[RowError]) -> None:
        """Add input rows that failed."""

    def finish(
        self, run: RunHandle, *, status: Status, usage: Usage | None = None, error: WasmexecError | None = None,
        rows_in: int = 0, rows_out: int = 0, rows_failed: int = 0, executions: int = 1, log_dropped: int = 0,
        warnings: Sequence[str] = (), local_variables: Mapping[str, JsonValue] | None = None,
        advance: Advance | None = None,
    ) -> Any:  # fmt: skip
        """End a run."""

    def give_up(self, run: RunHandle, reason: str) -> None:
        """Have a run abandoned that cannot be ended now."""

    def record(self, run: RunHandle) -> Recorder:
        """Start the recording of a run."""
