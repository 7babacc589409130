"""One run of a step: from the inputs to rows, checkpoint, local variables and the run's record."""

from __future__ import annotations

import time

from ...errors import ConfigError, DeliveryError, ExecutionCancelled, InputError, OutputError
from ...schema.values import masked_by, short_repr
from ...status import Status
from ..file.definition import StepDefinition
from ..result import StepResult
from .bulk import run_bulk
from .conditions import make_order
from .engine import Engine
from .request import RunRequest
from .row_by_row import run_row_by_row
from .run_record import RunRecord
from .run_state import Ending, RunState
from .step_store import StepStore
from .totals import Output


def run_step(
    definition: StepDefinition, request: RunRequest, engine: Engine, *, store: StepStore | None = None,
    keeps_rows: bool = True,
) -> StepResult:  # fmt: skip
    """Run a step once, on an engine; only what is no outcome of a run is raised.

    `store` is in place of the request's. Without `keeps_rows` the result has no rows: they are in the store.

    Raises:
        TypeError: an argument is not of the type that it must have.
        ConfigError: a recording is wanted without a store.
        StoreError: the store failed; the run's record may be missing, but then the checkpoint is as it was.
            RunLostError: it is out of reach; says what was lost.
        DeliveryError: the rows were accepted, and are on record if there is a store, but could not be written.
    """
    started = time.monotonic()
    store = store or request.store
    if request.record and store is None:
        raise ConfigError("record needs a store")
    record = None if store is None else RunRecord(store, definition, request.trigger)
    run = RunState(
        definition, request, engine, None if record is None else (record.store, record.handle), keeps_rows=keeps_rows
    )
    try:
        if request.record and record is not None:
            run.recorder = record.recorder()
        ending = _execute(run, None if record is None else record.checkpoint)
        for source in run.sources:
            for text in source.remarks:
                run.totals.warn(text)
        ending = _update_variables(run, ending)
        run.totals.flush()
        run_id = None if record is None else record.handle.run_id
        result = _result(run, ending, time.monotonic() - started, run_id)
        if record is not None:
            result = record.end(result, run.checkpoint)
    except BaseException as failure:
        if request.output is not None:
            request.output.discard()
        if record is not None:
            record.fail(run.totals, failure)
        raise
    # Only what is on record is delivered.
    if request.output is not None:
        _deliver(request.output, result)
    return result


def _execute(run: RunState, stored_checkpoint: object) -> Ending:
    try:
        order = make_order(run, stored_checkpoint)
        if run.definition.processing == "bulk" or not run.sources[0].is_wired:
            return run_bulk(run, order)
        return run_row_by_row(run, order)
    except InputError as error:
        return Status.INPUT_REFUSED, error
    except ConfigError as error:
        return Status.CONFIG_REFUSED, error
    except ExecutionCancelled as error:
        # While an input was read: what executes is cancelled by itself.
        return Status.CANCELLED, error
    except OSError as error:
        # Only inputs are files that are opened here.
        reason = f"{error.filename} cannot be read: {error.strerror}" if error.filename else str(error)
        return Status.CONFIG_REFUSED, ConfigError(f"input: {reason}")
    finally:
        run.long_rows.close()


def _update_variables(run: RunState, ending: Ending) -> Ending:
    """Set the local variables to what the last row says, or refuse the run if they cannot have that."""
    declared = run.definition.local_variables.items()
    updating = [
        (name, variable, variable.update_from) for name, variable in declared if variable.update_from is not None
    ]
    columns = {column for _, _, column in updating}
    row = run.totals.last_values(columns) if updating and ending[1] is None else None
    if row is None:
        return ending
    updated = dict(run.local_variables)
    for name, variable, column in updating:
        value = row.get(column)
        refusal = variable.refusal(value)
        if refusal is not None:
            pointer = f"/{run.totals.rows_out - 1}/{column}"
            message = f"{pointer}: local variable {name}: {refusal}"
            with masked_by(run.masker):
                refused = OutputError(pointer, "local-variable", short_repr(value), message)
            return Status.OUTPUT_REFUSED, refused
        updated[name] = value
    run.local_variables = updated
    return ending


def _result(run: RunState, ending: Ending, seconds: float, run_id: int | None) -> StepResult:
    status, error = ending
    totals = run.totals
    if error is not None and run.masker is not None:
        run.masker.error(error)
    accepted = status.succeeded
    column = run.definition.checkpoint_column
    last = totals.last_values((column,)) if accepted and column is not None else None
    return StepResult(
        step=run.definition.name,
        status=status,
        rows=totals.rows if accepted else [],
        source_rows=totals.source_rows if accepted else [],
        rows_in=totals.rows_in,
        rows_out=totals.rows_out if accepted else 0,
        rows_failed=totals.rows_failed,
        executions=totals.executions,
        failures=totals.failures,
        error=error,
        logs=totals.logs,
        log_dropped=totals.log_dropped + totals.logs_unkept,
        warnings=totals.warnings,
        usage=totals.usage,
        checkpoint=run.checkpoint if last is None or column is None else last.get(column),
        checkpoint_advanced=last is not None,
        local_variables=run.local_variables,
        seconds=seconds,
        run_id=run_id,
    )


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
