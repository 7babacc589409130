"""`RowLoop`: many executions under way, their outcomes in input order."""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from ...errors import InputError, WasmexecError
from ...result import Result
from ...rows.bad_row import BadRow
from ...status import Status
from .progress import ProgressMeter

if TYPE_CHECKING:
    from ...workers.local import Done
    from .backends import Backend

Outcome: TypeAlias = "tuple[int, Result | BadRow]"
"""The index of an input row and what became of it."""
_POLL_SECONDS = 0.5
WINDOW_BYTES = 16 * 1024**2
"""Rows of the input that have not ended, and results that wait for an earlier one, have so many bytes: or one row."""


class RowLoop:
    """Feeds rows to a backend; `outcomes` gives what became of them.

    At most `depth` rows are under way and `window` rows are between the oldest that has not ended and the newest, of
    16 MiB together, so that a slow row holds up memory no more than time.
    """

    def __init__(
        self,
        rows: Iterator[bytes | BadRow],
        make_backend: Callable[[Done], Backend],
        *,
        concurrency: int,
        meter: ProgressMeter | None = None,
    ) -> None:
        self._rows = rows
        self._make_backend = make_backend
        self._depth = max(2 * concurrency, 8) if concurrency > 1 else 1
        self._window = 4 * self._depth
        self._meter = meter
        self._ended: queue.SimpleQueue[tuple[int, Result | BaseException] | None] = queue.SimpleQueue()
        self._ready: dict[int, Result | BadRow] = {}
        self._bytes: dict[int, int] = {}
        self._held = 0
        self._done = self._failed = self._under_way = 0
        self.rows_read = 0
        self.is_cancelled = False

    def cancel(self) -> None:
        """Stop as soon as possible; from any thread."""
        self.is_cancelled = True
        self._ended.put(None)

    def outcomes(self) -> Generator[Outcome]:
        """Every row once, in order; closing it cancels what is under way and waits for that.

        Raises:
            InputError: the input could not be read to its end; all rows before that have been given.
            BaseException: our own code failed, or a callback did; executions under way have ended.
        """
        backend = self._make_backend(lambda index, outcome: self._ended.put((index, outcome)))
        unreadable: InputError | None = None
        try:
            while not self.is_cancelled:
                try:
                    row = next(self._rows, None)
                except InputError as error:
                    unreadable = error
                    break
                if row is None:
                    break
                self._start(backend, row)
                yield from self._in_order()
                while not self.is_cancelled and self._is_full:
                    self._wait()
                    yield from self._in_order()
                self._drain()
                yield from self._in_order()
                self._show()
            while not self.is_cancelled and self._under_way:
                self._wait()
                yield from self._in_order()
        finally:
            self._end(backend)
        if unreadable is not None and not self.is_cancelled:
            raise unreadable

    @property
    def _is_full(self) -> bool:
        return (
            self._under_way >= self._depth
            or self.rows_read - self._done >= self._window
            or (self._under_way > 0 and self._held >= WINDOW_BYTES)
        )

    def _hold(self, index: int, size: int) -> None:
        """A row, or its result, has so many bytes; none when it has been given."""
        self._held += size - self._bytes.pop(index, 0)
        if size:
            self._bytes[index] = size

    def _start(self, backend: Backend, row: bytes | BadRow) -> None:
        index = self.rows_read
        self.rows_read += 1
        if isinstance(row, BadRow):
            self._ready[index] = row
            self._hold(index, len(row.text))
        else:
            self._hold(index, len(row))
            backend.start(index, row)
            # Not before: what could not be started does not end either.
            self._under_way += 1

    def _in_order(self) -> Iterator[Outcome]:
        while self._done in self._ready:
            index, outcome = self._done, self._ready.pop(self._done)
            self._hold(index, 0)
            self._done += 1
            self._failed += isinstance(outcome, BadRow) or outcome.error is not None
            yield index, outcome

    def _drain(self) -> None:
        while not self._ended.empty():
            self._receive(self._ended.get())

    def _wait(self) -> None:
        with suppress(queue.Empty):
            self._receive(self._ended.get(timeout=_POLL_SECONDS))
        self._show()

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
        self._hold(index, outcome.usage.output_bytes)

    def _show(self) -> None:
        if self._meter is not None:
            self._meter.show(self.rows_read, self._done, self._failed)

    def _end(self, backend: Backend) -> None:
        """End what is still under way: nobody wants it any more."""
        if self._under_way:
            backend.cancel()
            while self._under_way:
                if self._ended.get() is not None:
                    self._under_way -= 1
        backend.close()
