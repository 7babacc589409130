"""The log of one execution: levels, masking, caps by bytes and records, delivery to the caller."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .._guest.channel import BadFrame
from ..limits import Limits, LogRoom
from ..result import LEVELS, LogRecord

if TYPE_CHECKING:
    from .._masking.masker import Masker

ERROR_LEVEL = LEVELS.index("error")


class LogCapability:
    """Collects records until a cap is reached; what does not fit is counted, never silently lost.

    Warnings and errors have a reserve beyond the caps, see `LogRoom`. A message that is too long for what is left is
    kept up to there and counted as dropped. `deliver` gets every kept record at once and must not block. Messages count
    before masking. `clock` gives seconds since the epoch.
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
        self._refused = 0
        self._cut = 0
        self._room = LogRoom(limits.log_records, limits.log_bytes)
        self._mask = mask
        self._deliver = deliver
        self._clock = clock

    def append(self, level: int, message: memoryview) -> bool:
        """Take one message; False if it was dropped or cut, and everything of its level after it will be dropped.

        Raises:
            BadFrame: the level does not exist.
        """
        if level >= len(LEVELS):
            raise BadFrame(f"log level {level}")
        if level == ERROR_LEVEL:
            self.has_errors = True
        name, size = LEVELS[level], len(message)
        left = self._room.left(name)
        fits = size <= left
        text = self._text(message, left)
        if fits or text:
            self._room.add(min(size, left))
            if not fits:
                text += f" … [cut: the message has {size:,} bytes]"
            record = LogRecord(self._clock(), name, text)
            self.records.append(record)
            if self._deliver is not None:
                self._deliver(record)
        may_go_on = fits or self._room.left(name) > 0
        if not may_go_on:
            self._refused += 1
        elif not fits:
            self._cut += 1
        return may_go_on

    def dropped(self, guest_counts: Sequence[int] = ()) -> int:
        """Messages dropped or cut; the guest counts by level what it no longer sends once there is no room for it."""
        if len(guest_counts) > ERROR_LEVEL and guest_counts[ERROR_LEVEL] > 0:
            self.has_errors = True
        # The guest counts each message that was refused, also those that the host has counted.
        return self._cut + max(self._refused, sum(guest_counts))

    def _text(self, message: memoryview, left: int) -> str:
        """The masked text; of a message longer than `left` bytes the beginning."""
        mask = self._mask
        if len(message) <= left:
            text = bytes(message).decode("utf-8", "replace")
            return text if mask is None else mask(text)
        if left <= 0:
            return ""
        if mask is None:
            return bytes(message[:left]).decode("utf-8", "ignore")
        # Beyond what is kept as much as a secret across its end may take.
        return mask.head(bytes(message[: left + mask.margin]), left)
