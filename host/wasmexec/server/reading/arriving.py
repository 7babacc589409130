"""`Arriving`: a long body that is read while it comes, so that little is left to be read when it is there.

Where the input begins is guessed, and where a row of it ends. A piece of rows that is a list by itself, and not empty,
is the beginning of a list, and a comma may follow: JSON has one structure only. What is left in the end is read with
the envelope in front of it, as a list of the last rows. If that is a request whose input is this list, so is the whole,
with all rows; wherever a guess was wrong all of it is read.
"""

from __future__ import annotations

import os
import re
from typing import Final

from ...workers.files import LongText, MemoryFile
from .place import Found, find

PIECE_BYTES: Final = 1024**2
_MOST_ENVELOPE: Final = 64 * 1024
"""In front of an input."""
_MOST_TRIES: Final = 4
_SPACE: Final = rb"[ \t\r\n]*"
_INPUT: Final = re.compile(rb'[{,]%b"input_data"%b:%b\[' % (_SPACE, _SPACE, _SPACE))
_LIST_GOES_ON: Final = re.compile(rb"%b[^ \t\r\n\],]" % _SPACE)
# As deep as they are in the body.
_BEFORE: Final = b'{"statement":"","input_data":['
_BEHIND: Final = b"]}"
_END_OF_ROW: Final = b"},"


def new_buffer() -> bytearray:
    """What can be used by any number of bodies, one after the other."""
    return bytearray(_BEFORE) + bytearray(PIECE_BYTES + len(_BEHIND))


class Arriving:
    """How far a body has been read; the buffer is one of `new_buffer`, used while `read` is at work."""

    def __init__(self, buffer: bytearray) -> None:
        self._buffer = buffer
        self._start = 0
        """Of its input."""
        self._read = 0
        """So many bytes end with a comma of the input that was guessed, or the bracket in front of it."""
        self._is_lost = False

    def read(self, file: MemoryFile, size: int) -> None:
        """Read what can be of the `size` bytes that have come."""
        if not self._read and not self._is_lost:
            self._begin(file, size)
        while not self._is_lost and size - self._read >= PIECE_BYTES:
            self._is_lost = not self._read_rows(file)

    def end(self, body: LongText) -> Found:
        """As `find` tells it of the whole, which is there."""
        return self._rest(body) or find(body.view())

    def _begin(self, file: MemoryFile, size: int) -> None:
        guessed = _INPUT.search(file.read(0, min(size, _MOST_ENVELOPE)))
        if guessed is None:
            self._is_lost = True
        else:
            self._start, self._read = guessed.end() - 1, guessed.end()

    def _read_rows(self, file: MemoryFile) -> bool:
        """Read some rows; False if they are none, or their end is not found."""
        buffer, first = self._buffer, len(_BEFORE)
        with memoryview(buffer) as view:
            end = first + os.preadv(file.fileno(), [view[first : first + PIECE_BYTES]], self._read)
        for _ in range(_MOST_TRIES):
            end = buffer.rfind(_END_OF_ROW, first, end)
            if end < 0:
                return False
            behind = slice(end + 1, end + 1 + len(_BEHIND))
            kept, buffer[behind] = buffer[behind], _BEHIND
            if self._is_list(behind.stop):
                self._read += end + 2 - first
                return True
            buffer[behind] = kept
        return False

    def _is_list(self, size: int) -> bool:
        """Whether what is in the buffer is a request whose input begins and ends where it is to."""
        found = find(memoryview(self._buffer)[:size])
        return found == Found(len(_BEFORE) - 1, size - len(_BEFORE))

    def _rest(self, body: LongText) -> Found | None:
        """What is found by the rest; None if that does not tell."""
        if self._is_lost or self._read <= self._start + 1:
            return None
        size = len(body)
        before = body.file.read(0, self._start) + b"["
        rest = body.file.read(self._read, size - self._read)
        if _LIST_GOES_ON.match(rest) is None:
            return None
        found = find(memoryview(before + rest))
        if found.rule is not None or found.start != self._start:
            return None
        return Found(self._start, found.size + self._read - self._start - 1)
