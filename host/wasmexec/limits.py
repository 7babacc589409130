"""Limits of one execution, each named in its unit, finite and validated."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields

from .errors import ConfigError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
PAGE_BYTES = 64 * KIB
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(|k|m|g|ki|mi|gi)b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": KIB, "mi": MIB, "gi": GIB}


def parse_size(text: str) -> int | None:
    """The bytes that a size stands for: `1048576`, `512MiB`, `64k`, `1.5GB`; None if it is none."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return None
    unit = _UNITS[match[2].lower()]
    return int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one execution may use; every value is finite and has a default.

    Raises:
        ConfigError: a value is of the wrong type, not finite or outside its range.
    """

    wall_seconds: float = 60.0
    """From the moment a worker takes the statement to its rows, waiting included."""
    cpu_seconds: float = 30.0
    """Processor time of the worker thread, what the host does around the guest included."""
    memory_bytes: int = GIB
    """Whole linear memory of the guest, the image included (about 75 MiB with pandas)."""
    input_bytes: int = 256 * MIB
    """All inputs together, as JSON text."""
    output_bytes: int = 64 * MIB
    """The returned rows as JSON text; what the schema fills in may add 16 MiB."""
    output_rows: int = 2_000_000
    """Number of returned rows."""
    output_keys: int = 16_384
    """Keys of one object, that is columns of a row."""
    output_depth: int = 512
    """Levels of lists and objects, the list of rows included."""
    log_bytes: int = MIB
    """All log messages together, as UTF-8."""
    log_records: int = 10_000
    """Number of log records; what is cut is counted in `Result.log_dropped`.

    Beyond both limits 200 more warnings and errors are kept, at most 100 of them warnings, each up to 4 KiB: no flood
    hides an error.
    """
    http_requests: int = 100
    """HTTP requests, each redirect hop counted."""
    http_concurrent: int = 16
    """HTTP requests in flight at the same time."""
    http_bytes: int = 64 * MIB
    """Body and header bytes over all requests, counted for each direction by itself."""
    http_headers: int = 256
    """Headers of one request."""
    http_header_bytes: int = 64 * KIB
    """Names and values of the headers of one request, and of one response (of which 100 KiB are read at most)."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            lowest, highest = LIMIT_RANGES[field.name]
            if field.name.endswith("_seconds"):
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise ConfigError(f"limits: {field.name} must be a number, not {type(value).__name__}")
                if not math.isfinite(value):
                    raise ConfigError(f"limits: {field.name} must be finite, not {value}")
            elif isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(f"limits: {field.name} must be a whole number, not {type(value).__name__}")
            if not lowest <= value <= highest:
                raise ConfigError(f"limits: {field.name} must be from {lowest:,} to {highest:,}, not {value:,}")


LIMIT_RANGES: dict[str, tuple[float, float]] = {
    "wall_seconds": (0.001, 7 * 86_400),
    "cpu_seconds": (0.001, 7 * 86_400),
    "memory_bytes": (MIB, 4 * GIB),
    "input_bytes": (0, GIB),
    "output_bytes": (0, GIB),
    "output_rows": (0, 1_000_000_000),
    "output_keys": (0, 1_000_000_000),
    "output_depth": (2, 512),
    "log_bytes": (0, GIB),
    "log_records": (0, 10_000_000),
    "http_requests": (0, 1_000_000),
    "http_concurrent": (1, 1_000),
    "http_bytes": (0, 16 * GIB),
    "http_headers": (0, 10_000),
    "http_header_bytes": (0, MIB),
}

RESERVE_RECORDS = {"warn": 100, "error": 200}
"""Records beyond the cap, by level: a flood of warnings always leaves room for 100 errors."""
RESERVE_MESSAGE_BYTES = 4 * KIB
"""What is kept of a message that only the reserve has room for."""


class LogRoom:
    """What is left of a log that holds `records` messages, of `size` bytes together.

    SECURITY: whatever is logged, a log never holds more than its cap and the reserve of errors.
    """

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
