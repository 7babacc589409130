"""`ProgressMeter`: says how far a run is, about twice a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...rows.source import Source
from ..result import Progress

PROGRESS_SECONDS = 0.5


class ProgressMeter:
    """Calls `on_progress`, at most every `PROGRESS_SECONDS`; the source tells how much of it has been read."""

    def __init__(self, on_progress: Callable[[Progress], None], source: Source) -> None:
        self._on_progress = on_progress
        self._source = source
        self._started = self._reported = time.monotonic()

    def show(self, rows_read: int, rows_done: int, rows_failed: int) -> None:
        """Report, if it is time to."""
        now = time.monotonic()
        if now - self._reported < PROGRESS_SECONDS:
            return
        self._reported = now
        # What has been read but not executed is still to do.
        fraction = self._source.fraction
        fraction = None if fraction is None else fraction * rows_done / max(1, rows_read)
        self._on_progress(Progress(rows_read, rows_done, rows_failed, fraction, now - self._started))
