"""A worker process: executions come in on standard input, results go out on standard output; see `messages`."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import traceback
from typing import NoReturn

from ..errors import WasmexecError
from ..executor import MAX_WORKERS, Executor
from ..isolation import keep_no_core
from ..result import Result
from ..rows.json_text import decode
from ..status import Status
from .local import LocalBackend
from .messages import PIECE_BYTES, TO_WORKER, BadMessage, Frame, FrameReader, Kind, Room, pack
from .order import Order
from .results import ResultCodec

_ORPHAN_SECONDS = 1.0
"""How often it looks whether its parent is still the same: a fork of that may hold the pipe open."""


def main(parent: str) -> NoReturn:
    """Serve until standard input ends or the parent, whose number it is given, is gone; then end at once."""
    try:
        _serve(int(parent))
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _serve(parent: int) -> NoReturn:
    # Whoever started us decides what an interrupt means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_no_core()
    out = os.dup(1)
    os.dup2(2, 1)
    threading.Thread(target=_end_with, args=(parent,), name="wasmexec-parent", daemon=True).start()
    inbox = _Inbox()
    first = inbox.next()
    if first.kind is not Kind.ORDER:
        raise BadMessage("no order")
    limit = int(decode(first.fields)["limit"])
    order = Order.unpack(first.body)
    inbox.bound(order.limits.input_bytes)
    outbox = _Outbox(out, ResultCodec(order.limits))
    # It is closed when nobody refers to it any more.
    executor = Executor(order.image, workers=min(limit, MAX_WORKERS))
    backend = LocalBackend(executor, order, outbox.done, limit)
    # What is loaded stays for good: a full collection need not look at it, while every execution here waits (20 ms).
    gc.collect()
    gc.freeze()
    outbox.write(pack(Kind.READY))
    while True:
        frame = inbox.next()
        if frame.kind is Kind.CANCEL:
            backend.cancel()
        elif frame.kind is Kind.RUN:
            backend.start(frame.execution, None if frame.fields else frame.body)
        else:
            raise BadMessage("a second order")


class _Inbox:
    """Frames from the parent, one after the other."""

    def __init__(self) -> None:
        self._reader = FrameReader(TO_WORKER)
        self._frames: list[Frame] = []

    def bound(self, input_bytes: int) -> None:
        """Take inputs of that size and no second order."""
        self._reader.expect({
            Kind.RUN: Room(TO_WORKER[Kind.RUN].fields, input_bytes), Kind.CANCEL: TO_WORKER[Kind.CANCEL],
        })  # fmt: skip

    def next(self) -> Frame:
        """The next frame; at the end of the input this process ends."""
        while not self._frames:
            piece = os.read(0, PIECE_BYTES)
            if not piece:
                os._exit(0)
            self._frames = list(self._reader.feed(piece))[::-1]
        return self._frames.pop()


class _Outbox:
    """Frames to the parent, from any thread."""

    def __init__(self, out: int, codec: ResultCodec) -> None:
        self._out = out
        self._codec = codec
        self._lock = threading.Lock()

    def done(self, index: int, outcome: Result | BaseException) -> None:
        """Hand over a result."""
        if not isinstance(outcome, Result):
            error = outcome if isinstance(outcome, WasmexecError) else WasmexecError(f"internal error: {outcome!r}")
            outcome = Result(status=Status.RUNTIME_FAILED, error=error)
        self.write(pack(Kind.RESULT, index, *self._codec.pack(outcome)))

    def write(self, pieces: list[bytes]) -> None:
        """Write a frame; without a parent to read it this process ends."""
        try:
            with self._lock:
                for piece in pieces:
                    data = memoryview(piece)
                    while data:
                        data = data[os.write(self._out, data) :]
        except OSError:
            os._exit(1)


def _end_with(parent: int) -> None:
    """End this process once its parent is another one."""
    while os.getppid() == parent:
        time.sleep(_ORPHAN_SECONDS)
    os._exit(0)
