"""Executions of one order in this process, as many at once as keep the processor busy and not more."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from ..errors import ExecutionCancelled, WasmexecError
from ..executor import Executor
from ..recording import ForExecution, Recorder
from ..result import Result
from ..status import Status
from .order import Order

Done: TypeAlias = "Callable[[int, Result | BaseException], None]"
"""Called with the index of an execution and its outcome, on any thread."""

_FIRST_ALLOWED = 4
_TUNE_SECONDS = 0.05
_IDLE_BELOW = 0.6
_BUSY_ABOVE = 0.9
_CLOSE_SECONDS = 5.0


class LocalBackend:
    """Runs executions on an executor; `done` is called once for each.

    Guests that compute slow each other down in one process (they share an address space), so at most one computes at a
    time; but executions that wait should wait together, be it for an answer or, on a busy machine, for the processor.
    Which they do shows in the processor time of the process: while that is low, more are let in, up to `limit`.
    """

    def __init__(
        self, executor: Executor, order: Order, done: Done, limit: int, recorder: Recorder | None = None
    ) -> None:
        self._prepared = executor.prepare(order.statement, **order.conditions())
        self._inputs = order.inputs()
        self._recorder = recorder
        self._done = done
        self._limit = limit
        self._allowed = min(_FIRST_ALLOWED, limit)
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, bytes | None]] = deque()
        self._running: dict[int, Callable[[], None] | None] = {}
        self._pumping: set[int] = set()
        self._cancelled = False
        self._closed = threading.Event()
        self._clock = (time.monotonic(), time.process_time())
        self._tuner = threading.Thread(target=self._tune_often, name="wasmexec-tuner", daemon=True)
        self._tuner.start()

    def start(self, index: int, data: bytes | None) -> None:
        """Run the statement on an input, now or when there is room."""
        with self._lock:
            self._waiting.append((index, data))
        self._pump()

    def cancel(self) -> None:
        """End everything with status 303; what has not started never does."""
        with self._lock:
            self._cancelled = True
            waiting, self._waiting = self._waiting, deque()
            running = [cancel for cancel in self._running.values() if cancel is not None]
        for cancel in running:
            cancel()
        for index, _ in waiting:
            self._done(index, cancelled())

    def close(self) -> None:
        """End the thread of its own."""
        self._closed.set()
        self._tuner.join(_CLOSE_SECONDS)

    def _pump(self) -> None:
        """Start what there is room for."""
        thread = threading.get_ident()
        self._pumping.add(thread)
        try:
            while True:
                with self._lock:
                    if not self._waiting or len(self._running) >= self._allowed:
                        return
                    index, data = self._waiting.popleft()
                    self._running[index] = None
                try:
                    recorder = None if self._recorder is None else ForExecution(self._recorder, index)
                    cancel = self._prepared.submit(
                        partial(self._ended, index), input_data=data, recorder=recorder, **self._inputs
                    )
                except WasmexecError as error:
                    self._ended(index, error)
                    continue
                with self._lock:
                    if index in self._running:
                        self._running[index] = cancel
                    is_late = self._cancelled
                if is_late:
                    cancel()
        finally:
            self._pumping.discard(thread)

    def _ended(self, index: int, outcome: Result | BaseException) -> None:
        with self._lock:
            self._running.pop(index, None)
        self._done(index, outcome)
        # An execution that ended before it started ends inside the loop of `_pump`, which goes on by itself.
        if threading.get_ident() not in self._pumping:
            self._pump()

    def _tune_often(self) -> None:
        while not self._closed.wait(_TUNE_SECONDS):
            self._tune()
            self._pump()

    def _tune(self) -> None:
        now = (time.monotonic(), time.process_time())
        busy = (now[1] - self._clock[1]) / max(now[0] - self._clock[0], 1e-9)
        self._clock = now
        with self._lock:
            if busy > _BUSY_ABOVE:
                self._allowed = max(1, self._allowed // 2)
            elif busy < _IDLE_BELOW and self._waiting and len(self._running) >= self._allowed:
                self._allowed = min(self._limit, self._allowed * 2)


def cancelled() -> Result:
    """The result of an execution that never started."""
    return Result(status=Status.CANCELLED, error=ExecutionCancelled())
