"""Row by row: many executions under way, results taken in input order."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from ...errors import InputError, WasmexecError
from ...result import Result
from ...rows.bad_row import BadRow
from ...status import Status
from ...workers.local import LocalBackend
from ...workers.parent import PoolBackend
from ..result import Progress

POOL_AFTER_ROWS = 200
"""So many rows run in this process before worker processes are started: most inputs are shorter."""
PROGRESS_SECONDS = 0.5
_POLL_SECONDS = 0.5


class Backend(Protocol):
    """What executes rows: this process, or a pool of others."""

    def start(self, index: int, data: bytes | None) -> None:
        """Run the statement on an input; `done` of the loop is called when it has ended."""

    def cancel(self) -> None:
        """End what is under way."""

    def close(self) -> None:
        """Release threads and processes."""


class RowLoop:
    """Feeds rows to a backend and hands results to `take(index, result)` in order, until that returns False.

    At most `depth` rows are under way and `window` rows are between the oldest that has not ended and the newest, so
    that a slow row holds up memory no more than time.
    """

    def __init__(
        self,
        *,
        local: Callable[[Callable[[int, Result | BaseException], None]], LocalBackend],
        pool: Callable[[Callable[[int, Result | BaseException], None]], PoolBackend] | None,
        concurrency: int,
        take: Callable[[int, Result | BadRow], bool],
        on_progress: Callable[[Progress], None] | None,
        fraction: Callable[[], float | None],
    ) -> None:
        self._local = local
        self._make_pool = pool
        self._depth = max(2 * concurrency, 8) if concurrency > 1 else 1
        self._window = 4 * self._depth
        self._take = take
        self._on_progress = on_progress
        self._fraction = fraction
        self._outcomes: queue.SimpleQueue[tuple[int, Result | BaseException] | None] = queue.SimpleQueue()
        self._ready: dict[int, Result | BadRow] = {}
        self._backends: list[Backend] = []
        self._read = self._next = self._under_way = 0
        self._going_on = True
        self._started = self._reported = time.monotonic()
        self.is_cancelled = False
        self.rows_failed = 0
        self.warnings: list[str] = []

    @property
    def rows_read(self) -> int:
        """Input rows taken from the source."""
        return self._read

    def cancel(self) -> None:
        """Stop as soon as possible; from any thread."""
        self.is_cancelled = True
        self._outcomes.put(None)

    def run(self, rows: Iterator[bytes | BadRow]) -> InputError | None:
        """Run all rows; the error if the input could not be read to its end.

        Raises:
            BaseException: our own code failed, or the callbacks did; executions under way have ended.
        """
        try:
            return self._run(rows)
        finally:
            self._going_on = False
            self._end()

    def _run(self, rows: Iterator[bytes | BadRow]) -> InputError | None:
        local = self._local(self._done)
        self._backends.append(local)
        backend: Backend = local
        pool: PoolBackend | None = None
        failure: InputError | None = None
        while self._going_on and not self.is_cancelled:
            try:
                row = next(rows, None)
            except InputError as error:
                failure = error
                break
            if row is None:
                break
            index = self._read
            self._read += 1
            if isinstance(row, BadRow):
                self._ready[index] = row
                self._hand_over()
            else:
                if pool is not None and backend is local:
                    if pool.is_ready:
                        backend = pool
                    elif pool.has_failed:
                        self.warnings.append("worker processes could not be started: all rows ran in one process")
                        pool = None
                elif pool is None and self._make_pool is not None and index == POOL_AFTER_ROWS:
                    pool = self._make_pool(self._done)
                    self._backends.append(pool)
                self._under_way += 1
                backend.start(index, row)
            while (
                self._going_on
                and not self.is_cancelled
                and (self._under_way >= self._depth or self._read - self._next >= self._window)
            ):
                self._wait()
            self._drain()
        while self._going_on and not self.is_cancelled and self._under_way:
            self._wait()
        return failure

    def _done(self, index: int, outcome: Result | BaseException) -> None:
        self._outcomes.put((index, outcome))

    def _drain(self) -> None:
        while not self._outcomes.empty():
            self._receive(self._outcomes.get())
        self._report()

    def _wait(self) -> None:
        with suppress(queue.Empty):
            self._receive(self._outcomes.get(timeout=_POLL_SECONDS))
        self._report()

    def _receive(self, item: tuple[int, Result | BaseException] | None) -> None:
        if item is None:
            return
        index, outcome = item
        self._under_way -= 1
        if isinstance(outcome, BaseException):
            if not isinstance(outcome, WasmexecError):
                raise outcome
            outcome = Result(status=Status.RUNTIME_FAILED, error=outcome)
        self._ready[index] = outcome
        self._hand_over()

    def _hand_over(self) -> None:
        while self._going_on and self._next in self._ready:
            outcome = self._ready.pop(self._next)
            if not self._take(self._next, outcome):
                self._going_on = False
            self._next += 1

    def _report(self) -> None:
        now = time.monotonic()
        if self._on_progress is not None and now - self._reported >= PROGRESS_SECONDS:
            self._reported = now
            # What has been read but not executed is still to do.
            fraction = self._fraction()
            fraction = None if fraction is None else fraction * self._next / max(1, self._read)
            self._on_progress(Progress(self._read, self._next, self.rows_failed, fraction, now - self._started))

    def _end(self) -> None:
        """End what is still under way: nobody wants it any more."""
        if self._under_way:
            for backend in self._backends:
                backend.cancel()
            while self._under_way:
                if self._outcomes.get() is not None:
                    self._under_way -= 1
        for backend in self._backends:
            backend.close()
