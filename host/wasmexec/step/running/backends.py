"""`Backends`: what executes rows, this process at first, worker processes once an input turns out to be long."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ...workers.local import Done, LocalBackend
    from ...workers.pool import Processes

POOL_AFTER_ROWS = 200
"""So many rows run in this process before worker processes are started: most inputs are shorter."""


class Backend(Protocol):
    """What executes rows; it calls the `Done` that it was made with once for each."""

    def start(self, index: int, data: bytes | None) -> None:
        """Run the statement on an input."""

    def cancel(self) -> None:
        """End what is under way."""

    def close(self) -> None:
        """Release threads and processes."""


class Backends:
    """A backend that goes over to worker processes, without `pool` never. Until they are ready this process goes on."""

    def __init__(
        self,
        done: Done,
        *,
        local: Callable[..., LocalBackend],
        pool: Callable[..., Processes] | None,
        warn: Callable[[str], None],
    ) -> None:
        self._done = done
        self._make_pool = pool
        self._warn = warn
        self._pool: Processes | None = None
        self._current: Backend = local(done=done)
        self._made: list[Backend] = [self._current]

    def start(self, index: int, data: bytes | None) -> None:
        """Run the statement on an input, in worker processes if they are there."""
        if self._make_pool is not None and index >= POOL_AFTER_ROWS:
            self._pool, self._make_pool = self._make_pool(done=self._done), None
            self._made.append(self._pool)
        elif self._pool is not None and self._pool.is_ready:
            self._current, self._pool = self._pool, None
        elif self._pool is not None and self._pool.has_failed:
            self._warn("worker processes could not be started: all rows ran in one process")
            self._pool = None
        self._current.start(index, data)

    def cancel(self) -> None:
        """End what is under way, wherever it is."""
        for backend in self._made:
            backend.cancel()

    def close(self) -> None:
        """Release threads and processes."""
        for backend in self._made:
            backend.close()
