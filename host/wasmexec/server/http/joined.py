"""`JoinedTransport`: the head of an answer goes out with what follows it."""

from __future__ import annotations

import asyncio

_MOST_COPIED = 64 * 1024
"""Bytes of a body that are put behind the head in memory; longer ones follow by a call of their own."""


class JoinedTransport:
    """What an answer is written to: its head waits for the body, at most until the end of this turn of the loop.

    uvicorn writes both by themselves, which takes two calls of the system, and wakes the client twice.
    """

    __slots__ = ("_head", "_is_begun", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._is_begun = False
        self._head = b""

    def write(self, data: bytes) -> None:
        """Have something sent."""
        if not self._is_begun:
            self._is_begun, self._head = True, data
            self._loop.call_soon(self._flush)
        elif self._head and len(data) <= _MOST_COPIED:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        else:
            self._flush()
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection once all has been sent."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head and not self._transport.is_closing():
            self._transport.write(self._head)
        self._head = b""
