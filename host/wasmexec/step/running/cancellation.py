"""`Cancellation`: how a run is ended from outside."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Cancellation:
    """Cancels the runs that were given it, from any thread (not from a signal handler): they end with status 303."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self.is_cancelled = False

    def cancel(self) -> None:
        """Cancel; once is enough."""
        with self._lock:
            self.is_cancelled = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Have it called when the runs are cancelled, or now if they are."""
        with self._lock:
            self._listeners.append(listener)
            is_late = self.is_cancelled
        if is_late:
            listener()
