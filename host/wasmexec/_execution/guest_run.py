"""`GuestRun`: the guest of one execution, from the frame that starts it to the one that it leaves at its end.

What the guest asks of the host meanwhile (its log, its calls, its sleep) is answered here; who runs it, and when it
waits without a thread, is up to `Execution`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from .._finishing.acceptance import Accepted, Bounds
from .._guest.channel import BadFrame, Blob, Frame, InboxRefused, State
from .._guest.codes import Known, Refused, Text
from .._guest.instance import Instance, StopGuest, VirtualTime
from .._guest.traps import GuestTrap
from .._hostcalls.log import LogCapability
from ..errors import CpuLimitError, ExecutionCancelled, TimeLimitError
from ..result import LogRecord, Result
from ..status import Status
from . import failures, response
from .deadlines import Deadlines
from .failures import NOWHERE, Facts, Place, Stop, lines_of
from .outcome import Outcome, make_result, read_done
from .request import compile_request

if TYPE_CHECKING:
    from .._hostcalls.call_table import CallTable
    from .._hostcalls.live import Live
    from .order import Order, Services

MAX_FRAME_OVERHEAD_BYTES = 16 * 1024 * 1024
"""What a frame may hold beyond the rows: one error, or the calls of one round with their bodies."""
MAX_STDIO_TAIL_BYTES = 8192
WHERE_CPU_SECONDS = 0.25
HELD_SECONDS = 0.002
"""How long a guest that blocks keeps its place among the workers."""
_FRAME_KINDS: dict[int, str] = {State.WAITING: "waiting", State.DONE: "done"}
AT_THE_END = (CpuLimitError, TimeLimitError, ExecutionCancelled)
"""After these there is no time left, but a little to record it."""
NOT_RECORDED = "there was no time left to record the execution, or to compare it with its recording"
_EMPTY_RESUME = b'{"kind":"resume","completions":[]}'


_calls_are_loaded = False


def load_calls() -> None:
    """Import what answers host calls, which most executions do not need."""
    global _calls_are_loaded
    for name in ("call_table", "http.capability", "live", "share"):
        importlib.import_module(f".._hostcalls.{name}", __package__)
    _calls_are_loaded = True


def load_network() -> None:
    """Import what the first request of a process would."""
    load_calls()
    importlib.import_module(".._hostcalls.http.capability", __package__).load_network()


class Waiting(NamedTuple):
    """The guest waits until `due` on the monotonic clock, or for an answer, at a place of the statement."""

    due: float
    place: Place


class GuestRun:
    """Steps the guest of one order; but for `interrupt`, used by one thread at a time, between `enter` and `leave`.

    `wake` is called on some thread when an answer has come; `has_company` tells whether other executions are awake.
    `pass_gate` returns once a guest that blocked may compute again, and calls what it is given meanwhile.
    `code` is the statement's code, if there is any.
    """

    def __init__(
        self, services: Services, order: Order, wake: Callable[[], None], deliver: Callable[[LogRecord], None] | None,
        has_company: Callable[[], bool], pass_gate: Callable[[Callable[[], None]], None],
    ) -> None:  # fmt: skip
        self.code: bytes | None = None
        self._guest = services.guest
        self._loop = services.loop
        self._finisher = services.finisher
        self._workers = services.workers
        self._order = order
        self._world = order.world
        self._lines = lines_of(order.request.statement)
        self._wake = wake
        self._has_company = has_company
        self._pass_gate = pass_gate
        self._deadlines = Deadlines(order.limits, self._look, services.cleanup.add)
        self._log = LogCapability(order.limits, order.masker, deliver, order.world.seconds)
        self._instance: Instance | None = None
        self._calls: CallTable | None = None
        self._waiting: Waiting | None = None
        self._blocked: threading.Event | None = None
        self.is_elsewhere = False
        """Whether the guest blocks, and another execution has its place among the workers."""
        self._stdio = b""
        self._where_deadline: float | None = None

    @property
    def has_answers(self) -> bool:
        """Whether there is an answer that the guest has not been told of."""
        return self._calls is not None and self._calls.has_answers

    @property
    def wall(self) -> float:
        """When it is out of time, on the monotonic clock; infinite before it began."""
        return self._deadlines.wall

    @property
    def noted_cpu_seconds(self) -> float:
        """Processor time when it was last looked at; from any thread."""
        return self._deadlines.noted_cpu_seconds

    def interrupt(self) -> None:
        """Stop it as soon as possible; from any thread."""
        self._deadlines.interrupt()
        self._look()

    def charge(self, seconds: float) -> None:
        """Count processor time that another thread has used for it; from any thread."""
        self._deadlines.charge(seconds)

    def end(self) -> float:
        """Its result is told now; the processor time of all of it."""
        return self._deadlines.end()

    def enter(self) -> None:
        """This thread works for the guest from now on."""
        self._deadlines.enter()

    def leave(self) -> None:
        """This thread is about to let go of the guest."""
        self._deadlines.leave()

    def go_on(self) -> Waiting | Outcome:
        """Run the guest, from its beginning or from where it waits, until it waits or has ended."""
        try:
            self._deadlines.check()
            if self._instance is None:
                return self._begin()
            if self._is_too_early():
                assert self._waiting is not None
                return self._waiting
            return self._run(*self._answers())
        except StopGuest as stop:
            return Outcome(*failures.stopped(stop.args[0], self._facts(self._locate())))
        except GuestTrap as trap:
            return self._trapped(trap)
        except BadFrame as error:
            text = f"the guest broke the channel: {error}"
            return Outcome(*failures.lost(text, "bad-frame", self._facts()))
        except InboxRefused:
            text = "the inputs do not fit into the memory of the guest"
            return Outcome(*failures.out_of_memory(text, self._facts()))

    def result(self, outcome: Outcome) -> Result:
        """The result of the execution that ended so; what is done for that, such as recording it, is part of it."""
        result = self._make_result(outcome)
        try:
            result = self._world.ended(result, self._deadlines.closing(has_ended=isinstance(outcome.error, AT_THE_END)))
        except StopGuest as stop:
            if outcome.error is None:
                result = self._make_result(Outcome(*failures.stopped(stop.args[0], self._facts())))
            result.warnings.append(NOT_RECORDED)
        seconds, cpu_seconds = self._deadlines.wall_seconds, self._deadlines.cpu_seconds
        usage = dataclasses.replace(result.usage, wall_seconds=seconds, cpu_seconds=cpu_seconds)
        return dataclasses.replace(result, rows=result.block, usage=usage)

    def _make_result(self, outcome: Outcome) -> Result:
        return make_result(outcome, self._facts(), self._log, self._world.usage, self._order.masker)

    def stop_calls(self) -> None:
        """End the host calls that are under way."""
        if self._calls is not None:
            self._calls.close()

    def close(self) -> None:
        """End the instance."""
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.close()

    def _begin(self) -> Waiting | Outcome:
        self._deadlines.start()
        self._world.begin(self._deadlines.check)
        request = self._order.request
        if request.kind != "check":
            code = self._order.code or self._known_code()
            if isinstance(code, Refused):
                return Outcome(*response.read_error(code.record, self._facts()))
            self.code = code if isinstance(code, bytes) else None
            if request.kind == "compile":
                return Outcome(Status.FINISHED)
            request = request.with_text() if self.code is None else request.with_code(self.code)
        self._instance = self._make_instance(self._world.virtual)
        return self._run(request.head, request.blobs)

    def _known_code(self) -> Known:
        """The code of the statement; compiled here if it is worth it."""
        request, codes = self._order.request, self._guest.codes
        statement = request.statement
        # Where an object lies in memory shows in its repr: what is to be repeated must not depend on who ran before.
        at_once = self._world.is_repeatable or request.kind == "compile"
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
        known = response.read_code(self._step(compile_request(statement).head, ()))
        # With more memory it might compile: that is no property of the text.
        is_certain = not (isinstance(known, Refused) and instance.was_refused_memory)
        self.close()
        return known if is_certain else None

    def _make_instance(self, virtual: VirtualTime | None) -> Instance:
        order = self._order
        return Instance(self._guest, self, order.limits.memory_bytes, virtual, order.request.program)

    def _run(self, head: bytes, blobs: Sequence[Blob]) -> Waiting | Outcome:
        while True:
            frame = self._step(head, blobs)
            if frame.head["kind"] == "done":
                return read_done(frame, self._order, self._log, self._facts(), self._accept)
            waiting = self._wait(frame)
            # Not to be held while the next is read.
            del frame
            if waiting is not None:
                return waiting
            self._deadlines.check()
            head, blobs = self._answers()

    def _accept(self, text: memoryview) -> Accepted:
        """The rows of the guest as the schema accepts them."""
        order = self._order
        assert order.schema is not None
        return self._finisher.accept(text, order.schema, order.masker, Bounds.of(order.limits), self._charge)

    def _charge(self, seconds: float) -> None:
        """Count processor time that was taken elsewhere, and stop if there is none left."""
        self._deadlines.charge(seconds)
        self._deadlines.check()

    def _step(self, head: bytes, blobs: Sequence[Blob]) -> Frame:
        """Send a frame, run the guest, take the frame it left."""
        instance = self._instance
        assert instance is not None
        self._waiting = None
        ticker = self._guest.ticker
        ticker.enter()
        try:
            instance.channel.send(head, blobs)
            state = instance.step()
        finally:
            ticker.leave()
        header = instance.channel.header()
        kind = _FRAME_KINDS.get(state)
        if state == header.state == State.FATAL:
            raise BadFrame("its own part failed; an image of an older version must be built again")
        if state != header.state or kind is None:
            raise BadFrame(f"wx_step returned {state}, the header says {header.state}")
        frame = instance.channel.receive(header, self._order.limits.output_bytes + MAX_FRAME_OVERHEAD_BYTES)
        if frame.head.get("kind") != kind:
            raise BadFrame(f"expected a {kind} frame")
        return frame

    def _wait(self, frame: Frame) -> Waiting | None:
        """Start what a waiting frame asks for; None if the guest can go on at once."""
        seconds = response.read_timer(frame)
        if frame.head.get("calls") or frame.head.get("cancels"):
            self._call_table().submit(frame, self._deadlines.check)
        calls = self._calls
        if seconds is None and (calls is None or not (calls.has_open or calls.has_answers)):
            raise BadFrame("the guest waits for nothing")
        due = self._deadlines.wall
        if seconds is not None:
            due = min(due, time.monotonic() + seconds)
        # Known from here on, also if the world refuses to wait.
        place = response.read_sleeping(frame, self._order.masker).within(self._lines)
        self._waiting = waiting = Waiting(due, place)
        return None if self._world.wait(seconds, calls) else waiting

    def _answers(self) -> tuple[bytes, Sequence[bytes]]:
        answers = (_EMPTY_RESUME, ()) if self._calls is None else self._calls.collect()
        self._world.resume()
        return answers

    def _is_too_early(self) -> bool:
        """Whether it was woken for an answer that it has had already: a deterministic guest must not notice."""
        waiting = self._waiting
        if waiting is None or not self._world.is_repeatable or time.monotonic() >= waiting.due:
            return False
        return not self.has_answers

    def _facts(self, place: Place = NOWHERE) -> Facts:
        instance, masker, words = self._instance, self._order.masker, self._stdio
        if masker is not None:
            words = masker.tail(words, MAX_STDIO_TAIL_BYTES).encode("utf-8", "replace")
        return Facts(
            limits=self._order.limits,
            wall_seconds=self._deadlines.wall_seconds,
            cpu_seconds=self._deadlines.cpu_seconds,
            memory_bytes=0 if instance is None else instance.memory.size(),
            was_refused_memory=instance is not None and instance.was_refused_memory,
            last_words=words,
            place=place,
            lines=self._lines,
        )

    def _trapped(self, trap: GuestTrap) -> Outcome:
        instance = self._instance
        if instance is None:
            return Outcome(*failures.lost(f"no instance could be created: {trap.detail}", "engine", self._facts()))
        place = self._locate()
        exit_code = None
        with contextlib.suppress(BadFrame):
            header = instance.channel.header()
            exit_code = header.exit_code if header.state == State.EXITED else None
        return Outcome(*failures.trapped(trap, exit_code, self._facts(place)))

    def _locate(self) -> Place:
        """Ask a guest that may be broken; where a waiting one waits is known."""
        if self._instance is None:
            return NOWHERE
        if self._waiting is not None:
            return self._waiting.place
        ticker = self._guest.ticker
        ticker.enter()
        self._where_deadline = time.thread_time() + WHERE_CPU_SECONDS
        try:
            return response.read_where(self._instance.where(), self._order.masker).within(self._lines)
        except (GuestTrap, BadFrame, StopGuest):
            return NOWHERE
        finally:
            ticker.leave()

    def _block(self, event: threading.Event, seconds: float = math.inf) -> None:
        """Hold this thread until the event is set, the seconds are over or the execution is to end."""
        until = time.monotonic() + seconds
        # Before anybody looks whether it is interrupted: whoever interrupts sets the flag first, then the event.
        self._blocked = event
        self._guest.ticker.leave()
        try:
            self._deadlines.check()
            if not event.wait(max(0.0, min(seconds, HELD_SECONDS))):
                self._wait_elsewhere(event, until)
            self._deadlines.check()
        finally:
            self._guest.ticker.enter()
            self._blocked = None

    def _wait_elsewhere(self, event: threading.Event, until: float) -> None:
        """The same without a place among the workers."""
        self._deadlines.leave()
        self.is_elsewhere = True
        self._workers.let_go()
        check: Callable[[], None] | None = None
        try:
            while (left := min(until, self._deadlines.wall) - time.monotonic()) > 0 and not event.wait(left):
                pass
            self._deadlines.check()
            check = self._deadlines.check
            self._pass_gate(check)
        finally:
            self._workers.take_back(check)
            self.is_elsewhere = False

    def _look(self) -> None:
        """Have whoever waits for it look whether it has to end; from any thread."""
        blocked = self._blocked
        if blocked is None:
            self._wake()
        else:
            blocked.set()

    def _call_table(self) -> CallTable:
        if self._calls is None:
            if not _calls_are_loaded:
                self._without_a_place(load_calls)
            self._calls = self._world.call_table(self._make_live, self._wake)
        return self._calls

    def _without_a_place(self, load: Callable[[], None]) -> None:
        """Load what a process loads once.

        Other workers may wait for the same: nobody else is to wait until all of them have it.
        """
        self._workers.let_go()
        try:
            load()
        finally:
            self._workers.take_back()

    def _make_live(self) -> Live:
        if not self._loop.is_there:
            self._without_a_place(self._loop.start)
        # All of it here: an import on the loop would hold up everyone else's calls.
        from .._hostcalls.http.capability import HttpCapability
        from .._hostcalls.live import Live

        order = self._order
        make_http = partial(
            HttpCapability, order.grants, order.limits, self._world.usage,
            placeholders=order.placeholders, canned=order.canned_http, on_first_request=order.on_first_request,
            on_request=order.on_request, traceparent=order.traceparent,
        )  # fmt: skip
        return Live(
            make_http, self._loop, order.masker, self._deadlines.charge,
            max_body_bytes=order.limits.http_bytes, is_granted=bool(order.grants.http_grants),
            has_company=self._has_company,
        )  # fmt: skip

    def guest_log(self, level: int, message: memoryview) -> bool:
        self._refuse_while_locating()
        return self._log.append(level, message)

    def guest_call(self, request: memoryview) -> bytes:
        self._refuse_while_locating()
        return self._call_table().call(request, self._block)

    def guest_sleep(self, seconds: float) -> None:
        self._refuse_while_locating()
        if not self._world.skips_sleeps:
            self._block(threading.Event(), seconds)
        self._world.sleep(seconds)

    def guest_stdio(self, fd: int, data: bytes) -> None:
        masker = self._order.masker
        kept = MAX_STDIO_TAIL_BYTES + (0 if masker is None else masker.margin)
        self._stdio = (self._stdio + data)[-kept:]

    def guest_tick(self) -> None:
        if self._where_deadline is not None:
            if time.thread_time() > self._where_deadline:
                raise StopGuest(Stop.LOCATING)
            return
        self._deadlines.check()

    def _refuse_while_locating(self) -> None:
        if self._where_deadline is not None:
            raise StopGuest(Stop.LOCATING)
