"""Back-pressure from the guest to the network, passed through httpcore by the task that performs the request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar


async def _no_wait() -> None:
    pass


before_read: ContextVar[Callable[[], Awaitable[None]]] = ContextVar("before_read", default=_no_wait)
"""Awaited before each read from a connection: returns when the request that reads has room for more."""
