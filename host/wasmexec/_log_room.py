"""How much of a log is kept: a cap for all of it, and beyond it a reserve for the levels that must not be missed.

SECURITY: whatever is logged, a log never holds more than its cap and the reserve of errors.
"""

from __future__ import annotations

from .limits import KIB

RESERVE_RECORDS = {"warn": 100, "error": 200}
"""Records beyond the cap, by level: a flood of warnings always leaves room for 100 errors."""
RESERVE_MESSAGE_BYTES = 4 * KIB
"""What is kept of a message that only the reserve has room for."""


class LogRoom:
    """What is left of a log that holds `records` messages, of `size` bytes together."""

    __slots__ = ("_max_bytes", "_max_records", "records", "size")

    def __init__(self, max_records: int, max_bytes: int, records: int = 0, size: int = 0) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self.records = records
        self.size = size

    def left(self, level: str) -> int:
        """How many bytes of one more message of that level are kept; -1 if not even an empty one is."""
        reserve = RESERVE_RECORDS.get(level, 0)
        left = max(0, self._max_bytes - self.size) if self.records < self._max_records else -1
        if left < RESERVE_MESSAGE_BYTES and self.records < self._max_records + reserve:
            spare = self._max_bytes + reserve * RESERVE_MESSAGE_BYTES - self.size
            left = max(left, min(spare, RESERVE_MESSAGE_BYTES))
        return left

    def add(self, size: int) -> None:
        """Count a message that is kept."""
        self.records += 1
        self.size += size
