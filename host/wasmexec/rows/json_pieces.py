"""JSON text looked at in pieces: whether it is JSON, and the rows of an array, without the values of all of it at once.

Values take up to thirty times the memory of their text. A text is cut at commas, outside of strings, every 32 KiB or
so; each piece is closed and opened to be a text of its own, which the one parser reads. Since a cut stands behind a
value and before a comma, all pieces are JSON if and only if the text is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from .json_text import ROWS_DEPTH, decode

PIECE_BYTES = 32 * 1024
SPARE_BYTES = 6 * 1024**2
"""What the values of one text may take beside what is in proportion to it."""
_TIMES = 16
_MOST_PIECES = 4
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT = rb'[^"\[\]{}]*+(?:%b[^"\[\]{}]*+)*+' % _STRING
# Everything up to a bracket with other brackets inside, or a string that is not closed.
_GAP = re.compile(rb'(?:[^"\[\]{}]++|%b|\{%b\}|\[%b\])*+' % (_STRING, _FLAT, _FLAT), re.DOTALL)
_NO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|%b)*+' % _STRING, re.DOTALL)
_ONE_STRING = re.compile(_STRING, re.DOTALL)
_SPACES = re.compile(rb"[ \t\r\n]*+")
_NO_COMMA = re.compile(rb'[^",\[\]{}]*+')
_CLOSING = {0x5B: b"]", 0x7B: b"}"}
_SPACE = b" \t\r\n"


class MisplacedError(ValueError):
    """What the parser had against a text, and at which byte of it."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class Span(NamedTuple):
    """A piece of the text. `opened` are the brackets open where it begins, `left_open` where it ends.

    Of `opened` the first `low` stay open throughout.
    """

    start: int
    end: int
    opened: bytes
    left_open: bytes
    low: int


class Rows(NamedTuple):
    """Some elements of the array: their text without the commas around it, where it begins, and their values.

    One element of more than four pieces has no values here.
    """

    text: bytes
    start: int
    values: list[Any] | None


def check(text: bytes, max_depth: int = ROWS_DEPTH) -> None:
    """See that a text of any size is JSON.

    Raises:
        ValueError: it is not; a `MisplacedError` if a place is known.
    """
    if len(text) <= PIECE_BYTES:
        decode(text, max_depth=max_depth)
        return
    for span in _cut(text, max_depth, deep=True):
        _values(text, span, max_depth)


def is_array(text: bytes) -> bool:
    """Whether a JSON text is an array."""
    return text.startswith(b"[", _skip(text, 0, len(text)))


def array_rows(text: bytes, max_depth: int = ROWS_DEPTH) -> Iterator[Rows]:
    """The elements of an array, some at a time.

    Raises:
        ValueError: as `check`; what has been given was JSON.
    """
    for span in _cut(text, max_depth, deep=False):
        start, end = _inside(text, span)
        # What the array itself lacks is found by reading all of it.
        if end - start <= _MOST_PIECES * PIECE_BYTES or not (span.left_open or b"]" in text[end:]):
            values = _values(text, span, max_depth)
            yield Rows(text[start:end], start, values[1:] if span.opened else values)
            continue
        element = text[start:end]
        try:
            check(element, max_depth - 1)
        except MisplacedError as error:
            raise MisplacedError(str(error), error.position + start) from None
        yield Rows(element, start, None)


def may_be_values(text: bytes) -> bool:
    """Whether the values of a text surely take no more than sixteen times its size and six megabytes."""
    if len(text) <= PIECE_BYTES:
        return True
    objects = text.count(b"{")
    most = 88 * objects + 128 * min(objects, text.count(b":")) + 84 * text.count(b"[") + 64 * text.count(b",")
    return most + (1 if text.isascii() else 4) * len(text) <= _TIMES * len(text) + SPARE_BYTES


def _inside(text: bytes, span: Span) -> tuple[int, int]:
    """Where the elements of a span begin and end: without the comma or bracket before them, and the last bracket."""
    start, end = _skip(text, span.start, span.end), span.end
    start = _skip(text, start + 1, end)
    while end > start and text[end - 1] in _SPACE:
        end -= 1
    if not span.left_open and end > start and text[end - 1] == 0x5D:
        end -= 1
        while end > start and text[end - 1] in _SPACE:
            end -= 1
    return start, end


def _skip(text: bytes, start: int, end: int) -> int:
    found = _SPACES.match(text, start, end)
    return start if found is None else found.end()


def _values(text: bytes, span: Span, max_depth: int) -> Any:
    kept = max(span.low - 1, 0)
    # A comma behind an opening bracket is behind no value, and closing the bracket would hide that.
    if span.left_open and text[span.start : span.end].rstrip(_SPACE)[-1:] in (b"[", b"{"):
        raise MisplacedError("unexpected character, expected a JSON value", span.end)
    before = b"".join(b"[" if bracket == 0x5B else b'{"":' for bracket in span.opened[kept:])
    if span.opened:
        before += b"0"
    after = b"".join(_CLOSING[bracket] for bracket in reversed(span.left_open[kept:]))
    piece = b"".join((before, memoryview(text)[span.start : span.end], after))
    try:
        return decode(piece, max_depth=max_depth)
    except json.JSONDecodeError as error:
        position = byte_position(piece, error.pos) - len(before) + span.start
        raise MisplacedError(error.msg, min(max(position, span.start), len(text))) from None


def byte_position(text: bytes, characters: int) -> int:
    """How many bytes so many characters are."""
    if text.isascii():
        return min(characters, len(text))
    return min(len(text.decode("utf-8", "replace")[:characters].encode()), len(text))


def _cut(text: bytes, max_depth: int, *, deep: bool) -> Iterator[Span]:
    """Spans that make up the text: at any depth, or between the elements of the outermost array only.

    Without `deep` a span that is longer than four pieces has one element.
    """
    size = len(text)
    opened = b""
    stack = bytearray()
    low = start = position = 0
    comma = -1
    while position < size:
        limit = max(start + PIECE_BYTES, position + PIECE_BYTES // 4)
        gap = (_GAP if len(stack) < max_depth else _NO_BRACKET).match(text, position, limit)
        assert gap is not None
        position = gap.end()
        if position >= size:
            break
        byte = text[position]
        if byte in b'[{"' and len(stack) == 1 and not deep:
            comma = _comma_before(text, start, position, comma)
        is_cut = comma > start and not deep and position - start >= PIECE_BYTES // 2
        if is_cut:
            pass
        elif byte in b"]}":
            if not stack:
                break
            stack.pop()
            low = min(low, len(stack))
            position += 1
        elif byte in b"[{":
            if len(stack) == max_depth:
                raise ValueError(f"nested deeper than {max_depth} levels at byte {position + 1:,}")
            stack.append(byte)
            position += 1
        elif byte == 0x22:
            string = _ONE_STRING.match(text, position)
            if string is None:
                break
            position = string.end()
        if not is_cut and (deep or len(stack) == 1) and position - start >= PIECE_BYTES // (1 if deep else 2):
            if not deep:
                comma = _comma_before(text, start, position, comma)
            if not deep and comma > start:
                is_cut = True
            else:
                behind = _NO_COMMA.match(text, position, position + PIECE_BYTES)
                assert behind is not None
                position = behind.end()
                if text[position : position + 1] == b",":
                    comma, is_cut = position, True
        if is_cut:
            brackets = bytes(stack) if deep else b"["
            yield Span(start, comma, opened, brackets, low)
            opened, start = brackets, comma
            position = max(position, start + 1)
            low = len(brackets)
    yield Span(start, size, opened, b"", low)


def _comma_before(text: bytes, start: int, position: int, known: int) -> int:
    """The comma that a value at a position follows; the one known already if there is none."""
    found = text.rfind(b",", start, position)
    return found if found >= 0 and not text[found + 1 : position].strip(_SPACE) else known
