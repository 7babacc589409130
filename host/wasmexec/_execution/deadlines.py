"""`Deadlines`: how long an execution has taken, by the wall and of the processor, and when it has to end."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from .._guest.instance import StopGuest
from ..limits import Limits
from .failures import Stop
from .unclaimed import claim, unclaimed_since

CLOSING_CPU_SECONDS = 0.25
CANCELLED_CPU_SECONDS = 0.03
"""How long it may take to bring an execution to its end that is out of time already, or was cancelled."""


class Cleanup:
    """Adds up the processor time that was spent on executions after their results were made; thread-safe."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        """Count some more."""
        with self._lock:
            self.seconds += seconds


class Deadlines:
    """The clocks of one execution; but for `interrupt` and `charge`, used by the worker that runs the guest.

    The processor's counts what the worker's thread does around the guest, too, from `enter` to `leave`, what it took to
    wake that thread, and whatever is charged. `on_exceeded` is called, from any thread, whenever something is charged
    beyond what the execution may use. What is charged after `end` is counted by `late`.
    """

    def __init__(self, limits: Limits, on_exceeded: Callable[[], None], late: Callable[[float], None]) -> None:
        self._limits = limits
        self._on_exceeded = on_exceeded
        self._late = late
        self._has_ended = False
        self._started: float | None = None
        self._cpu_used = 0.0
        self._entered_at = 0.0
        self._lock = threading.Lock()
        self._charged = 0.0
        self._is_interrupted = False
        self.noted_cpu_seconds = 0.0
        """Processor time when it was last looked at, a few milliseconds ago if the guest runs; for any thread."""
        self.wall = math.inf
        """When it is out of time, on the monotonic clock."""

    def start(self) -> None:
        """The execution begins."""
        self._started = time.monotonic()
        self.wall = self._started + self._limits.wall_seconds

    def enter(self) -> None:
        """This thread works for the execution from now on."""
        self._entered_at = unclaimed_since()

    def leave(self) -> None:
        """This thread is about to let go of it."""
        self._cpu_used += claim(self._entered_at)
        self._entered_at = unclaimed_since()
        self.noted_cpu_seconds = self._cpu_used + self._charged

    def charge(self, seconds: float) -> None:
        """Count processor time that another thread has used for it; from any thread."""
        with self._lock:
            if self._has_ended:
                self._late(seconds)
                return
            self._charged += seconds
            is_exceeded = self._cpu_used + self._charged > self._limits.cpu_seconds
        if is_exceeded:
            self._on_exceeded()

    def end(self) -> float:
        """Its result is told now; its processor time."""
        with self._lock:
            self._has_ended = True
        return self._cpu_used + self._charged

    def interrupt(self) -> None:
        """Have it stopped as soon as somebody looks; from any thread."""
        self._is_interrupted = True

    @property
    def wall_seconds(self) -> float:
        """Since the start; 0 before it."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    @property
    def cpu_seconds(self) -> float:
        """Processor time so far, between `enter` and `leave` and charged."""
        return self._cpu_used + self._charged + time.thread_time() - self._entered_at

    def check(self) -> None:
        """Raises: StopGuest: it was interrupted, or is out of time."""
        if self._is_interrupted:
            raise StopGuest(Stop.CANCELLED)
        if time.monotonic() >= self.wall:
            raise StopGuest(Stop.WALL)
        self.noted_cpu_seconds = used = self.cpu_seconds
        if used > self._limits.cpu_seconds:
            raise StopGuest(Stop.CPU)

    def closing(self, *, has_ended: bool) -> Callable[[], None]:
        """A check for what is done when the guest is gone; an execution that was to end before has a little longer."""
        if not has_ended:
            return self.check
        start = self.cpu_seconds
        until = start + (CANCELLED_CPU_SECONDS if self._is_interrupted else CLOSING_CPU_SECONDS)

        def check() -> None:
            if self.cpu_seconds > until or (self._is_interrupted and self.cpu_seconds > start + CANCELLED_CPU_SECONDS):
                raise StopGuest(Stop.CANCELLED if self._is_interrupted else Stop.CPU)

        return check
