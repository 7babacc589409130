"""One run of a step: from the inputs to rows, checkpoint, local variables and the run's record."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from ..._execution.interruptible import wait
from ..._masking.masker import Masker
from ..._replay.masked import masked_json
from ...errors import ConfigError, DeliveryError, ExecutionCancelled, InputError, OutputError, WasmexecError
from ...executor import Executor
from ...recording import Recorder
from ...result import Result
from ...rows.bad_row import BadRow
from ...rows.formats import ReadOptions
from ...rows.inputs import sources_of
from ...rows.intake import checked_rows, checked_whole
from ...rows.source import Input, Source
from ...schema.values import masked_by, short_repr
from ...secret import Secret
from ...status import Status
from ...workers.local import LocalBackend
from ...workers.order import Order
from ...workers.parent import PoolBackend
from ..file.definition import StepDefinition
from ..result import Progress, StepLog, StepResult, error_as_dict
from .row_loop import RowLoop
from .totals import Output, Tally

if TYPE_CHECKING:
    from ...canned import CannedHttp
    from ...store import JsonValue, RunHandle, RunStore


class _Unset:
    """There is no value; None is one."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()
_NOT_THE_ROWS_FAULT = (Status.CONFIG_REFUSED, Status.CANCELLED)
_MAX_PROCESSES = 64
REFUSED = "refused"
"""The part of a recording for a row that never reached the statement: its JSON, if it is JSON, and the error."""


class Cancellation:
    """Cancels the runs that were given it, from any thread (not from a signal handler): they end with status 303."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self.is_cancelled = False

    def cancel(self) -> None:
        """Cancel; once is enough."""
        with self._lock:
            self.is_cancelled = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Have it called when the runs are cancelled, or now if they are."""
        with self._lock:
            self._listeners.append(listener)
            is_late = self.is_cancelled
        if is_late:
            listener()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Everything about one run that is not in the step file; see `Step.run`."""

    input_data: Input = None
    extra_inputs: Sequence[Input] = ()
    input_format: str | None = None
    input_encoding: str | None = None
    input_delimiter: str | None = None
    checkpoint: object = UNSET
    local_variables: Mapping[str, object] | None = None
    secrets: Mapping[str, str | Secret] | None = None
    store: RunStore | None = None
    output: Output | None = None
    on_log: Callable[[StepLog], None] | None = None
    on_progress: Callable[[Progress], None] | None = None
    cancellation: Cancellation | None = None
    processes: int | None = None
    trigger: str = "api"
    record: bool = False
    canned_http: CannedHttp | None = None


class StepRun:
    """Runs a step once, on an executor that others may use, too."""

    def __init__(self, definition: StepDefinition, request: RunRequest, executor: Executor) -> None:
        self._definition = definition
        self._request = request
        self._executor = executor
        self._cancellation = request.cancellation or Cancellation()
        self._variables: dict[str, object] = {}
        self._checkpoint: object = None
        self._masker: Masker | None = None
        self._recorder: Recorder | None = None
        self._is_ending = False
        self._inputs: list[Source] = []

    def run(self) -> StepResult:
        """The result; only what is no outcome of a run is raised.

        Raises:
            TypeError: an argument is not of the type that it must have.
            StoreError: the store failed; the run's record may be missing, but then the checkpoint is as it was.
                RunLostError: it is out of reach; says what was lost.
            DeliveryError: the rows were accepted, and are on record if there is a store, but could not be written.
        """
        started = time.monotonic()
        request, definition = self._request, self._definition
        handle = None
        if request.record and request.store is None:
            raise ConfigError("record needs a store")
        if request.store is not None:
            handle = request.store.begin_run(
                definition.name, definition=definition.text, processing=definition.processing, trigger=request.trigger,
                attributes={"file": str(definition.path.absolute())},
            )  # fmt: skip
        feed = None if handle is None or request.store is None else (request.store, handle)
        tally = Tally(request.output, feed, request.on_log)
        try:
            if request.record and feed is not None:
                self._recorder = feed[0].record(feed[1])
            status, error = self._execute(tally, handle)
            for source in self._inputs:
                for text in source.remarks:
                    tally.warn(text)
            status, error = self._settle(tally, status, error)
            tally.flush()
            result = self._result(tally, status, error, time.monotonic() - started, handle)
            result = self._record(result, handle)
        except BaseException as failure:
            if request.output is not None:
                request.output.discard()
            if feed is not None:
                self._leave(feed, tally, failure)
            raise
        if request.output is not None:
            self._deliver(request.output, result)
        return result

    def _execute(self, tally: Tally, handle: RunHandle | None) -> tuple[Status, WasmexecError | None]:
        try:
            order, source = self._prepare(handle)
            whole = self._definition.processing == "bulk" or not source.is_wired
            return self._bulk(tally, order, source) if whole else self._row_by_row(tally, order, source)
        except InputError as error:
            return Status.INPUT_REFUSED, error
        except ConfigError as error:
            return Status.CONFIG_REFUSED, error
        except OSError as error:
            # Only inputs are files that are opened here.
            reason = f"{error.filename} cannot be read: {error.strerror}" if error.filename else str(error)
            return Status.CONFIG_REFUSED, ConfigError(f"input: {reason}")

    def _prepare(self, handle: RunHandle | None) -> tuple[Order, Source]:
        definition, request = self._definition, self._request
        secrets = self._secrets()
        values = [item.value if isinstance(item, Secret) else item for item in secrets.values()]
        self._masker = Masker(values) if values else None
        self._variables = self._initial_variables()
        if not isinstance(request.checkpoint, _Unset):
            self._checkpoint = request.checkpoint
        elif handle is not None:
            self._checkpoint = handle.checkpoint.value
        first, extra = self._sources()
        room = definition.limits.input_bytes
        texts: list[bytes | None] = []
        for index, source in enumerate(extra, 1):
            text, _ = checked_whole(source, definition.input_schema(index), room, self._masker)
            room -= len(text or b"")
            texts.append(text)
        order = Order(
            image=self._executor.image.manifest,
            statement=definition.statement.text,
            output=definition.output,
            extra_inputs=texts,
            checkpoint=self._checkpoint,
            local_variables=self._variables,
            limits=definition.limits,
            grants=definition.grants,
            secrets=secrets,
            canned_http=request.canned_http,
        )
        return order, first

    def _secrets(self) -> dict[str, str | Secret]:
        declared, given = self._definition.secrets, self._request.secrets or {}
        for name in given:
            if name not in declared:
                raise ConfigError(f"secret {name}: the step has no such secret")
        return {
            name: source.bind(given[name] if name in given else source.read(name)) for name, source in declared.items()
        }

    def _initial_variables(self) -> dict[str, object]:
        declared = self._definition.local_variables
        values = {name: variable.initial for name, variable in declared.items()}
        for name, value in (self._request.local_variables or {}).items():
            if name not in declared:
                known = ", ".join(declared) or "none"
                raise ConfigError(f"local variable {name}: the step has no such variable; it has {known}")
            refusal = declared[name].refusal(value)
            if refusal is not None:
                raise ConfigError(f"local variable {name}: {refusal}")
            values[name] = value
        return values

    def _sources(self) -> tuple[Source, list[Source]]:
        request, declared = self._request, self._definition.inputs
        wired = [request.input_data, *request.extra_inputs]
        if declared is not None:
            if sum(value is not None for value in wired[len(declared) :]):
                names = ", ".join(item.name for item in declared) or "none"
                raise ConfigError(f"more inputs are given than the step has; its inputs are: {names}")
            # A declared input that nobody wired is there, as None.
            wired = [*wired[: len(declared)], *[None] * (len(declared) - len(wired))]
        wired = wired or [None]
        self._inputs = sources_of(
            wired,
            ReadOptions(request.input_format, request.input_encoding, request.input_delimiter),
            [self._definition.input_options(index) for index in range(len(wired))],
            max_row_bytes=self._definition.limits.input_bytes,
        )
        return self._inputs[0], self._inputs[1:]

    def _bulk(self, tally: Tally, order: Order, source: Source) -> tuple[Status, WasmexecError | None]:
        data, tally.rows_in = checked_whole(
            source, self._definition.input_schema(0), order.limits.input_bytes, self._masker
        )
        on_log = self._request.on_log
        options = order.inputs()
        if on_log is not None:
            options["on_log"] = lambda record: on_log(StepLog(None, record))
        ended = threading.Event()
        outcomes: list[Result | BaseException] = []

        def on_done(outcome: Result | BaseException) -> None:
            outcomes.append(outcome)
            ended.set()

        if self._recorder is not None:
            options["recorder"] = self._recorder
        prepared = self._executor.prepare(order.statement, **order.conditions())
        cancel = prepared.submit(on_done, input_data=data, **options)
        del data
        self._cancellation.listen(cancel)
        try:
            wait(ended)
        except BaseException:
            cancel()
            wait(ended)
            raise
        outcome = outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome.error is not None:
            tally.note(outcome, None, logs_shown=on_log is not None)
            return outcome.status, outcome.error
        tally.accept(outcome, None, logs_shown=on_log is not None)
        return outcome.status, None

    def _row_by_row(self, tally: Tally, order: Order, source: Source) -> tuple[Status, WasmexecError | None]:
        definition, request = self._definition, self._request
        ending: list[tuple[Status, WasmexecError]] = []

        def take(index: int, outcome: Result | BadRow) -> bool:
            error: WasmexecError
            if isinstance(outcome, BadRow):
                status, error, result = Status.INPUT_REFUSED, outcome.error, None
                if self._masker is not None:
                    self._masker.error(error)
                if self._recorder is not None:
                    text = masked_json(self._masker, outcome.text)
                    self._recorder.add(REFUSED, text, execution=index, meta=error_as_dict(error))
            elif outcome.error is None:
                tally.accept(outcome, index)
                return True
            else:
                status, error, result = outcome.status, outcome.error, outcome
            tally.fail(index, status, error, result)
            loop.rows_failed = tally.rows_failed
            if definition.on_row_error == "skip" and status not in _NOT_THE_ROWS_FAULT:
                return True
            ending.append((status, error))
            return False

        processes = self._processes()
        concurrency = definition.concurrency
        loop = RowLoop(
            local=lambda done: LocalBackend(self._executor, order, done, concurrency, self._recorder),
            pool=partial(PoolBackend, order, limit=concurrency, processes=processes) if processes > 1 else None,
            concurrency=concurrency,
            take=take,
            on_progress=request.on_progress,
            fraction=lambda: source.fraction,
        )
        self._cancellation.listen(loop.cancel)
        try:
            failure = loop.run(checked_rows(source, definition.input_schema(0), self._masker))
        finally:
            tally.rows_in = loop.rows_read
            for text in loop.warnings:
                tally.warn(text)
        if loop.is_cancelled:
            return Status.CANCELLED, ExecutionCancelled()
        if ending:
            return ending[0]
        if failure is not None:
            return Status.INPUT_REFUSED, failure
        if tally.has_errors or tally.rows_failed:
            return Status.FINISHED_WITH_ERRORS, None
        return (Status.FINISHED if tally.rows_out else Status.FINISHED_NO_DATA), None

    def _processes(self) -> int:
        wanted = self._request.processes
        if wanted is not None and (
            isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= _MAX_PROCESSES
        ):
            raise ConfigError(f"processes must be a whole number from 1 to {_MAX_PROCESSES}, not {wanted!r}")
        if self._request.canned_http is not None or self._recorder is not None:
            return 1
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(wanted or available, self._definition.concurrency)

    def _settle(self, tally: Tally, status: Status, error: WasmexecError | None) -> tuple[Status, WasmexecError | None]:
        """Update the local variables from the last row."""
        row = tally.last_row
        if error is not None or row is None:
            return status, error
        updated = dict(self._variables)
        for name, variable in self._definition.local_variables.items():
            if variable.update_from is None:
                continue
            value = row.get(variable.update_from)
            refusal = variable.refusal(value)
            if refusal is not None:
                pointer = f"/{tally.rows_out - 1}/{variable.update_from}"
                message = f"{pointer}: local variable {name}: {refusal}"
                with masked_by(self._masker):
                    refused = OutputError(pointer, "local-variable", short_repr(value), message)
                return Status.OUTPUT_REFUSED, refused
            updated[name] = value
        self._variables = updated
        return status, error

    def _result(
        self, tally: Tally, status: Status, error: WasmexecError | None, seconds: float, handle: RunHandle | None
    ) -> StepResult:
        if error is not None and self._masker is not None:
            self._masker.error(error)
        accepted = status.succeeded
        column = self._definition.checkpoint_column
        advances = accepted and column is not None and tally.last_row is not None
        return StepResult(
            step=self._definition.name,
            status=status,
            rows=tally.rows if accepted else [],
            source_rows=tally.source_rows if accepted else [],
            rows_in=tally.rows_in,
            rows_out=tally.rows_out if accepted else 0,
            rows_failed=tally.rows_failed,
            executions=tally.executions,
            failures=tally.failures,
            error=error,
            logs=tally.logs,
            log_dropped=tally.log_dropped + tally.logs_unkept,
            warnings=tally.warnings,
            usage=tally.usage,
            checkpoint=(tally.last_row or {}).get(column) if advances and column else self._checkpoint,
            checkpoint_advanced=advances,
            local_variables=self._variables,
            seconds=seconds,
            run_id=None if handle is None else handle.run_id,
        )

    def _record(self, result: StepResult, handle: RunHandle | None) -> StepResult:
        """Put the run on record with its checkpoint, in one transaction; only then are the rows delivered."""
        store = self._request.store
        if store is not None and handle is not None:
            from ...store import Advance, CheckpointConflictError, StoreLimitError

            self._is_ending = True
            try:
                self._finish(
                    store,
                    handle,
                    result,
                    Advance(cast("JsonValue", result.checkpoint)) if result.checkpoint_advanced else None,
                )
            except CheckpointConflictError as lost:
                # The store has written the record.
                result = self._refused(result, Status.CANCELLED, lost)
            except StoreLimitError as error:
                result = self._refused(result, Status.OUTPUT_REFUSED, error)
                self._finish(store, handle, result, None)
        return result

    @staticmethod
    def _deliver(output: Output, result: StepResult) -> None:
        if not result.status.succeeded:
            output.discard()
            return
        try:
            output.commit()
        except DeliveryError as error:
            raise DeliveryError(error.target, error.reason, run_id=result.run_id) from error
        except BrokenPipeError:
            # Whoever read the rows has seen enough.
            raise
        except OSError as error:
            raise DeliveryError("the output", error.strerror or str(error), run_id=result.run_id) from error
        finally:
            output.discard()

    def _refused(self, result: StepResult, status: Status, error: WasmexecError) -> StepResult:
        return replace(
            result, status=status, error=error, rows=[], source_rows=[], rows_out=0, checkpoint=self._checkpoint,
            checkpoint_advanced=False,
        )  # fmt: skip

    def _finish(self, store: RunStore, handle: RunHandle, result: StepResult, advance: Any) -> None:
        store.finish(
            handle, status=result.status, usage=result.usage, error=result.error, rows_in=result.rows_in,
            rows_out=result.rows_out, rows_failed=result.rows_failed, executions=result.executions,
            log_dropped=result.log_dropped, warnings=result.warnings, advance=advance,
            local_variables=cast("dict[str, JsonValue]", result.local_variables),
        )  # fmt: skip

    def _leave(self, feed: tuple[RunStore, RunHandle], tally: Tally, failure: BaseException) -> None:
        """What is raised to the caller should also be found in the history; the store may be what failed.

        Raises:
            RunLostError: the store is out of reach; in place of the failure that said so.
        """
        from ...store import RunLostError, StoreError, StoreLostError

        store, handle = feed
        status, error = Status.RUNTIME_FAILED, WasmexecError(f"internal error: {type(failure).__name__}")
        if isinstance(failure, KeyboardInterrupt):
            status, error = Status.CANCELLED, ExecutionCancelled()
        elif isinstance(failure, (StoreError, DeliveryError)):
            error = failure
        is_recorded = False
        with suppress(WasmexecError):
            store.finish(
                handle, status=status, error=error, usage=tally.usage, rows_in=tally.rows_in,
                rows_failed=tally.rows_failed, executions=tally.executions,
            )  # fmt: skip
            is_recorded = True
        if not is_recorded:
            store.give_up(handle, error.message)
        if isinstance(failure, StoreLostError):
            may_be_stored = self._is_ending and not is_recorded
            raise RunLostError(failure.message, run_id=handle.run_id, may_be_stored=may_be_stored) from failure
