"""The elements of a JSON array of any length, cut out of a stream one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from ..errors import InputError

CHUNK_BYTES = 256 * 1024
_UTF8_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
# A whole string, a bracket, or a quote whose string goes on behind the end of what has been read.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}",]', re.DOTALL)


def split_array(file: IO[bytes], max_element_bytes: int, name: str) -> Iterator[bytes]:
    """The text of each element, not checked otherwise: whoever parses it sees what is wrong inside.

    Raises:
        InputError: it is no array, an element is too large, or the brackets do not fit.
    """
    buffer = _Buffer(file)
    if buffer.peek() != b"[":
        raise InputError(f"{name}: row by row needs a JSON array of rows")
    buffer.skip(1)
    if buffer.peek() == b"]":
        buffer.skip(1)
    else:
        index = 0
        while True:
            element, ending = _element(buffer, max_element_bytes, f"{name}, row {index}")
            yield element
            index += 1
            if ending == b"]":
                break
    if buffer.peek():
        raise InputError(f"{name}: not JSON: something follows the array")


def _element(buffer: _Buffer, max_bytes: int, name: str) -> tuple[bytes, bytes]:
    """The next element without the spaces around it, and what ended it: `,` or `]`."""
    depth = 0
    searched = start = buffer.start
    while True:
        for match in _TOKEN.finditer(buffer.data, searched):
            token = buffer.data[match.start()]
            if token in b"[{":
                depth += 1
            elif token == 0x22:
                if match.end() - match.start() == 1:
                    break
            elif depth and token in b"]}":
                depth -= 1
            elif not depth and token in b",]":
                element = buffer.data[start : match.start()].strip(_SPACE)
                if not element:
                    raise InputError(f"{name}: not JSON: nothing before {chr(token)!r}")
                buffer.start = match.end()
                return element, bytes((token,))
            elif not depth:
                raise InputError(f"{name}: not JSON: unexpected {chr(token)!r}")
            searched = match.end()
        if len(buffer.data) - start > max_bytes:
            raise InputError(f"{name}: larger than an input may be ({max_bytes:,} bytes) (limit input_bytes)")
        moved = buffer.more()
        if moved is None:
            raise InputError(f"{name}: not JSON: the input ends in the middle")
        searched, start = searched - moved, start - moved


class _Buffer:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.data = file.read(CHUNK_BYTES).removeprefix(_UTF8_MARK)
        self.start = 0

    def peek(self) -> bytes:
        """The next byte that is no space, b"" at the end."""
        while True:
            rest = self.data[self.start : self.start + 64].lstrip(_SPACE)
            self.start += min(64, len(self.data) - self.start) - len(rest)
            if rest:
                return rest[:1]
            if self.start >= len(self.data) and self.more() is None:
                return b""

    def skip(self, count: int) -> None:
        """Go over some bytes."""
        self.start += count

    def more(self) -> int | None:
        """Read on and drop what is before `start`; by how much positions have moved, or None at the end.

        What is kept grows by half of itself at least, so that a large element is not searched again too often.
        """
        kept = self.data[self.start :]
        piece = self._file.read(max(CHUNK_BYTES, len(kept) // 2))
        if not piece:
            return None
        moved, self.start = self.start, 0
        self.data = kept + piece
        return moved
