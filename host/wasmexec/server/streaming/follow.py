"""What a reader of a run is sent: its lines and states, from where the reader was to the end of the run.

Readers share what they are sent: a thousand at the same place are given the same bytes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..runs.run import Phase
from .events import HEARTBEAT, Position, event, log_events, retry_after
from .journal import AttemptLog, State

if TYPE_CHECKING:
    from ..runs.run import Run
    from .streams import Stream

HEARTBEAT_SECONDS = 15.0
QUEUED_SECONDS = 5.0
"""How often it is looked whether a run that waits has come nearer to its start."""
PIECE_BYTES = 64 * 1024
"""Sent at a time: what a reader does not take waits in pieces of that size, one for each reader."""
_RETRY_MILLISECONDS = 1000
_RESTART_MILLISECONDS = 5000
ENDED = "e"
_QUEUED = "q"
_PHASES = {Phase.QUEUED: _QUEUED, Phase.RUNNING: "r", Phase.ENDED: ENDED}
_ASLEEP = "s"


class Told(NamedTuple):
    """A run as it is now: its document, and what holds it back if it waits."""

    document: bytes
    waits_for: object


class Teller(Protocol):
    """Who knows how a run is."""

    def tell(self, run: Run) -> Told:
        """As it is now."""
        ...

    async def settle(self, run: Run) -> None:
        """Return once its end may be told."""


async def follow(
    run: Run, stream: Stream, position: Position, teller: Teller, *, with_states: bool
) -> AsyncIterator[bytes]:
    """Server-sent events of a live run, from a position on; ends with the run, or with the server.

    Without states there are the lines of its log only.
    """
    yield retry_after(_RETRY_MILLISECONDS)
    reader = _Reader(run, position, teller, with_states=with_states)
    quiet_since = time.monotonic()
    while True:
        changed = run.journal.changed()
        while (piece := await reader.next()) is not None:
            yield piece
            quiet_since = time.monotonic()
        if reader.is_at_end:
            return
        if stream.is_closing:
            yield retry_after(_RESTART_MILLISECONDS)
            return
        if time.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
            yield HEARTBEAT
            quiet_since = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(QUEUED_SECONDS):
                await changed.wait()


def ended_events(
    log: AttemptLog, started_at: float | None, document: bytes, position: Position, *, with_state: bool
) -> Iterator[bytes]:
    """What is left for a reader of a run that has ended, from a position on, in pieces."""
    epoch = epoch_of(started_at)
    is_ours = (position.epoch, position.attempt) == (epoch, log.attempt)
    at = position if is_ours else Position(epoch, log.attempt)
    while at.lines < len(log.lines):
        piece, lines = log_events(log.lines, at, PIECE_BYTES)
        yield piece
        at = at._replace(lines=lines)
    if with_state and at.phase != ENDED:
        yield event(b"state", at._replace(phase=ENDED), document)


class _Reader:
    """Where one reader is."""

    def __init__(self, run: Run, position: Position, teller: Teller, *, with_states: bool) -> None:
        self._run = run
        self._teller = teller
        self._with_states = with_states
        self._log = run.journal.log
        self._lines = 0
        self._phase = ""
        self._waits_for: object = None
        if (position.epoch, position.attempt) == (epoch_of(run.started_at), self._log.attempt):
            self._lines, self._phase = position.lines, position.phase
        self.is_at_end = False

    async def next(self) -> bytes | None:
        """What is to be sent now; None if there is nothing yet."""
        if self._run.phase is Phase.ENDED:
            await self._teller.settle(self._run)
        while True:
            if self._lines < len(self._log.lines):
                return self._some_lines()
            if self._log.next is None:
                break
            # Whatever was told was told of an attempt that has come to nothing.
            self._log, self._lines, self._phase = self._log.next, 0, ""
        phase = _ASLEEP if self._run.is_asleep else _PHASES[self._run.phase]
        self.is_at_end = phase == ENDED
        return self._state(phase) if self._with_states else None

    def _position(self, phase: str) -> Position:
        return Position(epoch_of(self._run.started_at), self._log.attempt, self._lines, phase)

    def _some_lines(self) -> bytes:
        log, position = self._log, self._position(self._phase)
        if log.shared is None or log.shared[0] != (position, len(log.lines)):
            log.shared = ((position, len(log.lines)), *log_events(log.lines, position, PIECE_BYTES))
        _, piece, self._lines = log.shared
        return piece

    def _state(self, phase: str) -> bytes | None:
        if phase == self._phase and phase != _QUEUED:
            return None
        state = self._shared_state(self._position(phase))
        is_known = phase == self._phase and self._waits_for in (None, state.waits_for)
        self._phase, self._waits_for = phase, state.waits_for
        return None if is_known else state.event

    def _shared_state(self, position: Position) -> State:
        journal, now = self._run.journal, time.monotonic()
        state = journal.state
        if state is None or state.position != position or now > state.until:
            told = self._teller.tell(self._run)
            state = State(position, now + QUEUED_SECONDS / 2, event(b"state", position, told.document), told.waits_for)
            journal.state = state
        return state


def epoch_of(started_at: float | None) -> int:
    """Milliseconds of the epoch at the start of a run; 0 if it has not started."""
    return 0 if started_at is None else int(started_at * 1000)
