"""`World`: where an execution has its time, its randomness and the answers to its host calls from.

The system's is here; those that are seeded or replayed are in `_replay`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .._hostcalls.usage import UsageCounter

if TYPE_CHECKING:
    from .._guest.instance import VirtualTime
    from .._hostcalls.call_table import Answers, CallTable
    from ..result import Result


class World(Protocol):
    """What an execution asks of its world, always on the thread that runs the guest. One world, one execution."""

    @property
    def usage(self) -> UsageCounter:
        """What its host calls have used."""
        ...

    @property
    def virtual(self) -> VirtualTime | None:
        """What the guest's clocks and randomness are; None: the system's."""
        ...

    @property
    def is_repeatable(self) -> bool:
        """Whether the same execution must go the same way again, whatever else the process does."""
        ...

    @property
    def skips_sleeps(self) -> bool:
        """Whether a sleep takes no time."""
        ...

    def seconds(self) -> float:
        """The time of a log record, in seconds since the epoch."""
        ...

    def begin(self, check: Callable[[], None]) -> None:
        """The guest starts now; `check` raises `StopGuest` once the execution must end."""
        ...

    def call_table(self, make_live: Callable[[], Answers], wake: Callable[[], None]) -> CallTable:
        """Where the host calls of the execution go."""
        ...

    def wait(self, seconds: float | None, calls: CallTable | None) -> bool:
        """The guest waits; True if the next moment is there already, so that nobody has to.

        Raises:
            StopGuest: it would wait for longer than it may.
        """
        ...

    def resume(self) -> None:
        """The guest goes on, with the answers that were just collected."""
        ...

    def sleep(self, seconds: float) -> None:
        """The guest has slept, or is about to if sleeps are skipped.

        Raises:
            StopGuest: it would sleep for longer than it may.
        """
        ...

    def ended(self, result: Result, check: Callable[[], None]) -> Result:
        """The result to give to the caller.

        Whatever takes long calls `check` after every few milliseconds, and nothing is kept of what that ended.

        Raises:
            StopGuest: `check` did.
        """
        ...


class SystemWorld:
    """The real one: the system's clocks and randomness, the network; nothing is noted."""

    virtual = None
    is_repeatable = False
    skips_sleeps = False

    def __init__(self) -> None:
        self.usage = UsageCounter()

    def seconds(self) -> float:
        """The system's clock."""
        return time.time()

    def begin(self, check: Callable[[], None]) -> None:
        """Time goes on anyway."""

    def call_table(self, make_live: Callable[[], Answers], wake: Callable[[], None]) -> CallTable:
        """One that the capabilities answer."""
        from .._hostcalls.call_table import CallTable

        return CallTable(make_live(), wake)

    def wait(self, seconds: float | None, calls: CallTable | None) -> bool:
        """Somebody has to, unless it is for no time at all."""
        return seconds == 0

    def resume(self) -> None:
        """Nothing to set."""

    def sleep(self, seconds: float) -> None:
        """It has slept."""

    def ended(self, result: Result, check: Callable[[], None]) -> Result:
        """The same."""
        return result
