"""The body of a request, bounded while it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from ..problems import ProblemError

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Disconnected(Exception):
    """The client has gone; nobody is to be answered."""


def header(scope: Scope, name: bytes) -> str | None:
    """The value of a header; None if there is none.

    Raises:
        ProblemError: 400: it is there twice.
    """
    found = [value for key, value in scope["headers"] if key == name]
    if len(found) > 1:
        raise ProblemError(400, "header", f"the header {name.decode()} is there {len(found)} times")
    return None if not found else found[0].decode("latin-1")


async def read_body(scope: Scope, receive: Receive, most: int, seconds: float) -> bytes:
    """The whole body.

    SECURITY: what is announced as too long is refused before any of it is read, what turns out to be too long as soon
    as it does, and nothing is unpacked.

    Raises:
        ProblemError: 408, 413, 415.
        Disconnected: the client has gone.
    """
    refuse_encoded(scope)
    announced = header(scope, b"content-length")
    if announced is not None and announced.isdecimal() and int(announced) > most:
        raise _too_long(most, int(announced))
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


def refuse_encoded(scope: Scope) -> None:
    """Return if the body is sent as it is.

    Raises:
        ProblemError: 415: it is compressed.
    """
    encoding = header(scope, b"content-encoding")
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
