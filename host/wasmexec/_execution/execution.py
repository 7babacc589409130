"""One execution as a small state machine: a worker steps the guest until it waits or ends, nobody waits with it.

    QUEUED ── a worker takes it ──> RUNNING ── done, dead, out of time ──> FINISHED
       ^                               │
       └── answer, timer, cancel ── WAITING (holds memory, but no thread)

Threads: `advance` runs on a worker, answers and timers on the loop thread, `cancel` anywhere. The lock guards what they
share; the guest is only ever touched by the worker that holds the execution in state RUNNING.
"""

from __future__ import annotations

import contextlib
import enum
import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .._guest.channel import BadFrame, Frame, InboxRefused, State
from .._guest.codes import Known, Refused, Text
from .._guest.instance import Instance, StopGuest
from .._guest.traps import GuestTrap
from .._hostcalls.log import LogCapability
from .._hostcalls.usage import UsageCounter
from ..errors import OutputError, WasmexecError
from ..result import LogRecord, Problem, Result, Usage
from ..status import Status
from . import failures, response
from .callbacks import call_last, describe
from .failures import NOWHERE, Facts, Place, Stop
from .request import compile_request

if TYPE_CHECKING:
    import asyncio

    from .._hostcalls.call_table import CallTable
    from .._replay.virtual import Virtual
    from .order import Order, Services

MAX_FRAME_OVERHEAD_BYTES = 16 * 1024 * 1024
"""What a frame may hold beyond the rows: one error, or the calls of one round with their bodies."""
MAX_STDIO_TAIL_BYTES = 8192
WHERE_CPU_SECONDS = 0.25
_FRAME_KINDS: dict[int, str] = {State.WAITING: "waiting", State.DONE: "done"}
_EMPTY_RESUME = b'{"kind":"resume","completions":[]}'


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
        self.problems: list[Problem] = []
        self.code: bytes | None = None
        self.failure: BaseException | None = None
        self._services = services
        self._order = order
        self._on_done = on_done
        self._limits = limits = order.limits
        self._course = course = order.course
        self._usage = UsageCounter() if course is None else course.usage
        self._warnings: list[str] = []
        mask = order.masker
        self._log = LogCapability(
            limits, mask, None if order.on_log is None else self._post_record,
            time.time if course is None else course.virtual.clock.seconds,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._phase = Phase.QUEUED
        self._cancelled = False
        self._blocked: threading.Event | None = None
        self._instance: Instance | None = None
        self._calls: CallTable | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._parked = 0
        self._asleep_at: Place | None = None
        self._stdio = b""
        self._started = 0.0
        self._wall_deadline = math.inf
        self._wake_at = math.inf
        self._cpu_used = 0.0
        self._cpu_mark = 0.0
        self._where_deadline: float | None = None
        self._on_log_failed = False

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
            self._cancelled = True
            blocked = self._blocked
            resume = self._phase is Phase.WAITING
            if resume:
                self._phase = Phase.QUEUED
        if blocked is not None:
            blocked.set()
        if resume:
            self.start()

    def advance(self) -> None:
        """Go on until the guest waits or ends; called by a worker."""
        with self._lock:
            self._phase = Phase.RUNNING
        self._cpu_mark = time.thread_time()
        try:
            result = self._advance()
            if result is not None and self._course is not None:
                result = self._course.ended(result)
        except BaseException as error:  # the caller must hear of our own faults, and the worker must live on
            self.failure = error
            self._finish()
            return
        if result is not None:
            self.result = result
            self._finish()

    def _advance(self) -> Result | None:
        try:
            self._stop_if_due()
            if self._instance is None:
                self._started = time.monotonic()
                self._wall_deadline = self._started + self._limits.wall_seconds
                course = self._course
                if course is not None:
                    course.begin()
                request = self._order.request
                if request.kind != "check":
                    code = self._order.code or self._known_code()
                    if isinstance(code, Refused):
                        return self._failed(*response.read_error(code.record, self._facts()))
                    self.code = code if isinstance(code, bytes) else None
                    if request.kind == "compile":
                        return self._finished(Status.FINISHED)
                    request = request.with_text() if self.code is None else request.with_code(self.code)
                self._instance = self._make_instance(None if course is None else course.virtual)
                frame = self._exchange(request.head, request.blobs)
            else:
                while self._is_too_early():
                    if self._park(self._wake_at, self._asleep_at or NOWHERE):
                        return None
                    self._stop_if_due()
                frame = self._exchange(*self._answers())
            while frame.head["kind"] == "waiting":
                if not self._may_go_on(frame):
                    return None
                self._stop_if_due()
                frame = self._exchange(*self._answers())
            return self._read_done(frame)
        except StopGuest as stop:
            return self._failed(*failures.stopped(stop.args[0], self._facts(self._locate())))
        except GuestTrap as trap:
            return self._trapped(trap)
        except BadFrame as error:
            return self._failed(*failures.lost(f"the guest broke the channel: {error}", "bad-frame", self._facts()))
        except InboxRefused:
            text = "the inputs do not fit into the memory of the guest"
            return self._failed(*failures.out_of_memory(text, self._facts()))

    def _make_instance(self, virtual: Virtual | None) -> Instance:
        guest, program = self._services.guest, self._order.request.program
        return Instance(guest, self, self._limits.memory_bytes, virtual, program)

    def _known_code(self) -> Known:
        """The code of the statement; compiled here if it is worth it."""
        request, codes = self._order.request, self._services.guest.codes
        statement = request.statement
        # Where an object lies in memory shows in its repr: what is to be repeated must not depend on who ran before.
        at_once = self._course is not None or request.kind == "compile"
        known = codes.find(statement, at_once=at_once)
        if known is None:
            try:
                known = self._compile(statement)
            finally:
                codes.keep(statement, known)
        if isinstance(known, Refused) and request.kind == "run" and self._order.masker is not None:
            # SECURITY: what is kept was cut without knowing the secrets of this run; the guest masks, then cuts.
            return Text.SEND
        return Text.SEND if known is None else known

    def _compile(self, statement: str) -> Known | None:
        """Have the statement compiled in an instance in which nothing else happens."""
        self._instance = instance = self._make_instance(None)
        known = response.read_code(self._exchange(compile_request(statement).head, ()))
        # With more memory it might compile: that is no property of the text.
        is_certain = not (isinstance(known, Refused) and instance.was_refused_memory)
        self._instance = None
        instance.close()
        return known if is_certain else None

    def _exchange(self, head: bytes, blobs: Sequence[bytes]) -> Frame:
        """Send a frame, run the guest, take the frame it left."""
        instance = self._instance
        assert instance is not None
        self._asleep_at = None
        ticker = self._services.guest.ticker
        ticker.enter()
        try:
            instance.channel.send(head, blobs)
            state = instance.step()
        finally:
            ticker.leave()
        header = instance.channel.header()
        kind = _FRAME_KINDS.get(state)
        if state != header.state or kind is None:
            raise BadFrame(f"wx_step returned {state}, the header says {header.state}")
        frame = instance.channel.receive(header, self._limits.output_bytes + MAX_FRAME_OVERHEAD_BYTES)
        if frame.head.get("kind") != kind:
            raise BadFrame(f"expected a {kind} frame")
        return frame

    def _answers(self) -> tuple[bytes, Sequence[bytes]]:
        answers = (_EMPTY_RESUME, ()) if self._calls is None else self._calls.collect()
        if self._course is not None:
            self._course.resume()
        return answers

    def _is_too_early(self) -> bool:
        """Whether it was woken for an answer that it has had already: a deterministic guest must not notice."""
        if self._course is None or time.monotonic() >= self._wake_at:
            return False
        return self._calls is None or not self._calls.has_answers

    def _may_go_on(self, frame: Frame) -> bool:
        """Start what a waiting frame asks for; False if the execution was parked and this thread must let go of it."""
        seconds = response.read_timer(frame)
        if frame.head.get("calls") or frame.head.get("cancels"):
            self._call_table().submit(frame)
        calls = self._calls
        if seconds is None and (calls is None or not (calls.has_open or calls.has_answers)):
            raise BadFrame("the guest waits for nothing")
        if self._course is not None:
            self._asleep_at = response.read_sleeping(frame, self._order.masker)
            if self._course.wait(seconds, calls):
                return True
        if seconds == 0:
            return True
        asleep_at = response.read_sleeping(frame, self._order.masker)
        due = self._wall_deadline if seconds is None else min(self._wall_deadline, time.monotonic() + seconds)
        return not self._park(due, asleep_at)

    def _park(self, due: float, asleep_at: Place) -> bool:
        """Have the execution woken at that time, or by an answer; False if there is a reason to go on already."""
        with self._lock:
            if self._cancelled or (self._calls is not None and self._calls.has_answers):
                return False
            self._phase = Phase.WAITING
            self._cpu_used = self._cpu_seconds()
            self._asleep_at = asleep_at
            self._wake_at = due
            self._parked += 1
            ticket = self._parked
        # From here on another worker may already run the guest.
        self._services.loop.call(self._arm, ticket, due)
        return True

    def _read_done(self, frame: Frame) -> Result:
        dropped = self._log.dropped(response.read_drop_counts(frame))
        outcome = frame.head.get("outcome")
        if outcome == "failed":
            return self._failed(*response.read_error(frame.head.get("error"), self._facts()), dropped=dropped)
        if outcome == "checked" and self._order.request.kind == "check":
            self.problems = response.read_problems(frame)
            return self._finished(Status.FINISHED, dropped=dropped)
        if outcome != "rows" or self._order.request.kind != "run":
            raise BadFrame("a done frame without the outcome that was asked for")
        rows, size = response.read_rows(frame)
        schema = self._order.schema
        assert schema is not None
        try:
            accepted = schema.validate(rows, self._order.masker)
        except OutputError as error:
            return self._failed(Status.OUTPUT_REFUSED, error, dropped=dropped)
        self._warnings += accepted.warnings
        status = (
            Status.FINISHED_WITH_ERRORS
            if self._log.has_errors
            else Status.FINISHED
            if accepted.rows
            else Status.FINISHED_NO_DATA
        )
        return self._finished(status, rows=accepted.rows, output_bytes=size, dropped=dropped)

    def _facts(self, place: Place = NOWHERE) -> Facts:
        instance, masker, words = self._instance, self._order.masker, self._stdio
        if masker is not None:
            words = masker.tail(words, MAX_STDIO_TAIL_BYTES).encode("utf-8", "replace")
        return Facts(
            limits=self._limits,
            wall_seconds=time.monotonic() - self._started if self._started else 0.0,
            cpu_seconds=self._cpu_seconds(),
            memory_bytes=0 if instance is None else instance.memory.size(),
            was_refused_memory=instance is not None and instance.was_refused_memory,
            last_words=words,
            place=place,
        )

    def _trapped(self, trap: GuestTrap) -> Result:
        instance = self._instance
        if instance is None:
            return self._failed(*failures.lost(f"no instance could be created: {trap.detail}", "engine", self._facts()))
        place = self._locate()
        exit_code = None
        with contextlib.suppress(BadFrame):
            header = instance.channel.header()
            exit_code = header.exit_code if header.state == State.EXITED else None
        return self._failed(*failures.trapped(trap, exit_code, self._facts(place)))

    def _failed(self, status: Status, error: WasmexecError, dropped: int | None = None) -> Result:
        if self._order.masker is not None:
            self._order.masker.error(error)
        response.bound_texts(error)
        return self._finished(status, error=error, dropped=dropped)

    def _finished(
        self,
        status: Status,
        *,
        rows: list[dict[str, Any]] | None = None,
        error: WasmexecError | None = None,
        output_bytes: int = 0,
        dropped: int | None = None,
    ) -> Result:
        facts, counter, mask = self._facts(), self._usage, self._order.masker
        self._warnings += counter.warnings
        if mask is not None:
            self._warnings = list(map(mask, self._warnings))
        return Result(
            status=status,
            rows=rows or [],
            logs=self._log.records,
            log_dropped=self._log.dropped() if dropped is None else dropped,
            error=error,
            usage=Usage(
                wall_seconds=facts.wall_seconds,
                cpu_seconds=facts.cpu_seconds,
                peak_memory_bytes=facts.memory_bytes,
                output_bytes=output_bytes,
                http_requests=counter.http_requests,
                http_bytes_sent=counter.http_bytes_sent,
                http_bytes_received=counter.http_bytes_received,
            ),
            warnings=self._warnings,
        )

    def _finish(self) -> None:
        with self._lock:
            self._phase = Phase.FINISHED
        if self._parked:
            self._services.loop.call(self._disarm)
        if self._calls is not None:
            self._calls.close()
        instance, self._instance = self._instance, None
        if self._order.on_log is None:
            call_last(self._on_done, self)
        else:
            self._services.courier.submit(partial(call_last, self._on_done, self))
        # Only now: nobody has to wait while the memory is put back.
        if instance is not None:
            instance.close()

    def _locate(self) -> Place:
        """Ask a guest that may be broken; where a waiting one waits is known."""
        if self._instance is None:
            return NOWHERE
        if self._asleep_at is not None:
            return self._asleep_at
        ticker = self._services.guest.ticker
        ticker.enter()
        self._where_deadline = time.thread_time() + WHERE_CPU_SECONDS
        try:
            return response.read_where(self._instance.where(), self._order.masker)
        except (GuestTrap, BadFrame, StopGuest):
            return NOWHERE
        finally:
            ticker.leave()

    def _stop_if_due(self) -> None:
        if self._cancelled:
            raise StopGuest(Stop.CANCELLED)
        if time.monotonic() >= self._wall_deadline:
            raise StopGuest(Stop.WALL)
        if self._cpu_seconds() > self._limits.cpu_seconds:
            raise StopGuest(Stop.CPU)

    def _cpu_seconds(self) -> float:
        """Processor time so far, what this thread did around the guest included; only for the worker that runs it."""
        return self._cpu_used + time.thread_time() - self._cpu_mark

    def _block(self, event: threading.Event, seconds: float = math.inf) -> None:
        """Hold this thread until the event is set, the seconds are over or the execution is to end."""
        until = time.monotonic() + seconds
        with self._lock:
            self._blocked = event
        ticker = self._services.guest.ticker
        ticker.leave()
        try:
            self._stop_if_due()
            while not event.wait(max(0.0, min(until, self._wall_deadline) - time.monotonic())):
                self._stop_if_due()
                if time.monotonic() >= until:
                    return
            self._stop_if_due()
        finally:
            ticker.enter()
            with self._lock:
                self._blocked = None

    def _call_table(self) -> CallTable:
        if self._calls is None:
            from .._hostcalls.call_table import CallTable
            from .._hostcalls.calls import HostCalls

            calls = HostCalls(self._order.grants, self._limits, self._usage)
            make = CallTable if self._course is None else self._course.call_table
            self._calls = make(calls, self._services.loop, self._wake)
            self._calls.masker = self._order.masker
        return self._calls

    def _wake(self) -> None:
        """An answer is there; on the loop thread."""
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

    def _post_record(self, record: LogRecord) -> None:
        self._services.courier.submit(partial(self._deliver, record))

    def _deliver(self, record: LogRecord) -> None:
        on_log = self._order.on_log
        assert on_log is not None
        try:
            on_log(record)
        except BaseException as error:  # the caller's callback must not take other executions with it
            if not self._on_log_failed:
                self._on_log_failed = True
                self._warnings.append(f"on_log raised {describe(error)}")

    def guest_log(self, level: int, message: memoryview) -> bool:
        self._refuse_while_locating()
        return self._log.append(level, message)

    def guest_call(self, request: memoryview) -> bytes:
        self._refuse_while_locating()
        return self._call_table().call(request, self._block)

    def guest_sleep(self, seconds: float) -> None:
        self._refuse_while_locating()
        course = self._course
        if course is None or not course.skips_sleeps:
            self._block(threading.Event(), seconds)
        if course is not None:
            course.sleep(seconds)

    def guest_stdio(self, fd: int, data: bytes) -> None:
        masker = self._order.masker
        kept = MAX_STDIO_TAIL_BYTES + (0 if masker is None else masker.margin)
        self._stdio = (self._stdio + data)[-kept:]

    def guest_tick(self) -> None:
        if self._where_deadline is not None:
            if time.thread_time() > self._where_deadline:
                raise StopGuest(Stop.LOCATING)
            return
        self._stop_if_due()

    def _refuse_while_locating(self) -> None:
        if self._where_deadline is not None:
            raise StopGuest(Stop.LOCATING)
