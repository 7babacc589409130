"""`FinishingProcess`: a child process that finishes outputs, as its parent sees it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from ..isolation import child_command, resident_bytes
from ..rows.block import RowBlock
from ..rows.json_text import decode
from .acceptance import Accepted, Bounds
from .messages import HEAD, MAX_FRAME_BYTES, Kind, raise_if_refused

TICK_SECONDS = 0.005
"""How often the deadlines of the execution, and the memory, are looked at."""
_NEAR_SECONDS = 0.001
"""The same where little memory is left: the system gives a process about a megabyte a millisecond."""
_NEAR_BYTES = 8 * 1024 * 1024
_AT_ONCE_BYTES = 8 * 1024 * 1024
_REAP_SECONDS = 5.0
_EXIT_SECONDS = 0.2


class ChildLostError(Exception):
    """The process is gone, or sent what it may not: by what the text made it do, or out of memory."""


class _OutOfMemoryError(Exception):
    """It needs more memory than it is allowed."""


class TooMuchMemoryError(Exception):
    """A text of `size` bytes takes more memory than the `limit` that its size allows."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size:,} bytes take more memory than {limit:,}")
        self.size = size
        self.limit = limit


class FinishingProcess:
    """Used by one thread at a time, which owns it while it works.

    Raises:
        OSError: the system starts no more processes.
    """

    def __init__(self) -> None:
        self._file = _make_file()
        try:
            self._process = subprocess.Popen(
                child_command("_finishing.child", str(self._file.fileno())), bufsize=0,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(self._file.fileno(),),
                # One arena, so that memory that was freed can be used again.
                env={"MALLOC_ARENA_MAX": "1"}, process_group=0,
            )  # fmt: skip
        except BaseException:
            self._file.close()
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._in, self._out = self._stdin.fileno(), self._stdout.fileno()
        for descriptor in (self._in, self._out):
            os.set_blocking(descriptor, False)
        # None: its start, which is nobody's, still goes on.
        self._charged: float | None = None
        self._most_resident = sys.maxsize

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def accept(
        self, job: bytes, text: memoryview, most_memory: int, bounds: Bounds, charge: Callable[[float], None],
        *, is_kept: bool = True,
    ) -> Accepted:  # fmt: skip
        """The rows of a text as the schema accepts them; see `acceptance.accept`.

        The text is released once it is handed over; `is_kept` is what the job says of the rows. `charge` is called all
        the time with the processor time that it has taken since; what it raises ends it, as it does to take
        `most_memory` bytes more than it had before.

        Raises:
            NotJsonError, OutputError, OutputLimitError: as `accept` does.
            TooMuchMemoryError: that memory was not enough.
            ChildLostError: it has died.
        """
        size = len(text)
        try:
            self._most_resident = sys.maxsize
            self._hand_over(job, text, charge)
            self._frame(Kind.READY, 0, charge)
            self._most_resident = resident_bytes(self._process.pid) + most_memory
            if self._charged is None:
                self._charged = _cpu_seconds(self._process.pid)
            answer = self._answer(charge)
            raise_if_refused(answer)
            match answer:
                case {"memory": True}:
                    raise _OutOfMemoryError
                case {"rows": int(rows), "lines": int(length), "size": int(taken), "warnings": list(warnings)}:
                    block = RowBlock(lines=self._lines(length, bounds))
                    is_whole = len(block) == rows or (length == 0 <= rows and not is_kept)
                    if is_whole and 0 <= taken <= size and all(type(item) is str for item in warnings):
                        return Accepted(block, warnings, taken, rows)
            raise ChildLostError("an answer that is none")
        except _OutOfMemoryError:
            raise TooMuchMemoryError(size, most_memory) from None
        except (ChildLostError, OSError, ValueError) as error:
            if self._was_killed():
                # Libraries that do not look whether there is memory crash where it ends.
                raise TooMuchMemoryError(size, most_memory) from None
            raise ChildLostError(str(error)) from None

    def end(self) -> None:
        """Kill it, whatever it does."""
        if self._process.poll() is None:
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        for stream in (self._stdin, self._stdout, self._file):
            with suppress(OSError):
                stream.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_SECONDS)

    def _was_killed(self) -> bool:
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(_EXIT_SECONDS) < 0
        return False

    def _look(self, charge: Callable[[float], None]) -> float:
        """What is done every few milliseconds; tells in how many seconds it must be done again."""
        self._charge(charge)
        left = self._most_resident - resident_bytes(self._process.pid)
        if left < 0:
            raise _OutOfMemoryError
        return TICK_SECONDS if left > _NEAR_BYTES else _NEAR_SECONDS

    def _charge(self, charge: Callable[[float], None]) -> None:
        before = self._charged
        if before is None:
            charge(0.0)
            return
        self._charged = max(before, _cpu_seconds(self._process.pid))
        charge(self._charged - before)

    def _hand_over(self, job: bytes, text: memoryview, charge: Callable[[float], None]) -> None:
        at, file = 0, self._file.fileno()
        while at < len(text):
            with text[at : at + _AT_ONCE_BYTES] as some:
                at += os.pwrite(file, some, at)
            self._look(charge)
        text.release()
        left = memoryview(HEAD.pack(Kind.JOB, len(job)) + job)
        poll = select.poll()
        poll.register(self._in, select.POLLOUT)
        while left:
            if poll.poll(TICK_SECONDS * 1000):
                left = left[os.write(self._in, left) :]
            self._look(charge)

    def _lines(self, length: int, bounds: Bounds) -> bytes:
        file = self._file.fileno()
        if not 0 <= length <= bounds.bytes:
            raise ChildLostError(f"rows of {length:,} bytes")
        lines = os.pread(file, length, 0)
        os.ftruncate(file, 0)
        if len(lines) != length or (lines and not lines.endswith(b"\n")):
            raise ChildLostError("rows that are not there")
        return lines

    def _answer(self, charge: Callable[[float], None]) -> dict[str, Any]:
        answer = decode(self._frame(Kind.DONE, MAX_FRAME_BYTES, charge))
        self._look(charge)
        if type(answer) is not dict:
            raise ChildLostError("an answer that is none")
        return answer

    def _frame(self, kind: Kind, most: int, charge: Callable[[float], None]) -> bytes:
        number, length = HEAD.unpack(self._read(HEAD.size, charge))
        if number != kind or length > most:
            raise ChildLostError(f"a frame of kind {number} and {length:,} bytes")
        return self._read(length, charge)

    def _read(self, length: int, charge: Callable[[float], None]) -> bytes:
        pieces: list[bytes] = []
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        next_look = 0.0
        while length:
            now = time.monotonic()
            if now >= next_look:
                next_look = now + self._look(charge)
            if not poll.poll(max(0.0, next_look - now) * 1000):
                continue
            piece = os.read(self._out, length)
            if not piece:
                raise ChildLostError("it has ended")
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)


def _cpu_seconds(pid: int) -> float:
    """The processor time of a child process; 0 where the system does not tell."""
    try:
        # Source: Linux, include/linux/posix-timers_types.h, CPUCLOCK_SCHED of a process.
        return time.clock_gettime((~pid << 3) | 2)
    except (OSError, AttributeError, OverflowError):
        return 0.0


def _make_file() -> IO[bytes]:
    """A file without a name, in memory where the system has that."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("wasmexec-rows"), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)
