"""A worker process of one order: executions come in on standard input, results go out on standard output."""

from __future__ import annotations

import os
import traceback
from typing import NoReturn

from ..errors import WasmexecError
from ..executor import MAX_WORKERS, Executor
from ..result import Result
from ..rows.json_text import decode
from ..status import Status
from .local import LocalBackend
from .messages import TO_WORKER, BadMessage, Kind, Room, pack
from .order import Order
from .pipes import Inbox, Outbox, begin, tell_ready
from .results import ResultCodec


def main(parent: str) -> NoReturn:
    """Serve until standard input ends or the parent, whose number it is given, is gone; then end at once."""
    try:
        _serve(int(parent))
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _serve(parent: int) -> NoReturn:
    outbox = begin(parent)
    inbox = Inbox(TO_WORKER)
    first = inbox.next()
    if first.kind is not Kind.ORDER:
        raise BadMessage("no order")
    limit = int(decode(first.fields)["limit"])
    order = Order.unpack(first.body)
    # Inputs of that size, and no second order.
    run = Room(TO_WORKER[Kind.RUN].fields, order.limits.input_bytes)
    inbox.expect({Kind.RUN: run, Kind.CANCEL: TO_WORKER[Kind.CANCEL]})
    # It is closed when nobody refers to it any more.
    executor = Executor(order.image, workers=min(limit, MAX_WORKERS))
    backend = LocalBackend(executor, order, _Results(outbox, ResultCodec(order.limits)).done, limit)
    tell_ready(outbox)
    while True:
        frame = inbox.next()
        if frame.kind is Kind.CANCEL:
            backend.cancel()
        elif frame.kind is Kind.RUN:
            backend.start(frame.execution, None if frame.fields else frame.body)
        else:
            raise BadMessage("a second order")


class _Results:
    """Results on their way to the parent."""

    def __init__(self, outbox: Outbox, codec: ResultCodec) -> None:
        self._outbox = outbox
        self._codec = codec

    def done(self, index: int, outcome: Result | BaseException) -> None:
        """Hand over a result."""
        self._outbox.write(pack(Kind.RESULT, index, *self._codec.pack(result_of(outcome))))


def result_of(outcome: Result | BaseException) -> Result:
    """The result that tells of a fault of ours, too."""
    if isinstance(outcome, Result):
        return outcome
    error = outcome if isinstance(outcome, WasmexecError) else WasmexecError(f"internal error: {outcome!r}")
    return Result(status=Status.RUNTIME_FAILED, error=error)
