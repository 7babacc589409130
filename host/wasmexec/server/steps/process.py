"""`StepProcess`: the process of a step run or of a check, on the event loop."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...workers.messages import Frame, Kind, Room, pack
from ...workers.process import WorkerProcess
from .enclosure import StepEnclosure
from .messages import Job, tell

_TICKS = os.sysconf("SC_CLK_TCK")
CANCEL_SECONDS: Final = 2.0
"""Within which a run that is cancelled has to end by itself."""
_DEAD_AFTER_SECONDS = 2.0


class StepProcess(WorkerProcess):
    """A process with its job; its frames are read only as fast as they are taken, so that a pipe is all that waits.

    Raises:
        OSError: the system starts no more processes.
    """

    def __init__(self, enclosure: StepEnclosure, rooms: Mapping[Kind, Room], job: Job) -> None:
        first = pack(Kind.JOB, body=tell(job))
        super().__init__(enclosure.command, rooms, first, environment=enclosure.environment)
        self._loop = asyncio.get_running_loop()
        self._frames: deque[Frame] = deque()
        self._is_writing = self._is_closed = False
        self._deadline: asyncio.TimerHandle | None = None
        self.on_taken: Callable[[], None] | None = None
        """Called when it has taken all that it was told."""
        self._push()

    @property
    def unsent_bytes(self) -> int:
        """What it has not taken yet."""
        return sum(map(len, self._unsent))

    @property
    def cpu_seconds(self) -> float:
        """The processor time that it has used, that of its own children that have ended included."""
        with suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{self.pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
            return sum(map(int, fields[11:15])) / _TICKS
        return 0.0

    async def next(self) -> Frame | None:
        """Its next frame; None if it has ended.

        Raises:
            BadMessage: it breaks the rules.
        """
        while not self._frames:
            if self._is_closed:
                return None
            await self._readable()
            found = self.receive()
            if found is None:
                return None
            self._frames.extend(found)
        return self._frames.popleft()

    def tell(self, pieces: list[bytes]) -> None:
        """Send it a frame."""
        if not self._is_closed:
            self.send(pieces)
            self._push()

    def cancel(self) -> None:
        """Have it end its run with status 303; it is ended itself if it has not in time."""
        self.tell(pack(Kind.CANCEL))
        if self._deadline is None:
            self._deadline = self._loop.call_later(CANCEL_SECONDS, self.kill)

    async def close(self) -> None:
        """End it, and see that it is gone."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._loop.remove_reader(self.output)
        if self._is_writing:
            self._loop.remove_writer(self.input)
        self.kill()
        until = self._loop.time() + _DEAD_AFTER_SECONDS
        while self.reap() is None and self._loop.time() < until:
            await asyncio.sleep(0.005)

    async def _readable(self) -> None:
        arrived = asyncio.Event()
        self._loop.add_reader(self.output, arrived.set)
        try:
            await arrived.wait()
        finally:
            if not self._is_closed:
                self._loop.remove_reader(self.output)

    def _push(self) -> None:
        """Write what the pipe takes, and the rest when it takes more."""
        self.flush()
        if self.is_blocked and not self._is_writing:
            self._is_writing = True
            self._loop.add_writer(self.input, self._push)
        elif self._is_writing and not self.is_blocked:
            self._is_writing = False
            self._loop.remove_writer(self.input)
            if self.on_taken is not None:
                self.on_taken()
