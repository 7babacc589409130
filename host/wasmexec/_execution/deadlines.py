"""`Deadlines`: how long an execution has taken, by the wall and of the processor, and when it has to end."""

from __future__ import annotations

import math
import time

from .._guest.instance import StopGuest
from ..limits import Limits
from .failures import Stop


class Deadlines:
    """The clocks of one execution; but for `interrupt`, used by the worker that runs the guest.

    The processor's counts what the worker's thread does around the guest, too, from `enter` to `leave`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._started: float | None = None
        self._cpu_used = 0.0
        self._entered_at = 0.0
        self._is_interrupted = False
        self.wall = math.inf
        """When it is out of time, on the monotonic clock."""

    def start(self) -> None:
        """The execution begins."""
        self._started = time.monotonic()
        self.wall = self._started + self._limits.wall_seconds

    def enter(self) -> None:
        """This thread works for the execution from now on."""
        self._entered_at = time.thread_time()

    def leave(self) -> None:
        """This thread is about to let go of it."""
        self._cpu_used = self.cpu_seconds

    def charge(self, seconds: float) -> None:
        """Count processor time that others have taken for the execution."""
        self._cpu_used += seconds

    def interrupt(self) -> None:
        """Have it stopped as soon as somebody looks; from any thread."""
        self._is_interrupted = True

    @property
    def wall_seconds(self) -> float:
        """Since the start; 0 before it."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    @property
    def cpu_seconds(self) -> float:
        """Processor time so far, between `enter` and `leave`."""
        return self._cpu_used + time.thread_time() - self._entered_at

    def check(self) -> None:
        """Raises: StopGuest: it was interrupted, or is out of time."""
        if self._is_interrupted:
            raise StopGuest(Stop.CANCELLED)
        if time.monotonic() >= self.wall:
            raise StopGuest(Stop.WALL)
        if self.cpu_seconds > self._limits.cpu_seconds:
            raise StopGuest(Stop.CPU)
