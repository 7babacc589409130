"""Clock and randomness of one deterministic execution, in the place of the system's.

Only the thread that runs the guest, or is about to, touches them.
"""

from __future__ import annotations

import hashlib
import math
import time

from ..determinism import NANOSECONDS

BLOCK_BYTES = 4096
LONGEST_TIMER_SECONDS = 1e9


class RandomStream:
    """Bytes that a key decides: SHAKE-256 of the key and a counter, block by block."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._blocks = 0
        self._left = b""

    def take(self, length: int) -> bytes:
        """The next bytes."""
        parts = [self._left]
        have = len(self._left)
        while have < length:
            counter = self._blocks.to_bytes(8, "little")
            self._blocks += 1
            parts.append(hashlib.shake_256(self._key + counter).digest(BLOCK_BYTES))
            have += BLOCK_BYTES
        data = b"".join(parts)
        self._left = data[length:]
        return data[:length]


class VirtualClock:
    """Nanoseconds since the epoch that advance by a fixed step at every question, and when told to.

    `due` is when the timer rings that the guest waits for, None without one. With `follows_real_time` the answer of a
    host call takes as long as it really took; how long that was is for the recording to keep.
    """

    def __init__(self, start: int, step: int, *, follows_real_time: bool = False) -> None:
        self.start = self.now = start
        self.due: int | None = None
        self.step = step
        self._real_start = time.monotonic_ns() if follows_real_time else None

    @property
    def elapsed(self) -> int:
        """Nanoseconds since the start."""
        return self.now - self.start

    def seconds(self) -> float:
        """The time, without advancing it."""
        return self.now / NANOSECONDS

    def ask(self) -> int:
        """The time, which every question advances."""
        self.now += self.step
        return self.now

    def begin(self) -> None:
        """The execution starts to run."""
        if self._real_start is not None:
            self._real_start = time.monotonic_ns()

    def expect_timer(self, seconds: float | None) -> None:
        """The guest waits, for a timer among others if there is one."""
        if seconds is None:
            self.due = None
            return
        nanoseconds = math.ceil(min(seconds, LONGEST_TIMER_SECONDS) * NANOSECONDS)
        self.due = self.now + max(1, nanoseconds)

    def ring(self) -> None:
        """The timer is due."""
        if self.due is not None:
            self.now, self.due = self.due, None

    def arrive(self) -> None:
        """An answer is there: later than anything before, not later than the timer that would have come first."""
        moment = self.now + 1
        if self._real_start is not None:
            moment = max(moment, self.start + time.monotonic_ns() - self._real_start)
        self.now = moment if self.due is None else min(moment, self.due)
        self.due = None


class Virtual:
    """Both of one execution, as the guest asks for them."""

    def __init__(self, key: bytes, clock: VirtualClock) -> None:
        self.key = key
        self.clock = clock
        self.take = RandomStream(key).take
        self.ask = clock.ask

    @property
    def start(self) -> int:
        """Where the clock began, in nanoseconds since the epoch."""
        return self.clock.start
