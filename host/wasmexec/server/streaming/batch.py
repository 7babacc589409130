"""`Batch`: many runs of one request, asked for line by line and answered line by line as they end."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ...errors import ConfigError
from ..http.bodies import Disconnected
from ..problems import ProblemError
from ..runs.documents import ended_document

if TYPE_CHECKING:
    from ..runs.run import Run
    from ..runs.runs import Runs

MOST_AT_ONCE = 64
"""Runs of a batch that wait or run."""
MOST_LIVE_BYTES = 16 * 1024**2
"""What their orders and inputs take together: with more no other line is taken."""
MOST_UNSENT_BYTES = 4 * 1024**2
"""Of answers that the client has not taken: with more nothing is read."""
_FULL = frozenset({"count.queued", "server.max_queued_bytes"})
"""Refusals that end when one of the batch's own runs does."""
_log = logging.getLogger(__name__)


class Item:
    """One line: `id` is the client's own name for it, `index` its number from 0."""

    __slots__ = ("id", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: str | None = None


class Batch:
    """One batch; `admit` gives an item the name and the run that a line asks for, or raises `ProblemError`.

    The whole of it is never in memory: so many runs are there at once, and so many bytes of answers.
    """

    def __init__(self, admit: Callable[[Item, bytes], Run], runs: Runs) -> None:
        self._admit = admit
        self._runs = runs
        self._live: set[Run] = set()
        self._answers: deque[bytes] = deque()
        self._unsent = 0
        self._changed = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    def begin(self, lines: AsyncIterator[bytes | ProblemError]) -> None:
        """Start what lines ask for; with a problem in place of a line that is refused before it is read."""
        self._reading = asyncio.create_task(self._read(lines))

    def wind_up(self) -> None:
        """Read nothing more; what runs may end."""
        if self._reading is not None:
            self._reading.cancel()
        self._wake()

    def close(self) -> None:
        """Cancel what has not ended: nobody wants it any more."""
        self.wind_up()
        for run in tuple(self._live):
            self._runs.cancel(run)

    async def answers(self) -> AsyncIterator[bytes]:
        """The lines of the answer, in the order in which the runs end; several at a time if several have ended."""
        while True:
            changed = self._changed
            if self._answers:
                piece = b"".join(self._answers)
                self._answers.clear()
                yield piece
                self._unsent -= len(piece)
                self._wake()
            elif (self._reading is None or self._reading.done()) and not self._live:
                return
            else:
                await changed.wait()

    async def _read(self, lines: AsyncIterator[bytes | ProblemError]) -> None:
        item = Item(0)
        try:
            async for line in lines:
                await self._until(self._has_room)
                try:
                    if isinstance(line, ProblemError):
                        raise line
                    await self._begin(item, self._admit(item, line))
                except ProblemError as problem:
                    self._say(item, b"problem", problem.document())
                except ConfigError as error:
                    self._say(item, b"problem", ProblemError(400, "request", error.message).document())
                item = Item(item.index + 1)
        except Disconnected:
            self.close()
        except ProblemError as problem:
            self._say(item, b"problem", problem.document())
        except Exception:
            _log.exception("a batch failed")
            fault = ProblemError(500, "internal", "the server is at fault", changed_by="operator")
            self._say(item, b"problem", fault.document())
        finally:
            self._wake()

    async def _begin(self, item: Item, run: Run) -> None:
        """Have a run wait for its turn, at the latest when one of the others has ended.

        Raises:
            ProblemError: it is refused, and not because of those of this batch.
        """
        while True:
            try:
                self._runs.submit(run)
            except ProblemError as problem:
                if problem.rule not in _FULL or not self._live:
                    raise
                await self._until(partial(self._has_fewer_than, len(self._live)))
            else:
                self._live.add(run)
                run.ended.add_done_callback(partial(self._ended, item, run))
                return

    def _ended(self, item: Item, run: Run, _: object) -> None:
        self._live.discard(run)
        if run.refusal is not None:
            self._say(item, b"problem", ProblemError.of(run.refusal).document())
        else:
            self._say(item, b"run", ended_document(run))

    def _say(self, item: Item, what: bytes, document: bytes) -> None:
        head = msgspec.json.encode({"index": item.index, "id": item.id})[:-1]
        # In JSON a newline is a space between two values, and here it ends an answer.
        line = b'%b,"%b":%b}\n' % (head, what, document.replace(b"\n", b" "))
        self._answers.append(line)
        self._unsent += len(line)
        self._wake()

    def _has_room(self) -> bool:
        size = sum(run.size for run in self._live)
        return len(self._live) < MOST_AT_ONCE and size < MOST_LIVE_BYTES and self._unsent < MOST_UNSENT_BYTES

    def _has_fewer_than(self, count: int) -> bool:
        return len(self._live) < count

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def lines_of(pieces: AsyncIterator[bytes], most_bytes: int) -> AsyncIterator[bytes | ProblemError]:
    """The lines of a body that comes in pieces, without those that are empty; a problem in place of one too long.

    SECURITY: no more than one line within its bound is kept, and one piece.

    Raises:
        ProblemError, Disconnected: as the pieces do.
    """
    kept = bytearray()
    is_too_long = False
    async for piece in pieces:
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            kept += piece[start:end]
            start = end + 1
            if is_too_long or len(kept) > most_bytes:
                yield _too_long(most_bytes)
            elif line := bytes(kept.strip()):
                yield line
            kept.clear()
            is_too_long = False
        kept += piece[start:]
        if len(kept) > most_bytes:
            kept.clear()
            is_too_long = True
    if is_too_long:
        yield _too_long(most_bytes)
    elif line := bytes(kept.strip()):
        yield line


def _too_long(most_bytes: int) -> ProblemError:
    return ProblemError(
        413, "body.bytes", f"the line has more than {most_bytes:,} bytes", value=most_bytes, changed_by="operator"
    )
