"""One worker process as its parent sees it: frames in and out without waiting, what it has under way, its memory."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from ..isolation import child_command
from .messages import NO_INPUT, PIECE_BYTES, BadMessage, Frame, FrameReader, Kind, Room, pack

_EXIT_SECONDS = 0.2
_PIECES_TOGETHER = 64
"""Written by one call of the system, which takes as long as the rest of handing over a small run."""
_BLOCK_BYTES = 512
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def worker_command() -> list[str]:
    """What starts a worker process of ours."""
    return child_command("workers.child", str(os.getpid()))


class WorkerProcess:
    """A child process and both pipes; nothing here waits, and nothing here is safe for two threads at once.

    `rooms` are the frames that it may send, beside that it is ready; `first` is the first that it is sent, if any.
    `environment` is all of its environment, None: this process's; it inherits `pass_fds`.

    `under_way` are the executions that it was given and has not answered, oldest first. `oldest_since` is when the
    first of them became the oldest: a worker starts in the order that it is given, so it has been running since then.

    Raises:
        OSError: the system starts no more processes.
    """

    def __init__(
        self, command: Sequence[str], rooms: Mapping[Kind, Room], first: list[bytes], *,
        environment: Mapping[str, str] | None = None, pass_fds: Sequence[int] = (),
    ) -> None:  # fmt: skip
        self.under_way: dict[int, float] = {}
        self.oldest_since = self.started = self.small_at = time.monotonic()
        self.given = 0
        self.is_ready = self.is_watched = False
        self.is_worn = False
        self.is_retiring = False
        self._reader = FrameReader({Kind.READY: Room(0, 0), **rooms})
        self._unsent: deque[memoryview] = deque()
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment, pass_fds=pass_fds,
            # A terminal's interrupt is for the parent alone, which may come while the child still loads.
            process_group=0,
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self.input, self.output = self._stdin.fileno(), self._stdout.fileno()
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)
        self.send(first)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def is_blocked(self) -> bool:
        """Whether there are frames that the pipe has not taken yet."""
        return bool(self._unsent)

    def note_ready(self, frame: Frame) -> None:
        """It says that it has loaded the image.

        Raises: BadMessage: it has said so before.
        """
        if self.is_ready or frame.execution:
            raise BadMessage("twice that it is ready")
        self.is_ready = True

    def run(self, index: int, data: bytes | None) -> None:
        """Hand over an input of its order."""
        self.give(index, pack(Kind.RUN, index, NO_INPUT if data is None else b"", data or b""))

    def give(self, index: int, frame: list[bytes]) -> None:
        """Hand over an execution in a frame."""
        now = time.monotonic()
        if not self.under_way:
            self.oldest_since = now
        self.under_way[index] = now
        self.given += 1
        self.send(frame)

    def send(self, pieces: list[bytes]) -> None:
        """Write a frame as far as the pipe takes it; `flush` writes the rest."""
        self.enqueue(pieces)
        if len(self._unsent) == len(pieces):
            self.flush()

    def enqueue(self, pieces: list[bytes]) -> None:
        """Have a frame written by the next `flush`."""
        if not self._stdin.closed:
            self._unsent.extend(map(memoryview, pieces))

    def flush(self) -> None:
        """Write what the pipe takes. A process that reads no more is found out when its output ends."""
        unsent = self._unsent
        try:
            while unsent:
                written = os.writev(self.input, tuple(islice(unsent, _PIECES_TOGETHER)))
                while unsent and written >= len(unsent[0]):
                    written -= len(unsent.popleft())
                if written:
                    unsent[0] = unsent[0][written:]
        except BlockingIOError:
            pass
        except OSError:
            unsent.clear()

    def receive(self) -> Iterator[Frame] | None:
        """The frames that have come, None at the end; `BadMessage` is raised where one breaks the rules."""
        try:
            piece = os.read(self.output, PIECE_BYTES)
        except BlockingIOError:
            return iter(())
        return self._reader.feed(piece) if piece else None

    def check(self, index: int) -> None:
        """Raises: BadMessage: the execution is not under way: never given, or answered before."""
        if index not in self.under_way:
            raise BadMessage(f"a result of execution {index}, which is not under way")

    def settle(self, index: int) -> None:
        """Note that an execution was answered."""
        was_oldest = next(iter(self.under_way)) == index
        del self.under_way[index]
        if was_oldest:
            self.oldest_since = time.monotonic()

    def private_bytes(self) -> int:
        """The memory that is its own, as the system counts it; 0 where the system does not say."""
        with suppress(OSError, ValueError, IndexError):
            pages = Path(f"/proc/{self.pid}/statm").read_bytes().split()
            return (int(pages[1]) - int(pages[2])) * _PAGE_BYTES
        return 0

    def file_bytes(self) -> int:
        """The memory of the files without a name that it has open; 0 where the system does not say."""
        found = {}
        with suppress(OSError), os.scandir(f"/proc/{self.pid}/fd") as entries:
            for entry in entries:
                with suppress(OSError):
                    state = entry.stat()
                    if stat.S_ISREG(state.st_mode) and state.st_nlink == 0:
                        found[state.st_dev, state.st_ino] = state.st_blocks * _BLOCK_BYTES
        return sum(found.values())

    def end_of_input(self) -> None:
        """Tell it to end."""
        self._unsent.clear()
        with suppress(OSError):
            self._stdin.close()

    def kill(self) -> None:
        """End it and what it started, whatever they do; also when they are stopped."""
        # Its number is not given to another before it is reaped.
        if self._process.poll() is None:
            with suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)

    def reap(self, seconds: float = 0.0) -> int | None:
        """Close both pipes and wait so long for the process to be gone; its exit code, None if it is still there."""
        self.end_of_input()
        with suppress(OSError):
            self._stdout.close()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def exit_code(self, seconds: float = _EXIT_SECONDS) -> int | None:
        """The exit code if the process ends now by itself."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
