"""A worker process of a row-by-row run: rows come in on standard input, results go out on standard output.

Frames are length and index (little-endian, 4 and 8 bytes) and a payload. The first frame is the order.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
from typing import IO

from ..errors import WasmexecError
from ..executor import Executor
from ..result import Result
from ..status import Status
from .local import LocalBackend
from .messages import pack_result
from .order import Order

HEAD = struct.Struct("<IQ")
CONTROL = 2**64 - 1
"""The index of frames that are no row: hello from the worker, cancel to it."""


def read_frame(stream: IO[bytes]) -> tuple[int, bytes] | None:
    """Index and payload of the next frame, None at the end."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    length, index = HEAD.unpack(head)
    payload = stream.read(length)
    return None if len(payload) < length else (index, payload)


def main() -> None:
    """Serve until standard input ends; then end at once, whatever still runs."""
    # Whoever started us decides what an interrupt means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = os.dup(1)
    os.dup2(2, 1)
    frames = sys.stdin.buffer
    first = read_frame(frames)
    if first is None:
        return
    limit = first[0]
    order = Order.unpack(first[1])
    lock = threading.Lock()

    def write(index: int, payload: bytes) -> None:
        data = memoryview(HEAD.pack(len(payload), index) + payload)
        with lock:
            while data:
                data = data[os.write(out, data) :]

    def done(index: int, outcome: Result | BaseException) -> None:
        if not isinstance(outcome, Result):
            error = outcome if isinstance(outcome, WasmexecError) else WasmexecError(f"internal error: {outcome!r}")
            outcome = Result(status=Status.RUNTIME_FAILED, error=error)
        try:
            write(index, pack_result(outcome))
        except OSError:
            os._exit(1)

    executor = Executor(order.image, workers=min(limit, 256))
    backend = LocalBackend(executor, order, done, limit)
    write(CONTROL, b"")
    while (frame := read_frame(frames)) is not None:
        if frame[0] == CONTROL:
            backend.cancel()
        else:
            backend.start(frame[0], frame[1])
    os._exit(0)


if __name__ == "__main__":
    main()
