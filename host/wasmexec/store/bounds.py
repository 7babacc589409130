"""How much of everything one run may leave in the store."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..errors import ConfigError
from ..limits import GIB, KIB, MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBounds:
    """Sizes of what is kept of one run, in bytes of UTF-8 or of uncompressed payload, and counts.

    Text that describes is cut and says so, lists are cut and the rest counted; what must be exact is refused
    with `StoreLimitError`.

    Raises:
        ConfigError: a value is not a whole number or outside its range.
    """

    checkpoint_bytes: int = 64 * KIB
    """A checkpoint as JSON; refused."""
    checkpoint_history: int = 10_000
    """Versions kept of each step's checkpoint; older ones are dropped."""
    definition_bytes: int = 16 * MIB
    """The text of a step; refused."""
    attributes_bytes: int = 64 * KIB
    """Free attributes of a run as JSON; refused."""
    local_variables_bytes: int = MIB
    """Local variables after the run as JSON; refused."""
    error_bytes: int = 256 * KIB
    """The error of a run or row as JSON; its longest texts are cut."""
    warnings: int = 1_000
    """Number of warnings; the last kept one counts the rest."""
    warning_bytes: int = 4 * KIB
    """One warning; cut."""
    log_records: int = 1_000_000
    """Log records of a run; the rest is counted as dropped, but for 200 more warnings and errors (100 warnings)."""
    log_bytes: int = 64 * MIB
    """All log messages of a run; the rest is counted as dropped, but for 4 KiB of those warnings and errors."""
    log_message_bytes: int = 64 * KIB
    """One log message; cut."""
    row_errors: int = 100_000
    """Refused rows of a run; the rest is counted."""
    output_bytes: int = 4 * GIB
    """All output rows of a run as JSON; refused."""
    output_chunk_bytes: int = 64 * MIB
    """The rows of one call as JSON; refused."""
    recording_bytes: int = GIB
    """A recording; what does not fit makes it incomplete."""
    recording_part_bytes: int = 128 * MIB
    """One part of a recording; a larger one makes it incomplete."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(f"store bounds: {field.name} must be a whole number, not {type(value).__name__}")
            # One value of SQLite or PostgreSQL holds about a gigabyte.
            highest = 512 * MIB if field.name in _ONE_VALUE else 1024 * GIB
            lowest = 4 * KIB if field.name == "error_bytes" else 1
            if not lowest <= value <= highest:
                raise ConfigError(f"store bounds: {field.name} must be from {lowest:,} to {highest:,}, not {value:,}")


_ONE_VALUE = {
    "checkpoint_bytes",
    "definition_bytes",
    "attributes_bytes",
    "local_variables_bytes",
    "error_bytes",
    "warning_bytes",
    "log_message_bytes",
    "output_chunk_bytes",
    "recording_part_bytes",
}
