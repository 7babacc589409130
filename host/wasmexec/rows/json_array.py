"""The elements of a JSON array of any length, cut out of a stream one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, NamedTuple

from ..errors import InputError
from .json_text import decode

CHUNK_BYTES = 256 * 1024
_UTF8_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
JSON_LINES = "it looks like JSON Lines: name it .jsonl or add --input-format jsonl"
# A whole string, a bracket, or a quote whose string goes on behind the end of what has been read.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}",]', re.DOTALL)


class Element(NamedTuple):
    """An element of the array, and where it begins."""

    text: bytes
    line: int
    column: int


def split_array(file: IO[bytes], max_element_bytes: int, name: str) -> Iterator[Element]:
    """The text of each element, not checked otherwise: whoever parses it sees what is wrong inside.

    Raises:
        InputError: it is no array, an element is too large, or the brackets do not fit.
    """
    buffer = _Buffer(file, max_element_bytes, name)
    if buffer.peek() != b"[":
        raise InputError(f"{name}: {no_array(buffer.data[buffer.start :])}", source=name)
    buffer.skip(1)
    if buffer.peek() == b"]":
        buffer.skip(1)
    else:
        index = 0
        while True:
            buffer.peek()
            line, column = buffer.place()
            element, ending = _element(buffer, max_element_bytes, f"{name}, row {index}")
            yield Element(element, line, column)
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


def no_array(start: bytes) -> str:
    """What to tell whoever gives a text, of which this is the start, where an array of rows is needed."""
    if is_json_lines(start):
        return f"row by row needs a JSON array of rows; {JSON_LINES}"
    if start[:1] == b"{":
        return "row by row needs a JSON array of rows, this is one object: put it into [ ]"
    return "row by row needs a JSON array of rows; --input-format names another format"


def is_json_lines(start: bytes) -> bool:
    """Whether a text begins as JSON Lines: a line that is a whole object or array, and more behind it."""
    line, end, rest = start.lstrip(_SPACE).partition(b"\n")
    if not end or line[:1] not in b"{[" or not line.strip() or rest.lstrip(_SPACE)[:1] not in (b"{", b"["):
        return False
    try:
        decode(line)
    except ValueError:
        return False
    return True


class _Buffer:
    def __init__(self, file: IO[bytes], most_spaces: int, name: str) -> None:
        self._file = file
        self._most_spaces = most_spaces
        self._name = name
        self.data = file.read(CHUNK_BYTES).removeprefix(_UTF8_MARK)
        self.start = 0
        self._line = self._column = 1
        self._counted = 0

    def place(self) -> tuple[int, int]:
        """Line and column of the next byte."""
        passed = self.data[self._counted : self.start]
        self._counted = self.start
        lines = passed.count(b"\n")
        self._line += lines
        self._column = len(passed) - passed.rfind(b"\n") if lines else self._column + len(passed)
        return self._line, self._column

    def peek(self) -> bytes:
        """The next byte that is no space, b"" at the end."""
        spaces = 0
        while True:
            rest = self.data[self.start : self.start + 64].lstrip(_SPACE)
            self.start += min(64, len(self.data) - self.start) - len(rest)
            if rest:
                return rest[:1]
            if self.start >= len(self.data):
                spaces += len(self.data)
                # SECURITY: terabytes of spaces are a few megabytes of gzip.
                if spaces > self._most_spaces:
                    raise InputError(f"{self._name}: more spaces than an input may have bytes", source=self._name)
                if self.more() is None:
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
        self.place()
        moved, self.start, self._counted = self.start, 0, 0
        self.data = kept + piece
        return moved
