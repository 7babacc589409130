"""What the request that reads from a connection says about its reads, passed through httpcore by its task."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class Reader(Protocol):
    """Decides when the next bytes are read, and how many of those that have come are parsed at once."""

    async def room(self) -> None:
        """Return when the request has room for more."""
        ...

    def piece(self, data: bytes) -> int:
        """How many of these bytes, the next ones of the connection, are handed to the parser; at least one.

        Raises:
            HostCallError: the server sends more of something than any server has to.
        """
        ...


class _NoRequest:
    """Nobody's: a proxy is talked to."""

    async def room(self) -> None:
        """At once."""

    def piece(self, data: bytes) -> int:
        """All of them."""
        return len(data)


_NO_REQUEST = _NoRequest()
reader: ContextVar[Reader] = ContextVar("reader", default=_NO_REQUEST)
"""Of the request that this task performs."""
