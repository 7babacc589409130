"""The body of a request, bounded while it is read."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from ..problems import ProblemError

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Divert: TypeAlias = Callable[[Callable[[bytes], bool]], None]
"""Has what came of a body, and all that comes, given to a function at once, until that returns False."""
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Disconnected(Exception):
    """The client has gone; nobody is to be answered."""


class Headers:
    """The headers of a request, their names in lower case."""

    __slots__ = ("_repeated", "_values")

    def __init__(self, scope: Scope) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._values = dict(headers)
        self._repeated = None if len(self._values) == len(headers) else Counter(name for name, _ in headers)

    def get(self, name: bytes) -> str | None:
        """The value of a header; None if there is none.

        Raises:
            ProblemError: 400: it is there twice.
        """
        if self._repeated is not None and self._repeated[name] > 1:
            raise ProblemError(400, "header", f"the header {name.decode()} is there {self._repeated[name]} times")
        return self.last(name)

    def last(self, name: bytes) -> str | None:
        """The value of a header, the last one if it is there several times; None if there is none."""
        value = self._values.get(name)
        return None if value is None else value.decode("latin-1")


async def read_body(
    headers: Headers, receive: Receive, most: int, seconds: float, arrived: Callable[[], bytes | None]
) -> bytes:
    """The whole body; `arrived` gives it if it is there already, which needs no timer.

    SECURITY: what is announced as too long is refused before any of it is read, what turns out to be too long as soon
    as it does, and nothing is unpacked.

    Raises:
        ProblemError: 408, 413, 415.
        Disconnected: the client has gone.
    """
    refuse_encoded(headers)
    announced = headers.get(b"content-length")
    if announced is not None and announced.isdecimal() and int(announced) > most:
        raise _too_long(most, int(announced))
    whole = arrived()
    if whole is not None:
        if len(whole) > most:
            raise _too_long(most, len(whole))
        return whole
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                piece = message.get("body", b"")
                size += len(piece)
                if size > most:
                    raise _too_long(most, size)
                pieces.append(piece)
                if not message.get("more_body", False):
                    return b"".join(pieces)
    except TimeoutError:
        raise _too_slow(seconds) from None


async def take_body(
    receive: Receive, divert: Divert, most: int, seconds: float, take: Callable[[bytes], object]
) -> int:
    """Have each piece of a body taken where it comes in, at most so many bytes in so many seconds; how many it has.

    Raises:
        ProblemError: 408, 413, or what `take` raises.
        Disconnected: the client has gone.
    """
    size = 0
    is_over = False
    refusal: ProblemError | None = None

    def take_one(piece: bytes) -> bool:
        nonlocal size, refusal
        if is_over:
            return False
        size += len(piece)
        try:
            if size > most:
                raise _too_long(most, size)
            take(piece)
        except ProblemError as problem:
            refusal = problem
        return refusal is None

    try:
        async with asyncio.timeout(seconds):
            divert(take_one)
            while refusal is None:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise _too_slow(seconds) from None
    finally:
        is_over = True
    if refusal is not None:
        raise refusal
    return size


async def body_pieces(receive: Receive, seconds: float) -> AsyncIterator[bytes]:
    """The body as it comes; nothing comes as long as nobody asks for it.

    Raises:
        ProblemError: 408: the next piece has not come in time.
        Disconnected: the client has gone.
    """
    while True:
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            raise _too_slow(seconds) from None
        if message["type"] == "http.disconnect":
            raise Disconnected
        if piece := message.get("body", b""):
            yield piece
        if not message.get("more_body", False):
            return


def refuse_encoded(headers: Headers) -> None:
    """Return if the body is sent as it is.

    Raises:
        ProblemError: 415: it is compressed.
    """
    encoding = headers.get(b"content-encoding")
    if encoding not in (None, "", "identity"):
        raise ProblemError(
            415, "body.encoding", "compressed bodies are not taken; send it as it is", asked=encoding,
            changed_by="nobody", headers={"Accept-Encoding": "identity"},
        )  # fmt: skip


def _too_slow(seconds: float) -> ProblemError:
    return ProblemError(
        408, "body.seconds", f"the body has not arrived within {seconds:g} s", value=seconds, changed_by="operator",
        headers={"Connection": "close"},
    )  # fmt: skip


def _too_long(most: int, asked: int) -> ProblemError:
    return ProblemError(
        413, "body.bytes", f"the body has more than {most:,} bytes", value=most, asked=asked, changed_by="operator",
        headers={"Connection": "close"},
    )  # fmt: skip
