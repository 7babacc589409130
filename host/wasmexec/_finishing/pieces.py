"""A JSON array of rows in pieces, without parsing it.

The guest sets a newline behind the comma of a row every 32 KiB. If every piece between such cuts is an array, and none
is empty, then together they are what the text is: up to the first cut it parses as the elements of one array, so that
cut is behind one of them, and so on. Whoever takes the pieces finds out; a hostile guest gains nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LEAST_BYTES = 16 * 1024
"""A piece has so many at least, or a guest that sets a newline everywhere would have much made of little."""
_CUT = re.compile(rb",\n")
_SEARCHED_BYTES = 256 * 1024


class PieceTooLongError(Exception):
    """There is no cut for too long."""


def pieces_of(text: memoryview, most_bytes: int) -> Iterator[bytes]:
    """The text as several arrays; as it is, if there is no cut in it or it is no array.

    Raises:
        PieceTooLongError: a piece has more than `most_bytes`.
    """
    cut = _cut(text, 0, most_bytes)
    if cut < 0 or text[0] != 0x5B or text[-1] != 0x5D:
        if len(text) > most_bytes:
            raise PieceTooLongError
        yield whole(text)
        return
    start = 1
    while cut >= 0:
        yield b"[" + bytes(text[start:cut]) + b"]"
        start = cut + 2
        cut = _cut(text, start, most_bytes)
    yield b"[" + bytes(text[start:])


def whole(text: memoryview) -> bytes:
    """All of it, and no copy if it is a view of bytes."""
    return text.obj if type(text.obj) is bytes and len(text.obj) == len(text) else bytes(text)


def _cut(text: memoryview, start: int, most_bytes: int) -> int:
    """Where the piece that begins there ends; -1 if it is the last."""
    at = start + LEAST_BYTES
    while at < len(text):
        found = _CUT.search(text, at, at + _SEARCHED_BYTES)
        if found is not None:
            at = found.start()
            break
        # The two bytes may lie on both sides.
        at += _SEARCHED_BYTES - 1
    if min(at, len(text)) - start > most_bytes:
        raise PieceTooLongError
    return at if at < len(text) else -1
