"""One execution as a small state machine: a worker steps the guest until it waits or ends, nobody waits with it.

    QUEUED ── a worker takes it ──> RUNNING ── done, dead, out of time ──> FINISHED
       ^                               │
       └── answer, timer, cancel ── WAITING (holds memory, but no thread)

Threads: `advance` runs on a worker, answers and timers on the loop thread, `cancel` anywhere. The lock guards what they
share; the guest is only ever touched by the worker that holds the execution in state RUNNING.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..result import Problem, Result
from .callbacks import LogDelivery, call_last
from .guest_run import GuestRun, Waiting

if TYPE_CHECKING:
    import asyncio

    from .order import Order, Services


class Phase(enum.Enum):
    """Who may touch the execution; see the picture above."""

    QUEUED = 1
    RUNNING = 2
    WAITING = 3
    FINISHED = 4


class Execution:
    """Runs one order and calls `on_done(self)` exactly once, on some thread of ours, when `result` is set.

    `problems` is the outcome of a check request, `code` that of a compile request if there is any. `failure` is set
    instead of `result` when our own code is at fault.
    """

    def __init__(self, services: Services, order: Order, on_done: Callable[[Execution], None]) -> None:
        self.result: Result | None = None
        self.problems: Sequence[Problem] = ()
        self.failure: BaseException | None = None
        self._services = services
        self._on_done = on_done
        self._mask = order.masker
        self._logs = None if order.on_log is None else LogDelivery(order.on_log, services.courier)
        self._guest = GuestRun(services, order, self._wake, None if self._logs is None else self._logs.post)
        self._lock = threading.Lock()
        self._phase = Phase.QUEUED
        self._is_cancelled = False
        self._parked = 0
        # Only the loop thread touches it.
        self._timer: asyncio.TimerHandle | None = None

    @property
    def code(self) -> bytes | None:
        """The code of the statement, if it was compiled."""
        return self._guest.code

    @property
    def is_waiting(self) -> bool:
        """Whether it holds no thread: it is asleep, or waits for an answer."""
        return self._phase is Phase.WAITING

    def start(self) -> None:
        """Queue it for a worker."""
        self._services.workers.submit(self.advance)

    def cancel(self) -> None:
        """End it with status 303 wherever it is, within a few milliseconds; nothing if it has finished."""
        with self._lock:
            self._is_cancelled = True
            self._guest.interrupt()
            resume = self._phase is Phase.WAITING
            if resume:
                self._phase = Phase.QUEUED
        if resume:
            self.start()

    def advance(self) -> None:
        """Go on until the guest waits or ends; called by a worker."""
        with self._lock:
            self._phase = Phase.RUNNING
        self._guest.enter()
        try:
            outcome = self._guest.go_on()
            while isinstance(outcome, Waiting):
                if self._park(outcome):
                    return
                outcome = self._guest.go_on()
            self.problems = outcome.problems
            self.result = self._guest.result(outcome)
        except BaseException as error:  # the caller must hear of our own faults, and the worker must live on
            self.failure = error
        self._finish()

    def _park(self, waiting: Waiting) -> bool:
        """Have the execution woken at that time, or by an answer; False if there is a reason to go on already."""
        with self._lock:
            if self._is_cancelled or self._guest.has_answers:
                return False
            self._phase = Phase.WAITING
            self._guest.leave()
            self._parked += 1
            ticket = self._parked
        # From here on another worker may already run the guest.
        self._services.loop.call(self._arm, ticket, waiting.due)
        return True

    def _wake(self) -> None:
        """An answer is there, or it is time; on the loop thread."""
        with self._lock:
            if self._phase is not Phase.WAITING:
                return
            self._phase = Phase.QUEUED
        self.start()

    def _arm(self, ticket: int, due: float) -> None:
        import asyncio

        self._disarm()
        if ticket == self._parked:
            delay = max(0.0, due - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._ring, ticket)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self, ticket: int) -> None:
        if ticket == self._parked:
            self._wake()

    def _finish(self) -> None:
        with self._lock:
            self._phase = Phase.FINISHED
        if self._parked:
            self._services.loop.call(self._disarm)
        self._guest.stop_calls()
        if self._logs is None:
            call_last(self._on_done, self)
        else:
            # After every record.
            self._services.courier.submit(partial(self._tell, self._logs))
        # Only now: nobody has to wait while the memory is put back.
        self._guest.close()

    def _tell(self, logs: LogDelivery) -> None:
        if logs.failure is not None and self.result is not None:
            self.result.warnings.append(logs.failure if self._mask is None else self._mask(logs.failure))
        call_last(self._on_done, self)


def result_of(execution: Execution) -> Result:
    """The result of an execution that has ended; raises what our own code is at fault for."""
    if execution.failure is not None:
        raise execution.failure
    assert execution.result is not None
    return execution.result
