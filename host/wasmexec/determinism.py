"""Deterministic mode: what decides the randomness and the time of an execution instead of the system."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from .errors import ConfigError

DEFAULT_CLOCK = datetime(2024, 1, 1, tzinfo=UTC)
LATEST_CLOCK_SECONDS = 7_000_000_000
"""In the year 2191: the guest's own clock ends in 2262, and an execution must not get there."""
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Deterministic:
    """The same statement with the same inputs and these settings gives the same rows and the same log, byte for byte.

    `seed` decides every random byte: `random`, numpy, `uuid4`, `secrets`, OpenSSL. Nothing drawn under a known seed is
    a secret. `clock` is the time when the statement starts, an aware datetime or seconds since the epoch; each time
    the clock is asked it advances by `clock_step_seconds` (0.1 microseconds to 1 second), and by all of what the
    statement sleeps, however long its computations take. With `skip_sleeps` it sleeps in no time; the limit
    `wall_seconds` is then one of this clock too.

    HTTP is as random as the servers: to have the same answers at the same times, record an execution and replay it.

    Raises:
        ConfigError: a value is out of range or of the wrong type.
    """

    seed: int | str | bytes = 0
    clock: datetime | float = DEFAULT_CLOCK
    clock_step_seconds: float = 1e-6
    skip_sleeps: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, (int, str, bytes)):
            raise ConfigError(f"seed must be an int, a str or bytes, not {type(self.seed).__name__}")
        clock, step = self.clock, self.clock_step_seconds
        if isinstance(clock, datetime):
            if clock.tzinfo is None:
                raise ConfigError("clock must say its time zone: datetime(..., tzinfo=UTC)")
            clock = clock.timestamp()
        if not _is_number(clock):
            raise ConfigError(f"clock must be a datetime or seconds since the epoch, not {self.clock!r}")
        if not 0 <= clock <= LATEST_CLOCK_SECONDS:
            raise ConfigError(f"clock must lie between the years 1970 and 2191, not at {self.clock!r}")
        if not _is_number(step) or not 1e-7 <= step <= 1:
            raise ConfigError(f"clock_step_seconds must be from 0.0000001 to 1, not {step!r}")
        if not isinstance(self.skip_sleeps, bool):
            raise ConfigError(f"skip_sleeps must be a bool, not {type(self.skip_sleeps).__name__}")

    @property
    def start(self) -> int:
        """`clock` in nanoseconds since the epoch."""
        if isinstance(self.clock, datetime):
            since = self.clock - datetime(1970, 1, 1, tzinfo=UTC)
            return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
        return round(self.clock * NANOSECONDS)

    @property
    def step(self) -> int:
        """`clock_step_seconds` in nanoseconds."""
        return round(self.clock_step_seconds * NANOSECONDS)

    @property
    def key(self) -> bytes:
        """`seed` as 32 bytes; other types of seed give other ones."""
        import hashlib

        seed = self.seed
        data = seed if isinstance(seed, bytes) else str(seed).encode("utf-8", "surrogatepass")
        return hashlib.sha256(type(seed).__name__.encode() + b":" + data).digest()


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
