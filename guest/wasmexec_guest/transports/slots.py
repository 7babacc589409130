"""The slots for requests of async clients: so many are under way at once, more wait."""

from __future__ import annotations

import asyncio

MOST_IN_FLIGHT = 128
"""Keeps the frames to the host within its bounds."""

_slots: asyncio.Semaphore | None = None


def slots() -> asyncio.Semaphore:
    """Whoever acquires one releases it when the request has ended."""
    global _slots
    if _slots is None:
        _slots = asyncio.Semaphore(MOST_IN_FLIGHT)
    return _slots


def forget_slots() -> None:
    """Let the next request make new slots: those of a loop that is gone would never be free."""
    global _slots
    _slots = None
