"""The one thread that writes the store: what waits together is stored in one transaction.

What is urgent goes at once, and takes along what waits; the rest waits for 5 ms at most. While a transaction is under
way the next one gathers. Rows of a kind are stored by one call of the driver. What is urgent is on disk when it is
told; a transaction of nothing but the rest is synced with the next one that is, a second later at most: in SQLite that
saves three quarters of what it costs.

While the store is out of reach what is patient is kept, in order, and everything else fails at once.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection

from ...store.errors import StoreBusyError, StoreLostError
from .owner import Owner, StoreTakenError

MOST_TOGETHER = 200
GATHER_SECONDS = 0.005
_BEAT_SECONDS = 1.0
"""How often an idle one sees whether the store is there, and has all of it on disk."""
_AGAIN_SECONDS = 0.25
_SLOW_SECONDS = 2.0
"""A transaction that takes longer than this: the store does not answer."""
_CLOSE_SECONDS = 10.0
_END_SECONDS = 5.0
_ROW_BYTES = 512
"""What one that waits takes beside its payloads, about."""
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Kind(Protocol):
    """Rows that are stored together."""

    place: int
    """In a transaction lower ones come first."""

    def store(self, connection: Connection, rows: Sequence[Any]) -> None:
        """Store them, each for the first time.

        Raises: any error: they are stored one by one.
        """

    def store_again(self, connection: Connection, row: Any) -> None:
        """Store one that may be stored already."""


Told = Callable[[Any, Exception | None], None]


class _Item(NamedTuple):
    """`kind` stores `row`; None: `row` is a piece of work that is called with the connection."""

    kind: Kind | None
    row: Any
    told: Told
    is_patient: bool
    size: int


class _Outcome(NamedTuple):
    result: Any
    error: Exception | None


class Writer:
    """Stores; used on the loop. `taken` is called once another server has the store.

    `on_commit` is called by the thread with the seconds that a transaction took and how many pieces it had.
    """

    def __init__(
        self, owner: Owner, loop: asyncio.AbstractEventLoop, taken: Callable[[Exception], None],
        on_commit: Callable[[float, int], None] | None = None,
    ) -> None:  # fmt: skip
        self._on_commit = on_commit
        self._owner = owner
        self._loop = loop
        self._taken = taken
        self._waiting: list[_Item] = []
        self._under_way: Sequence[_Item] = ()
        self._began_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_urgent = False
        self._unsynced_since: float | None = None
        self._away_since: float | None = None
        self._is_closed = self._is_taken = False
        self._when_back: list[Callable[[], None]] = []
        self._bytes = 0
        self._batches: queue.SimpleQueue[tuple[Sequence[_Item], bool] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="wasmexec-writer", daemon=True)
        self._thread.start()
        loop.call_later(_BEAT_SECONDS, self._beat)

    # What is asked.

    def do(self, work: Callable[[Connection], _T], told: Callable[[_T], None] | None = None) -> asyncio.Future[_T]:
        """Have something done; the future is done when it is on disk, or has failed: at once while the store is away.

        `told` gets the result first.
        """
        future: asyncio.Future[_T] = self._loop.create_future()
        self.put(None, work, partial(_tell, future, told), is_urgent=True, is_patient=False)
        return future

    def store(self, kind: Kind, row: Any, *, size: int = 0) -> asyncio.Future[None]:
        """Have a row stored; as `do`."""
        future: asyncio.Future[None] = self._loop.create_future()
        self.put(kind, row, partial(_tell, future, None), is_urgent=True, is_patient=False, size=size)
        return future

    def put(self, kind: Kind | None, row: Any, told: Told, *, is_urgent: bool, is_patient: bool, size: int = 0) -> None:
        """Have a row stored; `told` is called on the loop. `is_patient`: it is kept while the store is away."""
        if self._is_closed or (self._away_since is not None and not is_patient):
            self._loop.call_soon(told, None, StoreLostError("the store is out of reach"))
            return
        self._waiting.append(_Item(kind, row, told, is_patient, size + _ROW_BYTES))
        self._bytes += size + _ROW_BYTES
        if is_urgent and not self._is_urgent:
            self._is_urgent = True
            if not self._under_way and self._away_since is None:
                self._loop.call_soon(self._flush)
        elif self._timer is None and self._away_since is None:
            self._timer = self._loop.call_later(GATHER_SECONDS, self._flush)

    def when_back(self, call: Callable[[], None]) -> None:
        """Have something called whenever the store is there again."""
        self._when_back.append(call)

    @property
    def away_seconds(self) -> float:
        """For how long the store has not answered; 0: it does."""
        now = time.monotonic()
        if self._away_since is not None:
            return max(now - self._away_since, 1e-9)
        slow = now - self._began_at if self._under_way else 0.0
        return slow if slow > _SLOW_SECONDS else 0.0

    @property
    def waiting(self) -> int:
        """Pieces of work that are not on disk."""
        return len(self._waiting) + len(self._under_way)

    @property
    def waiting_bytes(self) -> int:
        """About what is not on disk yet."""
        return self._bytes

    async def close(self) -> bool:
        """Store what is left, if the store is there, and end the thread; false if the database does not let it end."""
        until = time.monotonic() + _CLOSE_SECONDS
        if not self._is_taken:
            self._see()
        while (self._waiting or self._under_way) and not self._is_taken and time.monotonic() < until:
            if not self._under_way:
                self._is_urgent = True
                self._flush()
            await asyncio.sleep(0.002 if self._away_since is None else 0.1)
        self._is_closed = True
        if self._waiting:
            _log.error("%d changes are lost: the store is out of reach", len(self._waiting))
        if self._timer is not None:
            self._timer.cancel()
        self._batches.put(None)
        await self._loop.run_in_executor(None, self._thread.join, _END_SECONDS)
        return not self._thread.is_alive()

    # On the loop.

    def _flush(self) -> None:
        """Hand over what waits, unless the thread has something to do: it goes with what comes then."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._under_way or not self._waiting or self._is_closed:
            return
        batch, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
        now = self._began_at = time.monotonic()
        is_old = self._unsynced_since is not None and now - self._unsynced_since > _BEAT_SECONDS
        is_synced = self._is_urgent or is_old or self._away_since is not None
        self._unsynced_since = None if is_synced else self._unsynced_since or now
        self._is_urgent = bool(self._waiting)
        self._under_way = batch
        self._batches.put((batch, is_synced))

    def _told(self, items: Sequence[_Item], outcomes: Sequence[_Outcome]) -> None:
        self._under_way = ()
        kept, told, lost = [], [], None
        for item, outcome in zip(items, outcomes, strict=True):
            if _is_away(outcome.error):
                lost = outcome.error
                if item.is_patient:
                    kept.append(item)
                    continue
            told.append((item, outcome))
        was_away = self._away_since is not None
        if lost is not None:
            self._go_away(lost)
            self._waiting[:0] = kept
        elif was_away:
            _log.warning("the store is there again, after %.1f s", self.away_seconds)
            self._away_since = None
        for item, outcome in told:
            self._tell(item, outcome)
        if lost is None and was_away:
            for call in self._when_back:
                call()
        is_due = self._is_urgent or self._timer is None or len(self._waiting) >= MOST_TOGETHER
        if lost is None and is_due:
            self._flush()

    def _go_away(self, error: Exception) -> None:
        if self._away_since is None:
            _log.error("the store is out of reach: %s", error)
            self._away_since = self._began_at
        failed = [item for item in self._waiting if not item.is_patient]
        self._waiting = [item for item in self._waiting if item.is_patient]
        if isinstance(error, StoreTakenError):
            self._is_taken = True
            self._taken(error)
        else:
            self._loop.call_later(_AGAIN_SECONDS, self._try_again)
        for item in failed:
            self._tell(item, _Outcome(None, error))

    def _tell(self, item: _Item, outcome: _Outcome) -> None:
        self._bytes -= item.size
        try:
            item.told(outcome.result, outcome.error)
        except Exception:
            _log.exception("what was told of the store")

    def _try_again(self) -> None:
        if not self._under_way and not self._is_closed:
            self._see()

    def _see(self) -> None:
        """Store something, to see whether the store is there and to have on disk what is stored."""
        work = _nothing if self._unsynced_since is None else self._owner.touch
        self._waiting.append(_Item(None, work, _unheard, False, 0))
        self._is_urgent = True
        self._flush()

    def _beat(self) -> None:
        """See whether the store is there while nobody writes."""
        if self._is_closed:
            return
        self._loop.call_later(_BEAT_SECONDS, self._beat)
        if not self._under_way and not self._waiting and self._away_since is None:
            self._see()

    # In the thread.

    def _work(self) -> None:
        while (batch := self._batches.get()) is not None:
            items, is_synced = batch
            outcomes = self._store(items, is_synced=is_synced)
            # A loop that is closed has nobody who waits.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._told, items, outcomes)

    def _store(self, items: Sequence[_Item], *, is_synced: bool) -> list[_Outcome]:
        try:
            began = time.monotonic()
            outcomes = self._store_together(items, is_synced=is_synced)
            if self._on_commit is not None:
                self._on_commit(time.monotonic() - began, len(items))
            return outcomes
        except Exception as error:
            if _is_away(error):
                return [_Outcome(None, error)] * len(items)
        # One of them is at fault, and the others are not to suffer for it.
        return [self._store_one(item) for item in items]

    def _store_together(self, items: Sequence[_Item], *, is_synced: bool) -> list[_Outcome]:
        outcomes = [_Outcome(None, None)] * len(items)
        with self._owner.begin(is_synced=is_synced) as connection:
            rows: dict[Kind, list[Any]] = {}
            for number, item in enumerate(items):
                if item.kind is not None:
                    rows.setdefault(item.kind, []).append(item.row)
                    continue
                # What was put before it is there, and what was put after it is not.
                _store_rows(connection, rows)
                outcomes[number] = _Outcome(item.row(connection), None)
            _store_rows(connection, rows)
        return outcomes

    def _store_one(self, item: _Item) -> _Outcome:
        try:
            with self._owner.begin() as connection:
                if item.kind is None:
                    return _Outcome(item.row(connection), None)
                item.kind.store_again(connection, item.row)
                return _Outcome(None, None)
        except Exception as error:
            return _Outcome(None, error)


def _tell(future: asyncio.Future[_T], told: Callable[[_T], None] | None, result: Any, error: Exception | None) -> None:
    if error is None and told is not None:
        told(result)
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
        # Whether it worked is not always asked.
        future.exception()


def _store_rows(connection: Connection, rows: dict[Kind, list[Any]]) -> None:
    for kind in sorted(rows, key=lambda kind: kind.place):
        kind.store(connection, rows[kind])
    rows.clear()


def _nothing(connection: Connection) -> None:
    """See whether a transaction can begin and end."""


def _unheard(result: Any, error: Exception | None) -> None:
    """Nobody asks what came of it."""


def _is_away(error: Exception | None) -> bool:
    """Whether it is no fault of what was to be stored."""
    return isinstance(error, (StoreLostError, StoreBusyError, StoreTakenError))
