"""One execution as a small state machine: a worker steps the guest until it waits or ends, nobody waits with it.

    QUEUED ── a worker takes it ──> RUNNING ── done, dead, out of time ──> FINISHED (its log may still be delivered)
       ^                               │
       └── answer, timer, cancel ── WAITING (holds memory, but no thread)

Threads: `advance` runs on a worker, answers come on the loop thread and timers on theirs, `cancel` anywhere. The lock
guards what they share; the guest is only ever touched by the worker that holds the execution in state RUNNING.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..result import Problem, Result
from .callbacks import LogDelivery, call_last
from .gate import Gate
from .guest_run import GuestRun, Waiting
from .unclaimed import claim, unclaimed_since

if TYPE_CHECKING:
    from .order import Order, Services
    from .timers import Timer

LAST_RECORDS_SECONDS = 1.0
"""How long a result may wait for the delivery of its log, although its time is over."""
CANCELLED_RECORDS_SECONDS = 0.02
"""The same of one that was cancelled."""


class Phase(enum.Enum):
    """Who may touch the execution; see the picture above."""

    QUEUED = 1
    RUNNING = 2
    WAITING = 3
    FINISHED = 4


_awake: set[Execution] = set()
"""Those of this process that a worker works for, or should: what the loop does for others holds them up."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_awake.clear)


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
        # The usage of other requests is told to nobody.
        self._is_run = order.request.kind == "run"
        self._logs = None if order.on_log is None else LogDelivery(order.on_log, services.couriers)
        deliver = order.on_record if self._logs is None else self._logs.post
        self._gate = Gate(order.on_wake, order.free_awake)
        self._guest = GuestRun(services, order, self._look, deliver, self._has_company, self._pass_gate)
        if self._logs is not None:
            self._logs.charge = self._guest.charge
        self._lock = threading.Lock()
        self._phase = Phase.QUEUED
        self._is_cancelled = False
        self._timer: Timer | None = None

    @property
    def code(self) -> bytes | None:
        """The code of the statement, if it was compiled."""
        return self._guest.code

    @property
    def is_waiting(self) -> bool:
        """Whether it has no place among the workers: it is asleep, or waits for an answer."""
        return self._phase is Phase.WAITING or self._guest.is_elsewhere or self._gate.is_shut

    @property
    def noted_cpu_seconds(self) -> float:
        """Processor time when it was last looked at, a few milliseconds ago if the guest runs."""
        return self._guest.noted_cpu_seconds

    def start(self) -> None:
        """Queue it for a worker."""
        try:
            self._submit()
        except BaseException:
            _awake.discard(self)
            raise

    def cancel(self) -> None:
        """End it with status 303 wherever it is, within a few milliseconds.

        If it has finished, its result waits for its log no longer.
        """
        with self._lock:
            self._is_cancelled = True
            phase = self._phase
        if phase is Phase.FINISHED:
            self._stop_delivery(CANCELLED_RECORDS_SECONDS)
            return
        self._guest.interrupt()
        if phase is Phase.QUEUED:
            self._hurry()

    def go_on(self) -> None:
        """Let it compute again, if it has asked for that; on any thread."""
        with self._lock:
            was_shut = self._gate.open()
            is_held = was_shut and self._phase is Phase.QUEUED
            if was_shut and not is_held:
                # It blocks, and has a place again as soon as its thread has taken it.
                self._guest.is_elsewhere = False
        if is_held:
            self._resume()

    def advance(self) -> None:
        """Go on until the guest waits or ends; called by a worker."""
        with self._lock:
            if self._phase is not Phase.QUEUED:
                return
            self._phase = Phase.RUNNING
            self._gate.open()
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
            self._replace_timer(waiting.due, self._look)
            self._guest.leave()
            self._phase = Phase.WAITING
            _awake.discard(self)
        # From here on another worker may already run the guest.
        return True

    def _look(self) -> None:
        """There is a reason to go on: an answer, its time, its end; on any thread."""
        with self._lock:
            phase = self._phase
            is_held = phase is Phase.WAITING and not self._is_cancelled and self._gate.shuts(len(_awake))
            if phase is Phase.WAITING:
                self._phase = Phase.QUEUED
            if is_held:
                self._replace_timer(self._guest.wall, self._hurry)
        if is_held:
            self._gate.ask()
        elif phase is Phase.FINISHED:
            # The callback uses more than the execution may.
            self._stop_delivery(LAST_RECORDS_SECONDS, at_once=True)
        elif phase is Phase.WAITING:
            self._resume()

    def _resume(self) -> None:
        try:
            is_taken = self._submit()
        except RuntimeError:
            # The executor is closed, and nobody else is there to end it.
            self._guest.interrupt()
            self.advance()
            return
        if not is_taken:
            with self._lock:
                if self._phase is Phase.QUEUED:
                    self._replace_timer(self._guest.wall, self._hurry)

    def _submit(self) -> bool:
        _awake.add(self)
        return self._services.workers.submit(self.advance)

    def _pass_gate(self, check: Callable[[], None]) -> None:
        """Return once a guest that blocked may compute again; what `check` raises is raised."""
        if self._gate.shuts(len(_awake)):
            self._gate.wait(check)

    def _has_company(self) -> bool:
        return len(_awake) > (self in _awake)

    def _hurry(self) -> None:
        """It has to end, and perhaps all workers are busy: it needs none, for its guest does not run any more."""
        self._elsewhere(self.advance)

    def _elsewhere(self, function: Callable[[], None]) -> None:
        try:
            self._services.enders.submit(function)
        except RuntimeError:
            function()

    def _finish(self) -> None:
        with self._lock:
            self._phase = Phase.FINISHED
            _awake.discard(self)
        self._guest.leave()
        began = unclaimed_since()
        self._guest.stop_calls()
        if self._logs is None:
            self._tell()
        else:
            # After every record.
            self._logs.finish(self._tell)
            self._stop_delivery(CANCELLED_RECORDS_SECONDS if self._is_cancelled else LAST_RECORDS_SECONDS)
        # Only now: nobody has to wait while the memory is put back.
        self._guest.close()
        self._guest.charge(claim(began))

    def _stop_delivery(self, seconds: float, *, at_once: bool = False) -> None:
        """Have the delivery of the log stopped after so long, unless the time that the execution has ends later."""
        logs = self._logs
        if logs is None:
            return
        due = time.monotonic() + seconds
        if not (at_once or self._is_cancelled) and math.isfinite(self._guest.wall):
            due = max(due, self._guest.wall)
        with self._lock:
            if not logs.is_over and (self._timer is None or due < self._timer.due):
                self._replace_timer(due, partial(self._elsewhere, logs.stop))

    def _replace_timer(self, due: float | None, function: Callable[[], None]) -> None:
        """Set the one timer of this execution, or with None none; the lock is held."""
        timers, timer = self._services.timers, self._timer
        if timer is not None:
            timers.cancel(timer)
        self._timer = None if due is None else timers.at(due, function, self._guest.charge)

    def _tell(self) -> None:
        """On some thread, once: the result is complete."""
        cpu_seconds = self._guest.end()
        logs, result = self._logs, self.result
        if logs is not None:
            with self._lock:
                self._replace_timer(None, logs.stop)
            if result is not None:
                result = self.result = self._with_delivery(result, logs, cpu_seconds)
        told = result.usage.cpu_seconds if result is not None and self._is_run else 0.0
        self._services.cleanup.add(cpu_seconds - told)
        call_last(self._on_done, self)

    def _with_delivery(self, result: Result, logs: LogDelivery, cpu_seconds: float) -> Result:
        """The result with what became of the delivery of its log."""
        found = [logs.failure] if logs.failure is not None else []
        if logs.undelivered:
            found.append(f"on_log was not called with the last {logs.undelivered:,} records, or had not returned")
        result.warnings.extend(found if self._mask is None else map(self._mask, found))
        usage = dataclasses.replace(result.usage, cpu_seconds=cpu_seconds)
        return dataclasses.replace(result, rows=result.block, usage=usage)


def result_of(execution: Execution) -> Result:
    """The result of an execution that has ended; raises what our own code is at fault for."""
    if execution.failure is not None:
        raise execution.failure
    assert execution.result is not None
    return execution.result
