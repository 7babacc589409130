"""What callers give us to call (`on_log`, `on_done`, recorders): whatever it raises, the execution goes on."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec

from .unclaimed import claim, unclaimed_since

if TYPE_CHECKING:
    from ..result import LogRecord
    from .threads import WorkerPool

_Arguments = ParamSpec("_Arguments")
_MOST_CHARACTERS = 2000
DELIVERY_SECONDS = 0.01
"""How long one delivery may take before it is another's turn."""


def describe(error: BaseException) -> str:
    """Type and text of somebody else's exception, bounded and valid Unicode; its `__str__` may raise too."""
    try:
        text = str(error)
    except BaseException:
        text = "an exception that has no text"
    text = text[:_MOST_CHARACTERS].encode("utf-8", "replace").decode()
    return f"{type(error).__name__}: {text}"


def call_last(
    callback: Callable[_Arguments, object], *arguments: _Arguments.args, **keywords: _Arguments.kwargs
) -> None:
    """Call what is told of the end: there is no result any more that could say that it raised, so the log does."""
    try:
        callback(*arguments, **keywords)
    except BaseException as error:
        import logging

        logging.getLogger(__name__).error("on_done raised %s", describe(error))


class LogDelivery:
    """Calls `on_log` with the records of one execution, in order, so that a slow one holds up no guest, nor another's.

    `couriers` are threads that the deliveries of an executor take in turns; one delivery is on one of them at most.
    """

    def __init__(self, on_log: Callable[[LogRecord], None], couriers: WorkerPool) -> None:
        self.charge: Callable[[float], object] = float
        """Gets the processor time of the calls."""
        self.failure: str | None = None
        """What the first exception of the callback was; None as long as there was none."""
        self.undelivered = 0
        """How many records it was not, or not yet, called with when the delivery was stopped."""
        self._on_log = on_log
        self._couriers = couriers
        self._lock = threading.Lock()
        self._records: deque[LogRecord] = deque()
        self._is_under_way = False
        self._is_calling = False
        self._is_stopped = False
        self._on_end: Callable[[], None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be delivered, or it was stopped."""
        return self._is_stopped or not self._is_under_way

    def post(self, record: LogRecord) -> None:
        """Have it called with a record."""
        with self._lock:
            if self._is_stopped:
                self.undelivered += 1
                return
            self._records.append(record)
            if self._is_under_way:
                return
            self._is_under_way = True
        self._go_on()

    def finish(self, on_end: Callable[[], None]) -> None:
        """Have a function called, once, after every record or when the delivery is stopped."""
        with self._lock:
            if self._is_under_way and not self._is_stopped:
                self._on_end = on_end
                return
        on_end()

    def stop(self) -> None:
        """Begin no other call, and wait for none."""
        with self._lock:
            if self._is_stopped:
                return
            self._is_stopped = True
            self.undelivered += len(self._records) + self._is_calling
            self._records.clear()
            on_end, self._on_end = self._on_end, None
            if self._is_calling:
                # It may never return: its thread is not to be missed by others.
                self._couriers.let_go()
        if on_end is not None:
            on_end()

    def _go_on(self) -> None:
        try:
            self._couriers.submit(self._deliver)
        except RuntimeError as error:
            self.failure = self.failure or f"on_log could not be called: {error}"
            self.stop()

    def _deliver(self) -> None:
        began = unclaimed_since()
        until = time.monotonic() + DELIVERY_SECONDS
        is_over = False
        while not is_over and time.monotonic() < until:
            with self._lock:
                is_over = not self._records
                self._is_calling = not is_over
                record = self._records.popleft() if self._records else None
            if record is not None:
                self._call(record)
                is_over = self._has_come_too_late()
        self.charge(claim(began))
        with self._lock:
            has_more = self._is_under_way = bool(self._records)
            on_end = None
            if not has_more:
                on_end, self._on_end = self._on_end, None
        if has_more:
            self._go_on()
        elif on_end is not None:
            on_end()

    def _call(self, record: LogRecord) -> None:
        try:
            self._on_log(record)
        except BaseException as error:  # the caller's callback must not take other executions with it
            if self.failure is None:
                self.failure = f"on_log raised {describe(error)}"

    def _has_come_too_late(self) -> bool:
        """Whether the delivery was stopped while the callback was called."""
        with self._lock:
            self._is_calling = False
            if self._is_stopped:
                self._couriers.take_back()
            return self._is_stopped
