"""Waiting on the main thread so that a signal always ends it.

Python's handlers run between two steps of the main thread. A signal that arrives when the thread has looked for signals
for the last time and does not sleep yet interrupts nothing: the handler would run when the wait is over, if ever. So
these waits look up now and then.
"""

from __future__ import annotations

import threading

LOOK_UP_SECONDS = 0.2


def acquire(lock: threading.Lock) -> None:
    """Take a lock."""
    while not lock.acquire(timeout=LOOK_UP_SECONDS):
        pass


def wait(event: threading.Event) -> None:
    """Wait until an event is set."""
    while not event.wait(LOOK_UP_SECONDS):
        pass
