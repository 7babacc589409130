"""A worker process of many orders: each execution comes with an order of its own, and can be stopped by itself."""

from __future__ import annotations

import os
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NoReturn

from .._hostcalls.http.connector import use_connector
from .._wall.wall import Wall
from ..errors import ConfigError
from ..executor import Executor
from ..http_calls import CallRecord
from ..options import JsonText
from ..prepared import Running
from ..result import LogRecord, Result
from ..rows.block import RowBlock
from ..status import Status
from .answers import MAX_CALLS, Answer, State, answer_of, pack_answer, pack_lines, pack_states
from .broker import Broker
from .child import result_of
from .figures import FOR_PROBES
from .files import LONG_BYTES, LongText, are_offered, receive
from .local import cancelled
from .messages import MAX_PART_BYTES, TO_WORKER_OF_MANY, Frame, Kind, kept_number, pack
from .order import Order
from .pipes import Inbox, Outbox, begin, tell_ready
from .recordings import TextRecorder
from .results import pack_rows, row_pieces

STATE_SECONDS = 0.05
"""How often the parent is told how far executions are."""
LINE_SECONDS = 0.01
"""For which lines of a log are gathered before they are sent."""
_AT_ONCE_BYTES = 64 * 1024
"""What is longer is read and checked beside the thread that takes orders."""
_STARTERS = 4


def main(
    parent: str, image: str, workers: str, wall: str, channel: str = "", calls: str = "", files: str = ""
) -> NoReturn:  # fmt: skip
    """Serve until standard input ends or the parent is gone, behind a wall.

    `image` is a manifest, `workers` how many may compute, `wall` what `Wall.pack` packed, `channel` the number of the
    descriptor through which connections are asked for; without it the process makes them itself. With `calls`
    answers tell of HTTP requests. `files` is the descriptor of the socket for long texts, if there is one.
    """
    try:
        _serve(int(parent), image, int(workers), Wall.unpack(wall), channel, bool(calls), files)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _serve(
    parent: int, image: str, workers: int, wall: Wall, channel: str, reports_calls: bool, files: str
) -> NoReturn:  # fmt: skip
    # SECURITY: while there is one thread.
    wall.begin(parent)
    outbox = begin(parent)
    inbox = Inbox(TO_WORKER_OF_MANY)
    # It is closed when nobody refers to it any more.
    executor = Executor(image, workers=workers)
    # Here, where nobody waits yet: later it would hold up the executions of other tenants.
    executor.preload()
    texts = _LongTexts(socket.socket(fileno=int(files))) if files else None
    executions = _Executions(executor, outbox, (workers - FOR_PROBES) // 2, reports_calls, texts)
    if channel:
        use_connector(Broker(socket.socket(fileno=int(channel))))
    wall.close()
    tell_ready(outbox)
    while True:
        frame = inbox.next()
        if frame.kind is Kind.STOP:
            executions.stop(frame.execution)
        elif frame.kind is Kind.GO_ON:
            executions.go_on(frame.execution)
        elif frame.kind is Kind.KEEP:
            executions.orders.keep(frame.execution, frame.fields)
        elif frame.kind is Kind.FORGET:
            executions.orders.forget(frame.execution)
        elif frame.kind is Kind.EXECUTE_FILE:
            executions.take(frame, None if texts is None else texts.receive(frame.execution))
        else:
            executions.take(frame)


class _LongTexts:
    """The socket for texts in files: one thread receives, any may send."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lock = threading.Lock()

    def receive(self, number: int) -> LongText:
        """The input of an execution, which the parent sent before its frame; without one this process ends."""
        found = receive(self._channel, MAX_PART_BYTES)
        if found is None or found[0] != number:
            os._exit(0)
        return found[1]

    def pack(self, rows: RowBlock) -> bytes | LongText:
        """The text of rows, in a file if it is long and the system has room for that. Raises: ValueError."""
        if are_offered() and len(rows.lines) > LONG_BYTES:
            with suppress(OSError):
                return LongText.of(row_pieces(rows))
        return pack_rows(rows)

    def send(self, number: int, answer: Answer) -> Answer:
        """The answer once its rows are sent, if they are in a file; with them in memory if they cannot be."""
        if isinstance(answer.rows, LongText):
            try:
                with self._lock:
                    answer.rows.send(self._channel, number)
            except OSError:
                return answer._replace(rows=answer.rows.read())
        return answer


class _Orders:
    """Orders that many executions have in common, read when the first of those comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[int, bytes | Order] = {}

    def keep(self, number: int, packed: bytes) -> None:
        """Keep one until it is forgotten."""
        self._kept[number] = packed

    def forget(self, number: int) -> None:
        """Its executions that are under way have it still."""
        self._kept.pop(number, None)

    def size(self, fields: bytes) -> int:
        """The bytes that have to be read for an execution to start."""
        number = kept_number(fields)
        found = fields if number is None else self._kept.get(number)
        return len(found) if isinstance(found, bytes) else 0

    def of(self, fields: bytes) -> Order:
        """The order of an execution.

        Raises:
            LookupError: it was not kept.
        """
        number = kept_number(fields)
        if number is None:
            return Order.unpack(fields)
        with self._lock:
            found = self._kept[number]
            if isinstance(found, bytes):
                found = self._kept[number] = Order.unpack(found)
            return found


class _Executions:
    """Those that have been taken and have not ended, by number; None as long as one is only being prepared."""

    def __init__(
        self, executor: Executor, outbox: Outbox, slots: int, reports_calls: bool, texts: _LongTexts | None
    ) -> None:  # fmt: skip
        self._slots = slots
        self._texts = texts
        self._reports_calls = reports_calls
        self._executor = executor
        self._outbox = outbox
        self.orders = _Orders()
        self._lock = threading.Lock()
        self._live: dict[int, Running | None] = {}
        self._stopped: set[int] = set()
        self._going_on: set[int] = set()
        self._let_on: dict[int, int] = {}
        self._some = threading.Event()
        self._lines = _Lines(outbox)
        self._starters = ThreadPoolExecutor(_STARTERS, "wasmexec-starter")
        threading.Thread(target=self._tell_states, name="wasmexec-states", daemon=True).start()

    def take(self, frame: Frame, text: LongText | None = None) -> None:
        """Start an execution; its input is in the frame or a `text`."""
        with self._lock:
            self._live[frame.execution] = None
        if text is not None:
            self._starters.submit(self._start, frame, text)
        elif self.orders.size(frame.fields) + len(frame.body) > _AT_ONCE_BYTES:
            self._starters.submit(self._start, frame)
        else:
            self._start(frame)

    def stop(self, number: int) -> None:
        """End one with status 303; one that has ended has its answer under way."""
        with self._lock:
            if number not in self._live:
                return
            self._stopped.add(number)
            running = self._live[number]
        if running is not None:
            running.cancel()

    def go_on(self, number: int) -> None:
        """Let one compute again; that may be said before it is known here that it has started."""
        with self._lock:
            if number not in self._live:
                return
            running = self._live[number]
            if running is None:
                self._going_on.add(number)
        if running is not None:
            self._let(number, running)

    def _let(self, number: int, running: Running) -> None:
        running.go_on()
        # Only now: until then it may be told that it waits.
        with self._lock:
            if number in self._live:
                self._let_on[number] = self._let_on.get(number, 0) + 1

    def _start(self, frame: Frame, text: LongText | None = None) -> None:
        number = frame.execution
        calls: list[CallRecord] = []

        def note(call: CallRecord) -> None:
            if len(calls) < MAX_CALLS:
                calls.append(call)

        done = partial(self._done, number, calls, None)
        try:
            if number in self._stopped:
                done(cancelled())
                return
            order = self.orders.of(frame.fields)
            prepared = self._executor.prepare(order.statement, **order.conditions(), compile_now=False)
            recorder = TextRecorder() if order.is_recorded else None
            data = frame.body if text is None else JsonText(text.view())
            inputs = {"input_data": data, **order.inputs()} if order.replay is None else {"replay": order.replay}
            running = prepared.start(
                partial(self._done, number, calls, recorder), recorder=recorder, **inputs,
                on_first_request=lambda: self._outbox.write(pack(Kind.HTTP, number)),
                on_wake=lambda: self._outbox.write(pack(Kind.WAKE, number)),
                free_awake=self._slots if order.wakes_freely else 0,
                on_request=note if self._reports_calls else None, traceparent=order.traceparent,
                on_record=partial(self._lines.add, number),
            )  # fmt: skip
        except Exception as error:  # a tenant's order must not take the executions of others with it
            refusal = error if isinstance(error, ConfigError) else ConfigError(f"the order cannot be read: {error}")
            done(Result(status=Status.CONFIG_REFUSED, error=refusal))
            return
        with self._lock:
            if running is not None and number in self._live:
                self._live[number] = running
            is_late = number in self._stopped
            may_go_on = number in self._going_on
            self._going_on.discard(number)
        if running is not None and is_late:
            running.cancel()
        if running is not None and may_go_on:
            self._let(number, running)
        self._some.set()

    def _done(
        self, number: int, calls: list[CallRecord], recorder: TextRecorder | None, outcome: Result | BaseException
    ) -> None:
        # The answer has all of them.
        self._lines.end(number)
        recording = None if recorder is None else recorder.text()
        pack_text = pack_rows if self._texts is None else self._texts.pack
        answer = answer_of(result_of(outcome), recording, pack_text)._replace(
            calls=tuple(call.told() for call in calls)
        )
        if self._texts is not None:
            answer = self._texts.send(number, answer)
        head, body = pack_answer(answer)
        with self._lock:
            self._live.pop(number, None)
            self._stopped.discard(number)
            self._going_on.discard(number)
            self._let_on.pop(number, None)
        kind = Kind.ANSWER_FILE if isinstance(answer.rows, LongText) else Kind.ANSWER
        self._outbox.write(pack(kind, number, head, body))

    def _tell_states(self) -> NoReturn:
        tick = threading.Event()
        told: dict[int, State] = {}
        while True:
            self._some.wait()
            tick.wait(STATE_SECONDS)
            with self._lock:
                live = {number: running for number, running in self._live.items() if running is not None}
                let_on = dict(self._let_on)
                if not self._live:
                    self._some.clear()
            states = {
                number: State(number, running.cpu_seconds, running.is_waiting, let_on.get(number, 0))
                for number, running in live.items()
            }
            news = [state for number, state in states.items() if told.get(number) != state]
            told = states
            if news:
                self._outbox.write(pack(Kind.STATE, 0, pack_states(news)))


class _Lines:
    """Lines of logs on their way to the parent, which has them a moment after they were written."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._changed = threading.Condition()
        self._kept: dict[int, list[LogRecord]] = {}
        self._sent: dict[int, int] = {}
        self._under_way: int | None = None
        self._some = threading.Event()
        threading.Thread(target=self._tell, name="wasmexec-lines", daemon=True).start()

    def add(self, number: int, record: LogRecord) -> None:
        """One more of an execution."""
        with self._changed:
            self._kept.setdefault(number, []).append(record)
        self._some.set()

    def end(self, number: int) -> None:
        """Send no more of an execution: nothing may come after its answer."""
        with self._changed:
            self._kept.pop(number, None)
            self._changed.wait_for(lambda: self._under_way != number)
            self._sent.pop(number, None)

    def _tell(self) -> NoReturn:
        tick = threading.Event()
        while True:
            self._some.wait()
            tick.wait(LINE_SECONDS)
            self._some.clear()
            with self._changed:
                numbers = list(self._kept)
            for number in numbers:
                self._send(number)

    def _send(self, number: int) -> None:
        with self._changed:
            records = self._kept.pop(number, None)
            if records is None:
                return
            first = self._sent.get(number, 0)
            self._sent[number] = first + len(records)
            self._under_way = number
        for head, body in pack_lines(first, records):
            self._outbox.write(pack(Kind.LOG, number, head, body))
        with self._changed:
            self._under_way = None
            self._changed.notify_all()
