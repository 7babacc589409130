"""Long texts in short steps: one call over many megabytes holds the interpreter's lock, and nobody can end it.

`look_up` is called between the steps; what it raises ends the work.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import IO, TypeAlias

LookUp: TypeAlias = "Callable[[], object]"
Text: TypeAlias = "bytes | bytearray"
STEP_BYTES = 256 * 1024
"""What takes a fraction of a millisecond to be searched or copied."""
SPACE = b" \t\r\n"
_SPACES = re.compile(rb"[ \t\r\n]*+")
_CONTINUATION = bytes(range(0x80, 0xC0))


def steps(start: int, end: int, look_up: LookUp) -> Iterator[tuple[int, int]]:
    """Where each step begins and ends."""
    for at in range(start, end, STEP_BYTES):
        look_up()
        yield at, min(at + STEP_BYTES, end)


def read_all(file: IO[bytes], look_up: LookUp = bool) -> bytes:
    """What is left of a file."""
    out = io.BytesIO()
    while piece := file.read(STEP_BYTES):
        look_up()
        out.write(piece)
    # Not copied: it gives out its buffer.
    return out.getvalue()


def part(text: Text, start: int, end: int, look_up: LookUp = bool) -> bytes:
    """A part of a text."""
    if end - start <= STEP_BYTES:
        return bytes(text[start:end])
    out = io.BytesIO()
    with memoryview(text) as view:
        for at, stop in steps(start, end, look_up):
            out.write(view[at:stop])
    return out.getvalue()


def in_list(row: bytes | memoryview) -> bytes:
    """The JSON list of one row."""
    # Unlike a formatted text it is put together without the lock.
    return b"".join((b"[", row, b"]"))


def count(text: Text, byte: bytes, start: int, end: int, look_up: LookUp = bool) -> int:
    """How often a byte is in a part of a text."""
    return sum(text.count(byte, at, stop) for at, stop in steps(start, end, look_up))


def characters(text: Text, start: int, end: int, look_up: LookUp = bool) -> int:
    """How many characters a part of a text has."""
    return sum(len(text[at:stop].translate(None, _CONTINUATION)) for at, stop in steps(start, end, look_up))


def is_ascii(text: Text, look_up: LookUp = bool) -> bool:
    """Whether a text is."""
    return all(text[at:stop].isascii() for at, stop in steps(0, len(text), look_up))


def skip(text: Text, start: int, end: int, look_up: LookUp = bool) -> int:
    """Where something begins that is no space; the end if nothing does."""
    while start < end:
        stop = min(start + STEP_BYTES, end)
        found = _SPACES.match(text, start, stop)
        assert found is not None
        start = found.end()
        if start < stop:
            break
        look_up()
    return start


def skip_back(text: Text, start: int, end: int, look_up: LookUp = bool) -> int:
    """Behind the last byte that is no space; the start if there is none."""
    while end > start:
        begin = max(end - STEP_BYTES, start)
        # Mostly there are few.
        begin = max(begin, end - 64) if text[end - 1] not in SPACE else begin
        bare = begin + len(text[begin:end].rstrip(SPACE))
        if bare > begin:
            return bare
        end = begin
        look_up()
    return end
