"""The log of one execution: levels, masking, caps by bytes and records, delivery to the caller."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .._channel import BadFrame
from ..limits import Limits
from ..result import LEVELS, LogRecord

if TYPE_CHECKING:
    from .._masking import Masker

ERROR_LEVEL = LEVELS.index("error")


class LogCapability:
    """Collects records until a cap is reached; what does not fit is counted, never silently lost.

    A message that is too long for what is left of the byte cap is kept up to there and counted as dropped.
    `deliver` gets every kept record at once and must not block. Messages count before masking. `clock` gives seconds
    since the epoch.
    """

    def __init__(
        self,
        limits: Limits,
        mask: Masker | None,
        deliver: Callable[[LogRecord], None] | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.records: list[LogRecord] = []
        self.has_errors = False
        self._dropped = 0
        self._bytes_left = limits.log_bytes
        self._records_left = limits.log_records
        self._mask = mask
        self._deliver = deliver
        self._clock = clock

    def append(self, level: int, message: memoryview) -> bool:
        """Take one message; False if it was dropped or cut, and everything after it will be.

        Raises:
            BadFrame: the level does not exist.
        """
        if level >= len(LEVELS):
            raise BadFrame(f"log level {level}")
        if level == ERROR_LEVEL:
            self.has_errors = True
        if self._records_left <= 0:
            self._dropped += 1
            return False
        size = len(message)
        fits = size <= self._bytes_left
        mask = self._mask
        # Beyond what is kept as much as a secret across its end may take.
        raw = bytes(message if fits else message[: self._bytes_left + (0 if mask is None else mask.margin)])
        if fits:
            self._bytes_left -= size
            self._records_left -= 1
            text = raw.decode("utf-8", "replace")
            if mask is not None:
                text = mask(text)
        else:
            self._dropped += 1
            if mask is not None:
                text = mask.head(raw, self._bytes_left)
            else:
                text = raw[: self._bytes_left].decode("utf-8", "ignore")
            self._bytes_left = self._records_left = 0
            if not text:
                return False
            text += f" … [cut: the message has {size:,} bytes]"
        record = LogRecord(self._clock(), LEVELS[level], text)
        self.records.append(record)
        if self._deliver is not None:
            self._deliver(record)
        return fits

    def dropped(self, guest_counts: Sequence[int] = ()) -> int:
        """Messages dropped or cut; the guest counts by level what it no longer sends once the log is full."""
        if len(guest_counts) > ERROR_LEVEL and guest_counts[ERROR_LEVEL] > 0:
            self.has_errors = True
        # The guest counts each message that was refused, also those that the host has counted.
        return max(self._dropped, sum(guest_counts))
