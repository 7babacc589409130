"""What every transport has in common: the host call that opens a request, its sizes, and the places for requests."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

WHOLE_BODY_BYTES = 64 * 1024
"""A body of at most this size whose end is known goes along with the request."""
WRITE_BYTES = 64 * 1024
READ_BYTES = 128 * 1024
MOST_IN_FLIGHT = 128
"""Requests of all async clients under way at once; more wait. Keeps the frames to the host within its bounds."""

_streams = itertools.count(1)
_places: asyncio.Semaphore | None = None


def next_stream() -> int:
    """A number that no other request of this execution has."""
    return next(_streams)


def places() -> asyncio.Semaphore:
    """The places for requests of async clients; whoever acquires one releases it when the request has ended."""
    global _places
    if _places is None:
        _places = asyncio.Semaphore(MOST_IN_FLIGHT)
    return _places


def forget_places() -> None:
    """Let the next request make new places: those of a loop that is gone would never be free."""
    global _places
    _places = None


def open_arguments(
    stream: int,
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    *,
    timeout: Mapping[str, float | None],
    body: str,
) -> dict[str, object]:
    """The arguments of http.open; `body` is "none", "whole" or "streamed", header texts are Latin-1.

    Raises: ValueError: a timeout is not a number.
    """
    limits = {name: timeout_seconds(value) for name, value in timeout.items()}
    return {"stream": stream, "method": method, "url": url, "headers": headers, "timeout": limits, "body": body}


def timeout_seconds(value: float | None) -> float | None:
    """A timeout as JSON can say it: None for no limit, which an infinite one is too.

    Raises: ValueError: it is not a number.
    """
    if value is None or value == math.inf:
        return None
    seconds = float(value)
    if math.isnan(seconds):
        raise ValueError("a timeout must be a number of seconds, not nan")
    return seconds


def pieces(data: bytes) -> Iterator[bytes]:
    """A part of a streamed body in pieces that one host call may carry."""
    for start in range(0, len(data), WRITE_BYTES):
        yield data[start : start + WRITE_BYTES]
