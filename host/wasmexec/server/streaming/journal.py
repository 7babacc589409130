"""`Journal`: the log of a run while it is live, line by line, and how whoever reads it learns that there is more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from ...workers.answers import Answer
    from .events import Position

_LINE_OVERHEAD = 64
"""Bytes that a line takes beside its text."""
_lines_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class State(NamedTuple):
    """An event that tells a state, for every reader who is there until a moment."""

    position: Position
    until: float
    event: bytes
    waits_for: object


class AttemptLog:
    """The lines of one attempt, each a JSON text; `next` is the log of the attempt that repeats it, if one does.

    `is_cut`: there was no room for some of them until the attempt has ended.
    """

    __slots__ = ("_lines", "_logs", "attempt", "is_cut", "next", "shared", "size")

    def __init__(self, attempt: int, logs: bytes | None = None) -> None:
        self.attempt = attempt
        self.next: AttemptLog | None = None
        self.size = 0
        self.is_cut = False
        self.shared: tuple[object, bytes, int] | None = None
        """What was last made of some lines for a reader: the others want the same bytes."""
        self._lines: list[bytes] = []
        self._logs = logs

    @property
    def lines(self) -> list[bytes]:
        """Those that there are so far."""
        if self._logs is not None:
            self._lines, self._logs = split_lines(self._logs), None
        return self._lines

    def end(self, logs: bytes) -> None:
        """It has ended with this log, a JSON array: what was kept is not needed any more."""
        self._lines, self._logs, self.size = [], logs, 0


class Journal:
    """What readers of a run follow: the log of its present attempt, and that something has changed."""

    __slots__ = ("_changed", "_is_asleep", "log", "state")

    def __init__(self, log: AttemptLog) -> None:
        self.log = log
        self.state: State | None = None
        """What a reader was told last of how it is, for the others."""
        self._changed: asyncio.Event | None = None
        self._is_asleep = False

    def changed(self) -> asyncio.Event:
        """Is set at the next change: to be asked for before one looks."""
        if self._changed is None:
            self._changed = asyncio.Event()
        return self._changed

    def note_asleep(self, is_asleep: bool) -> None:
        """It sleeps, or it does not."""
        if is_asleep is not self._is_asleep:
            self._is_asleep = is_asleep
            self.wake()

    def wake(self) -> None:
        """Something has changed."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None


class LiveLogs:
    """The room that the lines of all live runs have together: what does not fit is told when its run has ended."""

    def __init__(self, most_bytes: int) -> None:
        self.size = 0
        self._most = most_bytes

    def add(self, journal: Journal, lines: list[bytes]) -> None:
        """Keep lines, or, from the first that there is no room for, none."""
        log = journal.log
        size = sum(map(len, lines)) + _LINE_OVERHEAD * len(lines)
        log.is_cut = log.is_cut or self.size + size > self._most
        if not log.is_cut:
            log.lines.extend(lines)
            log.size += size
            self.size += size
            journal.wake()

    def repeat(self, journal: Journal, attempt: int) -> None:
        """The attempt has come to nothing; readers have still to be told what it had said."""
        self.size -= journal.log.size
        journal.log.next = AttemptLog(attempt)
        journal.log = journal.log.next
        journal.wake()

    def end(self, journal: Journal, answer: Answer) -> Answer:
        """The run has ended with this answer; with the lines that are here if the answer has none of its own."""
        log = journal.log
        if log.lines and not answer.log_count:
            answer = answer._replace(logs=join_lines(log.lines), log_count=len(log.lines))
        self.size -= log.size
        log.end(answer.logs)
        journal.wake()
        return answer


def split_lines(logs: bytes) -> list[bytes]:
    """The elements of a JSON array as they are written; none, if it is not one.

    SECURITY: nothing of them is parsed but where they end; who wrote them is not trusted to have written JSON.
    """
    try:
        return [bytes(line) for line in _lines_decoder.decode(logs)]
    except (ValueError, RecursionError):
        return []


def join_lines(lines: Sequence[bytes]) -> bytes:
    """A JSON array of them."""
    return b"[" + b",".join(lines) + b"]"
