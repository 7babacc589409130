"""`RunRecord`: a run in the run store, from its beginning to its end, whatever that is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ...errors import DeliveryError, ExecutionCancelled, WasmexecError
from ...recording import Recorder
from ...status import Status
from ..file.definition import StepDefinition
from ..result import StepResult
from .totals import Totals

if TYPE_CHECKING:
    from ...store import JsonValue, RunHandle
    from .step_store import StepStore


class RunRecord:
    """One run that the store knows of."""

    def __init__(self, store: StepStore, definition: StepDefinition, trigger: str) -> None:
        self.store = store
        self.handle: RunHandle = store.begin_run(
            definition.name, definition=definition.text, processing=definition.processing, trigger=trigger,
            attributes={"file": str(definition.path.absolute())},
        )  # fmt: skip
        self._is_ending = False

    @property
    def checkpoint(self) -> object:
        """The stored one, as it was when the run began."""
        return self.handle.checkpoint.value

    def recorder(self) -> Recorder:
        """What keeps all that decides the run."""
        return self.store.record(self.handle)

    def end(self, result: StepResult, checkpoint_before: object) -> StepResult:
        """Put the run on record with its checkpoint, in one transaction; the result as the store accepted it."""
        from ...store import Advance, CheckpointConflictError, StoreLimitError

        self._is_ending = True
        advance = Advance(cast("JsonValue", result.checkpoint)) if result.checkpoint_advanced else None
        try:
            self._finish(result, advance)
        except CheckpointConflictError as lost:
            # The store has written the record.
            return _refused(result, Status.CANCELLED, lost, checkpoint_before)
        except StoreLimitError as error:
            result = _refused(result, Status.OUTPUT_REFUSED, error, checkpoint_before)
            self._finish(result, None)
        return result

    def _finish(self, result: StepResult, advance: Any) -> None:
        self.store.finish(
            self.handle, status=result.status, usage=result.usage, error=result.error, rows_in=result.rows_in,
            rows_out=result.rows_out, rows_failed=result.rows_failed, executions=result.executions,
            log_dropped=result.log_dropped, warnings=result.warnings, advance=advance,
            local_variables=cast("dict[str, JsonValue]", result.local_variables),
        )  # fmt: skip

    def fail(self, totals: Totals, failure: BaseException) -> None:
        """What is raised to the caller should also be found in the history; the store may be what failed.

        Raises:
            RunLostError: the store is out of reach; in place of the failure that said so.
        """
        from ...store import RunLostError, StoreError, StoreLostError

        status, error = Status.RUNTIME_FAILED, WasmexecError(f"internal error: {type(failure).__name__}")
        if isinstance(failure, KeyboardInterrupt):
            status, error = Status.CANCELLED, ExecutionCancelled()
        elif isinstance(failure, (StoreError, DeliveryError)):
            error = failure
        is_recorded = False
        with suppress(WasmexecError):
            self.store.finish(
                self.handle, status=status, error=error, usage=totals.usage, rows_in=totals.rows_in,
                rows_failed=totals.rows_failed, executions=totals.executions,
            )  # fmt: skip
            is_recorded = True
        if not is_recorded:
            self.store.give_up(self.handle, error.message)
        if isinstance(failure, StoreLostError):
            may_be_stored = self._is_ending and not is_recorded
            raise RunLostError(failure.message, run_id=self.handle.run_id, may_be_stored=may_be_stored) from failure


def _refused(result: StepResult, status: Status, error: WasmexecError, checkpoint: object) -> StepResult:
    return replace(
        result, status=status, error=error, rows=[], source_rows=[], rows_out=0, checkpoint=checkpoint,
        checkpoint_advanced=False,
    )  # fmt: skip
