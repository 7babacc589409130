"""Executions of one order in worker processes: one per processor, for guests of one process slow each other down."""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from .._execution.callbacks import call_last
from ..errors import GuestLostError, InputError, TimeLimitError, WasmexecError
from ..result import Result
from ..rows.json_text import encode
from ..status import Status
from .figures import ProcessLimits, ProcessStatistics
from .local import Done, cancelled
from .messages import BadMessage, Frame, Kind, pack
from .order import Order
from .process import WorkerProcess, worker_command
from .results import ResultCodec

CLOSE_SECONDS = 5.0
_AHEAD = 4
"""Executions that a process has beyond those it may run at once: it goes on while its results are read."""
_TICK_SECONDS = 0.25
_LATE_SECONDS = 1.0
_RESTART_SECONDS = 60.0


class Processes:
    """Spreads executions over processes; `done` is called once for each, on a thread of its own.

    A process that dies, breaks the rules of the frames or leaves an execution overdue is ended and replaced. What it
    had been given is lost (status 304, trap "worker"; 302 for what was overdue): it may have run, so it is not run
    again. What none was given yet goes to another one.

    `is_ready` is true once all have loaded the image; `has_failed` if one could not.

    SECURITY: a worker ran hostile guests. Nothing that it says is believed unchecked, least of all that time is left.
    """

    def __init__(
        self, order: Order, done: Done, limit: int, processes: int, *, process_limits: ProcessLimits | None = None,
        command: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        at_once = max(1, -(-limit // processes))
        self._order = pack(Kind.ORDER, fields=encode({"limit": at_once}), body=order.pack())
        self._codec = ResultCodec(order.limits, order.output.prepared)
        self._limits = order.limits
        self._rules = process_limits or ProcessLimits()
        self._command = list(command or worker_command())
        self._tell = done
        self._room = at_once + _AHEAD
        self._wanted = processes
        self._lock = threading.Lock()
        self._queue: deque[tuple[int, bytes | None]] = deque()
        self._processes: list[WorkerProcess] = []
        self._dying: list[WorkerProcess] = []
        self._deaths: deque[float] = deque()
        self._ready = self._failed = self._closing = False
        self._refusal: str | None = None
        self._cancelled_at: float | None = None
        self._finished = self._lost = self._recycled = self._restarts = 0
        self._ticked = time.monotonic()
        self._outputs: dict[int, WorkerProcess] = {}
        self._poll = select.poll()
        self._alarm, self._bell = os.pipe()
        os.set_blocking(self._alarm, False)
        os.set_blocking(self._bell, False)
        self._poll.register(self._alarm, select.POLLIN)
        self._fill()
        self._thread = threading.Thread(target=self._watch, name="wasmexec-processes", daemon=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """All processes have been able to run executions."""
        return self._ready

    @property
    def has_failed(self) -> bool:
        """A process ended before all were ready."""
        return self._failed

    def statistics(self) -> ProcessStatistics:
        """Counts of this moment."""
        with self._lock:
            return ProcessStatistics(
                pids=tuple(process.pid for process in self._processes),
                under_way=sum(len(process.under_way) for process in self._processes),
                waiting=len(self._queue), done=self._finished, lost=self._lost, recycled=self._recycled,
                restarts=self._restarts, memory_bytes=sum(process.private_bytes() for process in self._processes),
            )  # fmt: skip

    def start(self, index: int, data: bytes | None) -> None:
        """Run the statement on an input in the process that has least to do, or as soon as one has room.

        Raises:
            WasmexecError: processes die again and again, or all this is closed; `done` is not called for it.
        """
        size, most = len(data or b""), self._limits.input_bytes
        if size > most:
            text = f"the input has {size:,} bytes of JSON; at most {most:,} are allowed (limit input_bytes)"
            self._done(index, Result(status=Status.INPUT_REFUSED, error=InputError(text)))
            return
        with self._lock:
            if self._refusal is not None:
                raise WasmexecError(self._refusal)
            if self._cancelled_at is None:
                self._queue.append((index, data))
                self._hand_out()
                return
        self._done(index, cancelled())

    def cancel(self) -> None:
        """End everything with status 303; what has not started never does."""
        with self._lock:
            if self._cancelled_at is None:
                self._cancelled_at = time.monotonic()
            waiting, self._queue = self._queue, deque()
            for process in self._processes:
                process.send(pack(Kind.CANCEL))
            if not self._closing:
                self._ring()
        for index, _ in waiting:
            self._done(index, cancelled())

    def close(self) -> None:
        """End the processes and the thread, with status 303 for whatever is under way; idempotent.

        Takes three times `CLOSE_SECONDS` at most.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
            self._refusal = "the worker processes were closed"
            self._ring()
        try:
            if threading.current_thread() is not self._thread:
                self._thread.join(CLOSE_SECONDS)
        finally:
            with self._lock:
                processes, self._processes = self._processes + self._dying, []
                self._dying = []
                left = [index for process in processes for index in process.under_way]
                left += [index for index, _ in self._queue]
                self._queue.clear()
                for process in processes:
                    process.under_way.clear()
            _end(processes)
        for index in left:
            self._done(index, cancelled())
        self._codec.close()
        if not self._thread.is_alive():
            os.close(self._alarm)
            os.close(self._bell)

    # What follows is done with the lock held.

    def _fill(self) -> None:
        """Start what is missing."""
        while self._spare() < 0 and self._refusal is None:
            try:
                self._spawn()
            except OSError as error:
                self._count_death(str(error))

    def _spawn(self) -> None:
        process = WorkerProcess(self._command, {Kind.RESULT: self._codec.room}, self._order)
        self._processes.append(process)
        self._outputs[process.output] = process
        self._poll.register(process.output, select.POLLIN)
        if process.is_blocked:
            self._ring()

    def _spare(self) -> int:
        """How many processes there are beyond those that are wanted, without those that retire."""
        return sum(not process.is_retiring for process in self._processes) - self._wanted

    def _count_death(self, reason: str) -> None:
        """Refuse to go on if there were too many, or the first was before anything could run."""
        now = time.monotonic()
        self._deaths.append(now)
        while now - self._deaths[0] > _RESTART_SECONDS:
            self._deaths.popleft()
        if not self._ready:
            self._failed = True
            self._refusal = f"a worker process could not be started: {reason}"
        elif len(self._deaths) > self._rules.restarts:
            self._refusal = f"the worker processes have died {len(self._deaths)} times in a minute, the last: {reason}"

    def _hand_out(self) -> None:
        """Give the processes what they have room for."""
        is_blocked = False
        while self._queue:
            free = [
                process
                for process in self._processes
                if process.is_ready and not process.is_retiring and len(process.under_way) < self._room
            ]
            if not free:
                break
            process = min(free, key=lambda item: len(item.under_way))
            process.run(*self._queue.popleft())
            is_blocked |= process.is_blocked
        if is_blocked:
            self._ring()

    def _remove(self, process: WorkerProcess) -> None:
        self._processes.remove(process)
        del self._outputs[process.output]
        self._poll.unregister(process.output)
        self._dismiss(process)
        if process.reap() is None:
            self._dying.append(process)

    def _dismiss(self, process: WorkerProcess) -> None:
        """Tell a process to end."""
        if process.is_watched:
            # Before its descriptor is closed, and may be that of another.
            self._poll.unregister(process.input)
            process.is_watched = False
        process.oldest_since = time.monotonic()
        process.end_of_input()

    def _ring(self) -> None:
        """Have the thread look again."""
        with suppress(BlockingIOError):
            os.write(self._bell, b"!")

    def _due(self, process: WorkerProcess) -> float:
        """When the process must have said something at the latest."""
        if not process.is_ready:
            return process.started + self._rules.start_seconds
        if process.under_way:
            due = process.oldest_since + self._limits.wall_seconds + self._rules.grace_seconds
            return due if self._cancelled_at is None else min(due, self._cancelled_at + self._rules.cancel_seconds)
        return process.oldest_since + CLOSE_SECONDS if process.is_retiring else float("inf")

    # What follows is done by the thread; it takes the lock where it needs it.

    def _watch(self) -> None:
        try:
            while not self._closing:
                self._turn()
        except BaseException as failure:  # nobody may wait for what will not come
            with self._lock:
                self._refusal = self._refusal or f"internal error: {failure!r}"
                processes, self._processes = self._processes, []
                self._dying += processes
                lost = [index for process in processes for index in process.under_way]
                lost += [index for index, _ in self._queue]
                self._queue.clear()
                for process in processes:
                    process.under_way.clear()
                    process.kill()
            for index in lost:
                self._done(index, failure)

    def _turn(self) -> None:
        """Wait a moment until something happens, and see to it."""
        for descriptor, _ in self._poll.poll(_TICK_SECONDS * 1000):
            process = self._outputs.get(descriptor)
            if process is not None:
                self._receive(process)
            else:
                self._send()
        now = time.monotonic()
        if now - self._ticked >= _TICK_SECONDS:
            late, self._ticked = now - self._ticked - _TICK_SECONDS, now
            if late > _LATE_SECONDS:
                self._forgive(late)
            self._end_overdue()
            self._look_at_memory()
            self._dying = [process for process in self._dying if process.reap() is None]

    def _send(self) -> None:
        """Write what the pipes have not taken yet, and have those looked at that are still full."""
        with suppress(BlockingIOError):
            os.read(self._alarm, 4096)
        with self._lock:
            for process in self._processes:
                process.flush()
                if process.is_blocked is not process.is_watched:
                    process.is_watched = process.is_blocked
                    if process.is_blocked:
                        self._poll.register(process.input, select.POLLOUT)
                    else:
                        self._poll.unregister(process.input)

    def _forgive(self, late: float) -> None:
        """Time in which this process itself stood still, or whom it tells results, is not the workers' fault."""
        with self._lock:
            for process in self._processes:
                process.oldest_since += late
                process.started += late
            if self._cancelled_at is not None:
                self._cancelled_at += late

    def _receive(self, process: WorkerProcess) -> None:
        try:
            frames = process.receive()
            if frames is None:
                self._ended(process)
                return
            for frame in frames:
                self._take(process, frame)
        except BadMessage as lie:
            self._lose(process, f"was ended: it sent {lie}")

    def _take(self, process: WorkerProcess, frame: Frame) -> None:
        """Raises: BadMessage: it is not what this process may say now."""
        if frame.kind is Kind.READY:
            with self._lock:
                process.note_ready(frame)
                self._relieve()
                self._ready |= all(item.is_ready for item in self._processes) and not self._failed
                self._hand_out()
            return
        process.check(frame.execution)
        result = self._codec.unpack(frame.fields, frame.body)
        with self._lock:
            process.settle(frame.execution)
            self._finished += 1
            if process.given >= self._rules.executions:
                self._recycle(process)
            if process.is_retiring and not process.under_way:
                self._dismiss(process)
            self._hand_out()
        self._done(frame.execution, result)

    def _recycle(self, process: WorkerProcess) -> None:
        """Start the replacement of a process that has grown old or large; one at a time."""
        if self._spare() > 0 or process.is_retiring or self._refusal is not None:
            return
        try:
            self._spawn()
            process.is_worn = True
        except OSError:
            # It goes on for as long as it has already.
            process.given = 0
            process.small_at = time.monotonic()

    def _relieve(self) -> None:
        """Retire a process whose replacement is ready."""
        for process in self._processes:
            if process.is_worn and not process.is_retiring and self._spare() > 0:
                process.is_retiring = True
                self._recycled += 1
                if not process.under_way:
                    self._dismiss(process)

    def _look_at_memory(self) -> None:
        now = time.monotonic()
        with self._lock:
            for process in tuple(self._processes):
                if process.private_bytes() <= self._rules.memory_bytes:
                    process.small_at = now
                elif now - process.small_at >= self._rules.memory_seconds:
                    self._recycle(process)

    def _end_overdue(self) -> None:
        now = time.monotonic()
        with self._lock:
            overdue = [process for process in self._processes if self._due(process) <= now]
        for process in overdue:
            if not process.is_ready:
                self._lose(process, f"was ended: it was not ready after {self._rules.start_seconds:g} s")
            elif self._cancelled_at is not None:
                self._lose(process, "was ended", lambda index: cancelled())
            else:
                self._lose(process, "was ended: it left an execution overdue", self._overdue(process, now))

    def _overdue(self, process: WorkerProcess, now: float) -> Callable[[int], Result | None]:
        limit = self._limits.wall_seconds
        with self._lock:
            oldest = next(iter(process.under_way), None)
        error = TimeLimitError(
            f"out of time ({limit:g} s), and its worker process did not end it", limit=limit,
            used=now - process.oldest_since,
        )  # fmt: skip
        return lambda index: Result(status=Status.TIMED_OUT, error=error) if index == oldest else None

    def _ended(self, process: WorkerProcess) -> None:
        """Its output is at its end."""
        if process.is_retiring and not process.under_way:
            with self._lock:
                self._remove(process)
            return
        code = process.exit_code()
        how = "closed its output" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        self._lose(process, f"died ({how})")

    def _lose(
        self, process: WorkerProcess, what: str, outcome_of: Callable[[int], Result | None] = lambda index: None
    ) -> None:
        """End a process and replace it; what it had under way is lost."""
        process.kill()
        with self._lock:
            lost = list(process.under_way)
            process.under_way.clear()
            self._lost += len(lost)
            self._remove(process)
            if self._cancelled_at is None:
                self._count_death(f"it {what}")
                before = len(self._processes)
                self._fill()
                self._restarts += len(self._processes) - before
            waiting: list[tuple[int, bytes | None]] = []
            if self._refusal is not None and not self._closing:
                waiting, self._queue = list(self._queue), deque()
            self._hand_out()
        for index in lost:
            self._done(index, outcome_of(index) or _lost(f"the worker process that ran it {what}"))
        for index, _ in waiting:
            self._done(index, _lost(self._refusal or ""))

    def _done(self, index: int, outcome: Result | BaseException) -> None:
        call_last(self._tell, index, outcome)


def _lost(text: str) -> Result:
    return Result(status=Status.RUNTIME_FAILED, error=GuestLostError(text, trap="worker"))


def _end(processes: Sequence[WorkerProcess]) -> None:
    """Have processes end, and see that they have."""
    for process in processes:
        process.end_of_input()
    try:
        until = time.monotonic() + CLOSE_SECONDS
        left = [process for process in processes if process.reap(max(0.0, until - time.monotonic())) is None]
    finally:
        for process in processes:
            process.kill()
    until = time.monotonic() + CLOSE_SECONDS
    for process in left:
        process.reap(max(0.0, until - time.monotonic()))
