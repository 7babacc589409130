"""`BodyReader`: has long bodies read by a process of its own, which is started before the first of them."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from ..._wall.files import files_needed
from ..._wall.wall import Mode, Wall
from ...isolation import child_command
from ...limits import GIB
from ...workers.files import LongText, MemoryFile
from ...workers.messages import BadMessage, Frame, Kind, Room
from ...workers.process import WorkerProcess
from ..problems import ProblemError
from ..runs.enclosure import kept_environment
from ..runs.long_texts import LongTexts
from .place import MOST_DETAIL, Found

_SECONDS: Final = 30.0
"""For one body; a gigabyte takes half a second, and those before it as long."""
_ROOMS: Final = {Kind.FOUND: Room(16 * MOST_DETAIL, 0)}
_TELL_BYTES: Final = 2 * 1024**2
_EXIT_SECONDS: Final = 0.2
_FILES: Final = 256
_PROCESSES: Final = 65_536
"""Of the user, all processes together; root has no such bound."""
_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(Found)


class BodyReader:
    """Bodies have at most `most_bytes`; `image` is the manifest of the workers.

    SECURITY: what the process says is checked. One that does not answer, or breaks the rules, is ended, and what it
    had is refused: what it died of must not be read in the front instead.
    """

    def __init__(self, mode: Mode, image: str, most_bytes: int) -> None:
        self._mode = mode
        self._image = image
        self._most_bytes = most_bytes
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[MemoryFile, asyncio.Future[Found | None]]] = {}
        self._process: WorkerProcess | None = None
        self._texts: LongTexts | None = None

        self.most_levels: int | None = None
        """Of lists and objects in an input: as many as of a short body, to be set before the first start."""

    def start(self) -> None:
        """Start the process, if there is none, so that it is ready when it is needed.

        Raises:
            ProblemError: 503: the system starts no more processes.
        """
        if self._process is not None:
            return
        try:
            self._texts = LongTexts(0)
            theirs = self._texts.theirs.fileno()
            command = child_command(
                "server.reading.child", str(os.getpid()), self._wall().pack(), str(theirs), str(self._most_bytes),
                str(self.most_levels),
            )  # fmt: skip
            environment = kept_environment(self._mode)
            self._process = WorkerProcess(command, _ROOMS, [], environment=environment, pass_fds=(theirs,))
        except OSError as error:
            _log.error("no process can be started that reads long bodies: %s", error)
            self.close()
            raise _failed() from None
        self._texts.theirs.close()
        asyncio.get_running_loop().add_reader(self._process.output, self._receive, self._process)

    def arriving(self) -> ArrivingBody:
        """A body that is about to come."""
        return ArrivingBody(self, next(self._numbers))

    def note(self, number: int, file: MemoryFile) -> None:
        """More of a body has come: the process may read it by the way."""
        if self._texts is not None:
            self._texts.send(2 * number, LongText(file, 0, file.size))

    async def find(self, number: int, body: MemoryFile) -> Found:
        """Where the input of a request is.

        Raises:
            ProblemError: 400: the body is none. 503: it could not be read.
        """
        self.start()
        assert self._texts is not None
        answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._waiting[number] = body, answer
        try:
            self._texts.send(2 * number + 1, LongText(body, 0, body.size))
            async with asyncio.timeout(_SECONDS):
                found = await answer
        except TimeoutError:
            self._end("did not answer")
            raise _failed() from None
        finally:
            del self._waiting[number]
        if found is None:
            raise _failed()
        if found.rule is not None:
            raise ProblemError(400, found.rule, found.detail)
        return found

    def close(self) -> None:
        """End the process; idempotent."""
        process, self._process = self._process, None
        if self._texts is not None:
            self._texts.close()
            self._texts = None
        if process is not None:
            asyncio.get_running_loop().remove_reader(process.output)
            process.kill()
            process.reap(_EXIT_SECONDS)
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_result(None)

    def _end(self, why: str) -> None:
        if self._process is not None:
            _log.warning("process %d, which reads long bodies, %s", self._process.pid, why)
            self.close()

    def _receive(self, process: WorkerProcess) -> None:
        try:
            frames = process.receive()
            if frames is None:
                self._end("died")
                return
            for frame in frames:
                self._take(process, frame)
        except BadMessage as lie:
            self._end(f"was ended: it sent {lie}")

    def _take(self, process: WorkerProcess, frame: Frame) -> None:
        """Raises: BadMessage: it is not what it may say now."""
        if frame.kind is Kind.READY:
            process.note_ready(frame)
            return
        try:
            found = _decoder.decode(frame.fields)
        except ValueError as error:
            raise BadMessage(str(error)[:200]) from None
        # Nobody may wait for it any more.
        if frame.execution not in self._waiting:
            return
        body, answer = self._waiting[frame.execution]
        if found.start < 0 or found.size < 0 or found.start + found.size > body.size:
            raise BadMessage("an input that is not in its body")
        if not answer.done():
            answer.set_result(found)

    def _wall(self) -> Wall:
        if self._mode is Mode.OFF:
            return Wall(self._mode, [], {})
        bounds = {
            "CORE": 0, "MEMLOCK": 0, "NOFILE": _FILES, "FSIZE": GIB, "NPROC": _PROCESSES,
            # A body is mapped, and of texts in it there is a copy, of four bytes a character.
            "DATA": GIB + 8 * self._most_bytes,
        }  # fmt: skip
        return Wall(self._mode, files_needed(Path(self._image).parent), bounds)


class ArrivingBody:
    """A body that comes, by its number."""

    def __init__(self, reader: BodyReader, number: int) -> None:
        self._reader = reader
        self._number = number
        self._told = 0

    def note(self, file: MemoryFile) -> None:
        """More of it is in its file."""
        if file.size - self._told >= _TELL_BYTES:
            self._told = file.size
            self._reader.note(self._number, file)

    async def find(self, body: MemoryFile) -> Found:
        """As `BodyReader.find`."""
        return await self._reader.find(self._number, body)


def _failed() -> ProblemError:
    return ProblemError(
        503, "server.reading", "the body could not be read now", changed_by="operator", headers={"Retry-After": "1"},
        retry_after_seconds=1,
    )  # fmt: skip
