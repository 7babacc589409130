"""Row by row: an execution for each row of the input, their results taken in its order."""

from __future__ import annotations

from contextlib import closing

from ..._replay.masked import masked_json
from ...errors import ExecutionCancelled
from ...result import Result
from ...rows.bad_row import BadRow
from ...rows.intake import checked_rows
from ...status import Status
from ...workers.order import Order
from ..result import error_as_dict
from .progress import ProgressMeter
from .row_loop import RowLoop
from .run_state import Ending, RunState

_NOT_THE_ROWS_FAULT = (Status.CONFIG_REFUSED, Status.CANCELLED)
REFUSED = "refused"
"""The part of a recording for a row that never reached the statement: its JSON, if it is JSON, and the error."""


def run_row_by_row(run: RunState, order: Order) -> Ending:
    """Run the statement on each row until one fails, unless the step skips those.

    Raises:
        InputError: the input could not be read to its end; the rows before that have been taken.
        ConfigError: `processes` is not what it must be.
    """
    definition, request, totals = run.definition, run.request, run.totals
    backend, source = run.engine.backend(order, run.wishes), run.sources[0]
    rows = checked_rows(source, definition.input_schema(0), run.masker, run.long_rows)
    loop = RowLoop(
        rows,
        backend,
        concurrency=definition.concurrency,
        meter=None if request.on_progress is None else ProgressMeter(request.on_progress, source),
    )
    run.cancellation.listen(loop.cancel)
    try:
        with closing(rows), closing(loop.outcomes()) as outcomes:
            for index, outcome in outcomes:
                if isinstance(outcome, Result) and outcome.error is None:
                    totals.accept(outcome, index)
                    continue
                ending = _take_failure(run, index, outcome)
                if definition.on_row_error == "fail" or ending[0] in _NOT_THE_ROWS_FAULT:
                    break
            else:
                ending = _ending(run)
    finally:
        totals.rows_in = loop.rows_read
    return (Status.CANCELLED, ExecutionCancelled()) if loop.is_cancelled else ending


def _take_failure(run: RunState, index: int, outcome: Result | BadRow) -> Ending:
    if isinstance(outcome, Result):
        assert outcome.error is not None
        run.totals.fail(index, outcome.status, outcome.error, outcome)
        return outcome.status, outcome.error
    error = outcome.error
    if run.masker is not None:
        run.masker.error(error)
    if run.recorder is not None:
        text = masked_json(run.masker, outcome.text)
        run.recorder.add(REFUSED, text, execution=index, meta=error_as_dict(error))
    run.totals.fail(index, Status.INPUT_REFUSED, error, None)
    return Status.INPUT_REFUSED, error


def _ending(run: RunState) -> Ending:
    totals = run.totals
    if totals.has_errors or totals.rows_failed:
        return Status.FINISHED_WITH_ERRORS, None
    return (Status.FINISHED if totals.rows_out else Status.FINISHED_NO_DATA), None
