"""What is watched, as far as whoever watches has to know it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ...workers.answers import Answer
    from .run_trace import RunTrace


class WatchedTenant(Protocol):
    """Whose runs they are."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


class WatchedRun(Protocol):
    """A run, from its acceptance on; times are seconds of the epoch."""

    id: str
    attempts: int
    created_at: float
    started_at: float | None
    ended_at: float | None
    lost_cpu_seconds: float
    answer: Answer | None
    trace: RunTrace | None

    @property
    def tenant(self) -> WatchedTenant:
        """Whose it is."""
        ...
