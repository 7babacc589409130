"""`Timers`: one thread that calls functions when it is time, and nothing else: no work of anybody can hold it up."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable

from .unclaimed import claim, own_thread

JOIN_SECONDS = 10.0
_FEW = 64


class Timer:
    """A function that will be called at a time on the monotonic clock, unless it is cancelled before."""

    __slots__ = ("charge", "due", "function")

    def __init__(self, due: float, function: Callable[[], None], charge: Callable[[float], None]) -> None:
        self.due = due
        self.function: Callable[[], None] | None = function
        self.charge = charge

    def __lt__(self, other: Timer) -> bool:
        return self.due < other.due


class Timers:
    """Calls functions, which must be quick and not raise, at their times; the thread starts at first use.

    What that costs is charged to each by the function that it names, and so is it when the thread is only woken because
    a timer is the first one now.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._timers: list[Timer] = []
        self._cancelled = 0
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._wakes_at = -math.inf

    def at(self, due: float, function: Callable[[], None], charge: Callable[[float], None]) -> Timer:
        """Have a function called on the thread, and `charge` with the processor time; after `close` they are not.

        Raises:
            RuntimeError: the system gives no thread.
        """
        timer = Timer(due, function, charge)
        with self._changed:
            if self._is_closed:
                return timer
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="wasmexec-timers", daemon=True)
                thread.start()
                self._thread = thread
            heapq.heappush(self._timers, timer)
            if due < self._wakes_at:
                self._changed.notify()
        return timer

    def cancel(self, timer: Timer) -> None:
        """Forget it, if it has not been called."""
        with self._changed:
            if timer.function is None:
                return
            timer.function = None
            self._cancelled += 1
            if self._cancelled > max(_FEW, len(self._timers) // 2):
                self._timers = [other for other in self._timers if other.function is not None]
                heapq.heapify(self._timers)
                self._cancelled = 0

    def close(self) -> None:
        """Forget all of them and end the thread; idempotent."""
        with self._changed:
            self._is_closed = True
            self._timers.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        own_thread()
        while True:
            function = None
            with self._changed:
                timer = self._next()
                if self._is_closed:
                    return
                if timer is not None:
                    function, timer.function = timer.function, None
                    self._cancelled -= function is None
                elif self._timers:
                    timer = self._timers[0]
            if function is not None:
                function()
            if timer is not None:
                timer.charge(claim(0.0))

    def _next(self) -> Timer | None:
        """Wait for the first timer; None to look again."""
        due = self._timers[0].due if self._timers else math.inf
        left = due - time.monotonic()
        if left <= 0:
            return heapq.heappop(self._timers)
        self._wakes_at = due
        self._changed.wait(min(left, threading.TIMEOUT_MAX))
        self._wakes_at = -math.inf
        return None
