"""`Fleet`: the worker processes of the server, on its event loop; which execution is where, and nothing else.

A compute slot is the entry of a live execution that is not asleep; there is no count that could go wrong.

SECURITY: what a worker says is believed only as far as `workers.answers` checks it, about executions that it was
given. Its time is ours: one that is overdue, or does not end when it is told to, is killed.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from ...grants import HttpGrant
from ...limits import Limits
from ...workers import answers
from ...workers.answers import Answer, State
from ...workers.figures import ProcessLimits
from ...workers.files import LongText
from ...workers.messages import BadMessage, Frame, Kind, Room, kept, pack
from .enclosure import Enclosure
from .worker import Entry, KeptOrder, Process, WorkerFigures

TICK_SECONDS = 0.25
_MEMORY_TICKS = 8
_RULES: Final = ProcessLimits()
_EXIT_SECONDS = 0.01
"""For which the loop may stand still to learn how a worker ended."""
_IDLE_SECONDS = 30.0
"""After which the process for suspects is ended."""
_DEATHS_SECONDS = 60.0
_PAUSE_SECONDS = 1.0
"""Before the next start, once too many have died in a minute."""
_log = logging.getLogger(__name__)


class Recycling(NamedTuple):
    """When a worker process has grown old: after so many executions, so long, or with so much memory of its own."""

    executions: int
    seconds: float
    memory_bytes: int


class Listener(Protocol):
    """Who is told what becomes of executions, always on the loop."""

    def answered(self, entry: Entry, answer: Answer) -> None:
        """It has ended."""

    def died(self, entries: Sequence[Entry], overdue: Entry | None) -> None:
        """A worker is gone, perhaps ended because of one that was overdue; `lost` follows for each of the entries."""

    def lost(self, entry: Entry, why: str, *, is_overdue: bool) -> None:
        """Its worker is gone, and whatever it had done."""

    def requested(self, number: int) -> None:
        """It is about to send its first HTTP request."""

    def moved(self, entry: Entry) -> None:
        """It has used some processor time, has gone to sleep, or has woken."""

    def woken(self, entry: Entry) -> None:
        """It has something to do again, and waits to be let."""

    def logged(self, entry: Entry, lines: list[bytes]) -> None:
        """Its log has more lines, JSON texts without a newline that nobody here has read."""

    def has_room(self) -> None:
        """There may be a free slot."""


class Fleet:
    """So many processes, replaced when they die, and when they have grown old or large."""

    def __init__(
        self, enclosure: Enclosure, limits: Limits, *, workers: int, slots: int, most_asleep: int, listener: Listener,
        recycling: Recycling,
    ) -> None:  # fmt: skip
        self._enclosure = enclosure
        nothing = Room(0, 0)
        self._rooms = {
            Kind.HTTP: nothing, Kind.WAKE: nothing, Kind.STATE: answers.STATE_ROOM, Kind.LOG: answers.log_room(limits),
            Kind.ANSWER: answers.answer_room(limits), Kind.ANSWER_FILE: answers.answer_room(limits),
        }  # fmt: skip
        self._most_lines = answers.most_lines(limits)
        self._wanted = workers
        self._slots = slots
        self._most = slots + most_asleep
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._processes: list[Process] = []
        self._dying: list[Process] = []
        self._deaths: deque[float] = deque()
        self._pause: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._ticks = 0
        self._recycling = recycling
        self.starts = 0
        self._order_numbers = itertools.count(1)
        self.deaths = 0
        self.recycled = 0
        # The others follow when it is ready: until then they would only take its time.
        self._spawn()
        self._ticker = self._loop.call_later(TICK_SECONDS, self._tick)

    @property
    def slots(self) -> int:
        """How many executions compute at once, in all processes that are ready; as many more are room to spare."""
        return self._slots * sum(1 for _ in self._taking)

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes that are ready."""
        return [process.pid for process in self._processes if process.is_ready and not process.is_isolated]

    @property
    def executing(self) -> int:
        """Executions that compute."""
        return sum(len(process.awake) for process in self._processes)

    @property
    def asleep(self) -> int:
        """Executions that wait."""
        return sum(len(process.entries) - len(process.awake) for process in self._processes)

    @property
    def is_restarting(self) -> bool:
        """Whether there are processes that `restart` is to replace."""
        return any(process.is_outdated for process in self._processes)

    def figures(self) -> list[WorkerFigures]:
        """Every process that has not ended."""
        return [process.figures for process in self._processes]

    def restart(self) -> None:
        """Have every process replaced, one after the other; nothing is lost."""
        for process in self._processes:
            process.is_outdated = True

    def free(self) -> Process | None:
        """A process with room for one more execution, the one that has most of it; silent ones last."""
        now = time.monotonic()
        process = min(self._taking, key=lambda item: (item.is_silent(now), len(item.awake)), default=None)
        if process is None or len(process.awake) >= 2 * self._slots or len(process.entries) >= self._most:
            return None
        return process

    def unprobed(self, seconds: float) -> list[Process]:
        """The processes that have not been asked for so long whether a statement gets through, or never."""
        before = time.monotonic() - seconds
        return [
            process for process in self._taking if not process.is_probed and process.probed_at < before
        ]  # fmt: skip

    def prove(self, process: Process) -> None:
        """A statement got through one of them: another that is to be replaced may go."""
        process.end_probe(succeeded=True)
        self._relieve()

    def isolated(self) -> Process | None:
        """The process in which one that is suspected runs alone, if it is free; it is started when it is asked for."""
        process = next((item for item in self._processes if item.is_isolated and not item.is_retiring), None)
        if process is None:
            if not self._is_closing:
                self._spawn(is_isolated=True)
            return None
        return process if process.is_ready and not process.entries else None

    @property
    def _taking(self) -> Iterator[Process]:
        """Those that are ready for one more execution of whatever kind."""
        for process in self._processes:
            if process.is_ready and not process.is_retiring and not process.is_isolated:
                yield process

    def hold(self, process: Process, number: int, wall_seconds: float, grants: Sequence[HttpGrant] = ()) -> Entry:
        """Take a slot for an execution that is handed over in a moment; `grants` are what it may reach."""
        entry = Entry(number, process, time.monotonic() + wall_seconds + _RULES.grace_seconds, grants)
        process.entries[number] = process.awake[number] = entry
        return entry

    def keep(self, packed: bytes, http_grants: list[HttpGrant]) -> KeptOrder:
        """An order for many executions, with what it lets them reach, until `forget`."""
        return KeptOrder(next(self._order_numbers), packed, http_grants)

    def forget(self, order: KeptOrder) -> None:
        """There are no more executions of it."""
        for process in self._processes:
            if order.number in process.kept:
                process.kept.discard(order.number)
                process.send(pack(Kind.FORGET, order.number))
                self._write_soon(process)

    def give(self, entry: Entry, order: bytes | KeptOrder, data: bytes | LongText) -> None:
        """Hand it over."""
        if isinstance(order, KeptOrder):
            if order.number not in entry.process.kept:
                entry.process.kept.add(order.number)
                entry.process.send(pack(Kind.KEEP, order.number, order.packed))
            order = kept(order.number)
        if isinstance(data, bytes):
            frame = pack(Kind.EXECUTE, entry.number, order, data)
        elif entry.process.texts is None:
            frame = pack(Kind.EXECUTE, entry.number, order, data.read())
        else:
            entry.process.texts.send(entry.number, data)
            frame = pack(Kind.EXECUTE_FILE, entry.number, order)
        entry.process.give(entry.number, frame)
        self._write_soon(entry.process)

    def stop(self, entry: Entry) -> None:
        """End an execution with 303; its process, too, if that does not within two seconds."""
        entry.due = min(entry.due, time.monotonic() + _RULES.cancel_seconds)
        entry.process.send(pack(Kind.STOP, entry.number))
        self._write_soon(entry.process)

    def go_on(self, entry: Entry) -> None:
        """Let one compute again that has asked for it."""
        entry.has_asked = entry.is_waiting = False
        entry.let_on += 1
        entry.process.awake[entry.number] = entry
        entry.process.send(pack(Kind.GO_ON, entry.number))
        self._write_soon(entry.process)

    def release(self, entry: Entry) -> None:
        """Give a slot back that was held and not used."""
        entry.process.entries.pop(entry.number, None)
        entry.process.awake.pop(entry.number, None)
        self._listener.has_room()

    async def close(self) -> None:
        """End all processes, at once."""
        self._is_closing = True
        self._ticker.cancel()
        if self._pause is not None:
            self._pause.cancel()
        for process in tuple(self._processes):
            self._forget(process)
            process.kill()
        until = time.monotonic() + _RULES.cancel_seconds
        while any(process.reap() is None for process in self._dying) and time.monotonic() < until:
            await asyncio.sleep(0.01)

    def check(self) -> None:
        """Prove that slots are what live executions hold.

        Raises:
            AssertionError: they are not.
        """
        for process in self._processes:
            for number, entry in process.awake.items():
                assert process.entries.get(number) is entry, f"slot {number} without an execution"
                assert not entry.is_waiting, f"execution {number} sleeps in a slot"
            assert process.under_way.keys() <= process.entries.keys(), "an execution that nobody waits for"

    def _spawn(self, *, is_isolated: bool = False) -> None:
        try:
            process = Process(
                self._enclosure, self._rooms, is_isolated=is_isolated, most_seconds=self._recycling.seconds
            )
        except OSError as error:
            _log.error("no worker process can be started: %s", error)
            self._pause = self._loop.call_later(_PAUSE_SECONDS, self._fill)
            return
        self.starts += 1
        self._processes.append(process)
        self._loop.add_reader(process.output, self._receive, process)

    def _fill(self) -> None:
        """Start what is missing; after too many deaths one at a time, with pauses."""
        self._pause = None
        while not self._is_closing and self._count_staying() < self._wanted:
            now = time.monotonic()
            while self._deaths and now - self._deaths[0] > _DEATHS_SECONDS:
                self._deaths.popleft()
            self._spawn()
            if len(self._deaths) > _RULES.restarts:
                self._pause = self._loop.call_later(_PAUSE_SECONDS, self._fill)
            if self._pause is not None:
                return

    def _write_soon(self, process: Process) -> None:
        """Write what this turn of the loop has for a process by one call, at its end."""
        if not process.is_flush_due:
            process.is_flush_due = True
            self._loop.call_soon(self._write, process)

    def _count_staying(self) -> int:
        return sum(not process.is_worn and not process.is_isolated for process in self._processes)

    def _write(self, process: Process) -> None:
        """Write what the pipe takes, and the rest when it takes more."""
        process.is_flush_due = False
        if process not in self._processes:
            return
        process.flush()
        if process.is_blocked and not process.is_writing:
            process.is_writing = True
            self._loop.add_writer(process.input, self._write, process)
        elif process.is_writing and not process.is_blocked:
            process.is_writing = False
            self._loop.remove_writer(process.input)

    def _receive(self, process: Process) -> None:
        try:
            frames = process.receive()
            if frames is None:
                self._ended(process)
                return
            for frame in frames:
                self._take(process, frame)
        except BadMessage as lie:
            self._lose(process, f"was ended: it sent {lie}")

    def _take(self, process: Process, frame: Frame) -> None:
        """Raises: BadMessage: it is not what this process may say now."""
        if frame.kind is Kind.READY:
            process.note_ready(frame)
            if self._pause is None:
                self._fill()
            self._listener.has_room()
        elif frame.kind is Kind.STATE:
            for state in answers.unpack_states(frame.fields):
                self._note(process, state)
            self._listener.has_room()
        else:
            process.check(frame.execution)
            if frame.kind is Kind.HTTP:
                self._listener.requested(frame.execution)
                return
            if frame.kind is Kind.WAKE:
                entry = process.entries[frame.execution]
                entry.has_asked = True
                self._listener.woken(entry)
                self._listener.has_room()
                return
            if frame.kind is Kind.LOG:
                self._note_lines(process.entries[frame.execution], frame)
                return
            rows = None
            if frame.kind is Kind.ANSWER_FILE:
                if process.texts is None:
                    raise BadMessage("rows in a file, and nothing to pass it through")
                rows = process.texts.take(frame.execution, len(process.entries))
            answer = answers.unpack_answer(frame.fields, frame.body, rows)
            if answer.log_count < process.entries[frame.execution].line_count:
                raise BadMessage("a log with fewer lines than were told before")
            process.settle(frame.execution)
            entry = process.entries.pop(frame.execution)
            process.awake.pop(frame.execution, None)
            process.idle_since = time.monotonic()
            self._listener.answered(entry, answer)
            self._retire(process)
            self._listener.has_room()

    def _note_lines(self, entry: Entry, frame: Frame) -> None:
        """Raises: BadMessage: they are not those that follow, or too many."""
        lines = answers.unpack_lines(frame.fields, frame.body, entry.line_count)
        entry.line_count += len(lines)
        if entry.line_count > self._most_lines:
            raise BadMessage(f"more than {self._most_lines:,} lines of a log")
        self._listener.logged(entry, lines)

    def _note(self, process: Process, state: State) -> None:
        """What one tells that has been answered meanwhile is late, not wrong."""
        entry = process.entries.get(state.execution)
        if entry is None:
            return
        entry.cpu_seconds = max(entry.cpu_seconds, state.cpu_seconds)
        if entry.is_waiting is not state.is_waiting and state.let_on == entry.let_on:
            entry.is_waiting = state.is_waiting
            entry.waits_since = time.monotonic()
            if state.is_waiting:
                process.awake.pop(state.execution, None)
            else:
                process.awake[state.execution] = entry
        self._listener.moved(entry)

    def _ended(self, process: Process) -> None:
        """Its output is at its end."""
        if process.is_retiring and not process.entries:
            self._forget(process)
            return
        code = process.exit_code(_EXIT_SECONDS)
        how = "closed its output" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        self._lose(process, f"died ({how})")

    def _lose(self, process: Process, why: str, overdue: Entry | None = None) -> None:
        """End a process and replace it; whatever it had under way is lost."""
        if process not in self._processes:
            return
        process.kill()
        self._forget(process)
        _log.warning("worker process %d %s", process.pid, why)
        self.deaths += 1
        self._deaths.append(time.monotonic())
        if self._pause is None:
            self._fill()
        entries = list(process.entries.values())
        self._listener.died(entries, overdue)
        process.entries.clear()
        process.awake.clear()
        for entry in entries:
            self._listener.lost(entry, f"its worker process {why}", is_overdue=entry is overdue)
        self._listener.has_room()

    def _forget(self, process: Process) -> None:
        self._loop.remove_reader(process.output)
        if process.is_writing:
            self._loop.remove_writer(process.input)
            process.is_writing = False
        self._processes.remove(process)
        process.end_of_input()
        process.close_channels()
        self._dying.append(process)

    def _relieve(self) -> None:
        """Retire a process whose replacement has shown that it works."""
        spare = sum(process.is_proven for process in self._taking) - self._wanted
        for process in tuple(self._processes):
            if spare > 0 and process.is_worn and not process.is_retiring and not process.is_isolated:
                process.is_retiring = True
                self.recycled += 1
                spare -= 1
                self._retire(process)

    def _retire(self, process: Process) -> None:
        """Have one end that is to, once nothing is left in it."""
        if process.is_retiring and not process.entries and process in self._processes:
            process.end_of_input()

    def _wear_out(self, process: Process) -> None:
        """Start a replacement of one that has grown old, which goes on meanwhile; one at a time.

        Those that retire may take as long as their longest run, so there are at most as many of them as of others.
        """
        if process.is_isolated:
            # The next suspect has another one started.
            process.is_retiring = True
            if not process.entries:
                process.end_of_input()
            return
        is_busy = any(item.is_worn and not item.is_retiring for item in self._processes)
        if not process.is_worn and not is_busy and len(self._processes) < 2 * self._wanted:
            process.is_worn = True
            if self._pause is None:
                self._fill()

    def _tick(self) -> None:
        self._ticker = self._loop.call_later(TICK_SECONDS, self._tick)
        self._ticks += 1
        now = time.monotonic()
        for process in tuple(self._processes):
            late = min(process.entries.values(), key=lambda entry: entry.due, default=None)
            if not process.is_ready and now - process.started > _RULES.start_seconds:
                self._lose(process, f"was ended: it was not ready after {_RULES.start_seconds:g} s")
            elif late is not None and late.due <= now:
                self._lose(process, "was ended: it left an execution overdue", late)
            elif process.is_isolated and not process.entries and now - process.idle_since > _IDLE_SECONDS:
                process.is_retiring = True
                process.end_of_input()
            elif (has := process.memory_bytes()) > self._enclosure.memory_bytes:
                self._lose(process, f"was ended: it had {has:,} bytes of memory")
            elif process.is_ready and self._is_old(process, now):
                self._wear_out(process)
            elif self._ticks % _MEMORY_TICKS == 0:
                if has <= self._recycling.memory_bytes:
                    process.small_at = now
                elif now - process.small_at > _RULES.memory_seconds:
                    self._wear_out(process)
        self._relieve()
        with suppress(OSError):
            self._dying = [process for process in self._dying if process.reap() is None]

    def _is_old(self, process: Process, now: float) -> bool:
        return process.is_outdated or now > process.old_at or process.given >= self._recycling.executions
