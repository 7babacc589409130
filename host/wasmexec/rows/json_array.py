"""The elements of a JSON array of any length, cut out of a stream one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, NamedTuple

from ..errors import InputError
from .json_text import decode
from .json_tokens import GAP, IN_STRING, TOKEN
from .steps import SPACE, LookUp, count, part, skip, skip_back

CHUNK_BYTES = 256 * 1024
_UTF8_MARK = b"\xef\xbb\xbf"
_LOOKED_AT = 32 * 1024
JSON_LINES = "it looks like JSON Lines: name it .jsonl or add --input-format jsonl"


class Element(NamedTuple):
    """An element of the array, and where it begins."""

    text: bytes
    line: int
    column: int


def split_array(file: IO[bytes], max_element_bytes: int, name: str, look_up: LookUp = bool) -> Iterator[Element]:
    """The text of each element, not checked otherwise: whoever parses it sees what is wrong inside.

    Raises:
        InputError: it is no array, an element is too large, or the brackets do not fit.
    """
    buffer = _Buffer(file, max_element_bytes, name, look_up)
    if buffer.peek() != b"[":
        raise InputError(f"{name}: {no_array(bytes(buffer.data[buffer.start :]))}", source=name)
    buffer.skip(1)
    if buffer.peek() == b"]":
        buffer.skip(1)
    else:
        index = 0
        while True:
            buffer.peek()
            line, column = buffer.place()
            element, ending = _element(buffer, max_element_bytes, f"{name}, row {index}", look_up)
            yield Element(element, line, column)
            index += 1
            if ending == b"]":
                break
    if buffer.peek():
        raise InputError(f"{name}: not JSON: something follows the array")


def _element(buffer: _Buffer, max_bytes: int, name: str, look_up: LookUp) -> tuple[bytes, bytes]:
    """The next element without the spaces around it, and what ended it: `,` or `]`."""
    depth = 0
    at, data = buffer.start, buffer.data
    looked = at
    while True:
        if not 0 <= at - looked < _LOOKED_AT:
            look_up()
            looked = at
        if depth:
            limit = min(at + _LOOKED_AT, len(data))
            gap = GAP.match(data, at, limit)
            assert gap is not None
            at = gap.end()
            if at == limit:
                at = at if at < len(data) else _read_on(buffer, at, max_bytes, name)
                continue
            token = data[at]
            at += 1
        else:
            match = TOKEN.search(data, at)
            if match is None:
                at = _read_on(buffer, len(data), max_bytes, name)
                continue
            at = match.end()
            token = data[match.start()]
            if token == 0x22 and at - match.start() > 1:
                continue
        if token in b"[{":
            depth += 1
        elif token == 0x22:
            at = _string_end(buffer, at, max_bytes, name)
        elif depth and token in b"]}":
            depth -= 1
        elif token in b",]":
            element = buffer.taken(at - 1)
            if not element:
                raise InputError(f"{name}: not JSON: nothing before {chr(token)!r}")
            buffer.start = at
            return element, bytes((token,))
        else:
            raise InputError(f"{name}: not JSON: unexpected {chr(token)!r}")


def _string_end(buffer: _Buffer, at: int, max_bytes: int, name: str) -> int:
    """Where the string ends whose rest begins there, which is not read yet."""
    while True:
        found = IN_STRING.match(buffer.data, at)
        assert found is not None
        at = found.end()
        if buffer.data[at : at + 1] == b'"':
            return at + 1
        at = _read_on(buffer, at, max_bytes, name)


def _read_on(buffer: _Buffer, at: int, max_bytes: int, name: str) -> int:
    """Where a place is once more has been read."""
    if len(buffer.data) - buffer.start > max_bytes:
        raise InputError(f"{name}: larger than an input may be ({max_bytes:,} bytes) (limit input_bytes)")
    moved = buffer.more()
    if moved is None:
        raise InputError(f"{name}: not JSON: the input ends in the middle")
    return at - moved


def no_array(start: bytes) -> str:
    """What to tell whoever gives a text, of which this is the start, where an array of rows is needed."""
    if is_json_lines(start):
        return f"row by row needs a JSON array of rows; {JSON_LINES}"
    if start[:1] == b"{":
        return "row by row needs a JSON array of rows, this is one object: put it into [ ]"
    return "row by row needs a JSON array of rows; --input-format names another format"


def is_json_lines(start: bytes) -> bool:
    """Whether a text begins as JSON Lines: a line that is a whole object or array, and more behind it."""
    line, end, rest = start.lstrip(SPACE).partition(b"\n")
    if not end or line[:1] not in b"{[" or not line.strip() or rest.lstrip(SPACE)[:1] not in (b"{", b"["):
        return False
    try:
        decode(line)
    except ValueError:
        return False
    return True


class _Buffer:
    def __init__(self, file: IO[bytes], most_spaces: int, name: str, look_up: LookUp) -> None:
        self._file = file
        self._most_spaces = most_spaces
        self._name = name
        self._look_up = look_up
        self.data = bytearray(file.read(CHUNK_BYTES).removeprefix(_UTF8_MARK))
        self.start = 0
        self._line = self._column = 1
        self._counted = 0

    def place(self) -> tuple[int, int]:
        """Line and column of the next byte."""
        at, end = self._counted, self.start
        self._counted = end
        lines = count(self.data, b"\n", at, end, self._look_up)
        self._line += lines
        self._column = end - self.data.rfind(b"\n", at, end) if lines else self._column + end - at
        return self._line, self._column

    def peek(self) -> bytes:
        """The next byte that is no space, b"" at the end."""
        spaces = 0
        while True:
            self.start = skip(self.data, self.start, len(self.data), self._look_up)
            if self.start < len(self.data):
                return bytes(self.data[self.start : self.start + 1])
            spaces += len(self.data)
            # SECURITY: terabytes of spaces are a few megabytes of gzip.
            if spaces > self._most_spaces:
                raise InputError(f"{self._name}: more spaces than an input may have bytes", source=self._name)
            if self.more() is None:
                return b""

    def skip(self, number: int) -> None:
        """Go over some bytes."""
        self.start += number

    def taken(self, end: int) -> bytes:
        """What is before a place, without the spaces around it."""
        start = skip(self.data, self.start, end, self._look_up)
        return part(self.data, start, skip_back(self.data, start, end, self._look_up), self._look_up)

    def more(self) -> int | None:
        """Read on and drop what is before `start`; by how much positions have moved, or None at the end."""
        piece = self._file.read(CHUNK_BYTES)
        if not piece:
            return None
        self.place()
        moved, self.start, self._counted = self.start, 0, 0
        del self.data[:moved]
        self.data += piece
        return moved
