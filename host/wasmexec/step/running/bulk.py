"""Bulk: one execution with all rows of the input."""

from __future__ import annotations

import threading

from ..._execution.interruptible import wait
from ...result import Result
from ...rows.intake import checked_whole
from ...workers.order import Order
from .run_state import Ending, RunState


def run_bulk(run: RunState, order: Order) -> Ending:
    """Run the statement once and take what it returns.

    Raises:
        InputError: the input cannot be read or does not match its schema.
    """
    source, totals = run.sources[0], run.totals
    schema = run.definition.input_schema(0)
    data, totals.rows_in = checked_whole(source, schema, order.limits.input_bytes, run.masker, run.long_rows)
    is_shown = run.request.on_log is not None
    ended = threading.Event()
    outcomes: list[Result | BaseException] = []

    def on_done(outcome: Result | BaseException) -> None:
        outcomes.append(outcome)
        ended.set()

    cancel = run.engine.once(order, run.wishes, data, on_done)
    del data
    run.cancellation.listen(cancel)
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
        totals.note(outcome, None, logs_shown=is_shown)
    else:
        totals.accept(outcome, None, logs_shown=is_shown)
    return outcome.status, outcome.error
