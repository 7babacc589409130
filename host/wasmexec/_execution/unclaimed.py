"""The processor time of our threads that nobody has claimed: waking up and falling asleep are work for somebody, too.

Whoever works on a thread claims what it has used since the last claim, not only from when its own code began.
"""

from __future__ import annotations

import threading
import time


class _Clock(threading.local):
    since: float | None = None
    """From when on; None on threads that are not ours alone."""


_clock = _Clock()


def own_thread() -> None:
    """This thread works for executions and for nothing else, from its start to its end."""
    _clock.since = 0.0


def unclaimed_since() -> float:
    """From when on the time of this thread is to be claimed, as `time.thread_time` counts; now if it is not ours."""
    return time.thread_time() if _clock.since is None else _clock.since


def claim(since: float) -> float:
    """The time of this thread since then, but for what others have claimed meanwhile; claimed by that."""
    now = time.thread_time()
    if _clock.since is not None:
        since = max(since, _clock.since)
        _clock.since = now
    return now - since
