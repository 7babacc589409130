"""JSON text looked at in pieces: whether it is JSON, and the rows of an array, without the values of all of it at once.

Values take up to thirty times the memory of their text, and a long text takes long. It is cut at commas, outside of
strings, every 32 KiB or so; each piece is closed and opened to be a text of its own, which the one parser reads. Since
a cut stands behind a value and before a comma, all pieces are JSON if and only if the text is. A longer string is cut
by itself, and is empty in its piece.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from .json_text import ROWS_DEPTH, decode
from .json_tokens import GAP, LONGEST_ESCAPE, NO_BRACKET, WHOLE_ESCAPES, string_end
from .steps import LookUp, count, is_ascii, skip, skip_back

PIECE_BYTES = 32 * 1024
SPARE_BYTES = 6 * 1024**2
"""What the values of one text may take beside what is in proportion to it."""
_TIMES = 16
_MOST_PIECES = 4
_MOST_TRIES = 63
"""So many pieces are cut with care after a guess that was wrong."""
_LONGEST_TOKEN = 64
_LONGEST_NUMBER = 64 * 1024
_NO_COMMA = re.compile(rb'[^",\[\]{}]*+')
_CLOSING = {0x5B: b"]", 0x7B: b"}"}
_WORD = re.compile(rb'[^ \t\r\n",\[\]{}]*+')
_NO_COMMA = re.compile(rb'[^",\[\]{}]*+')
_CLOSING = {0x5B: b"]", 0x7B: b"}"}


class MisplacedError(ValueError):
    """What the parser had against a text, and at which byte of it."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class Span(NamedTuple):
    """A piece of the text. `opened` are the brackets open where it begins, `left_open` where it ends.

    Of `opened` the first `low` stay open throughout. `left_out` are the insides of long strings, and many spaces, that
    its verdict does not depend on.
    """

    start: int
    end: int
    opened: bytes
    left_open: bytes
    low: int
    left_out: tuple[tuple[int, int], ...] = ()


class Rows(NamedTuple):
    """Some elements of the array: where their text begins and ends, without the commas around it, and their values.

    One element of more than four pieces has no values here.
    """

    start: int
    end: int
    values: list[Any] | None


def check(
    text: bytes, max_depth: int = ROWS_DEPTH, look_up: LookUp = bool, start: int = 0, end: int | None = None
) -> None:
    """See that a text of any size, or a part of it, is JSON; `look_up` is called all the time.

    Raises:
        ValueError: it is not; a `MisplacedError` if a place is known.
    """
    end = len(text) if end is None else end
    if end - start <= PIECE_BYTES and not start:
        decode(text[:end], max_depth=max_depth)
        return
    for span in _cut(text, start, end, max_depth, look_up, deep=True):
        look_up()
        for inside in span.left_out:
            if text[inside[0] - 1] == 0x22:
                _check_string(text, *inside, look_up)
        _values(text, span, max_depth)


def is_array(text: bytes, look_up: LookUp = bool) -> bool:
    """Whether a JSON text is an array."""
    return text.startswith(b"[", skip(text, 0, len(text), look_up))


def array_rows(text: bytes, max_depth: int = ROWS_DEPTH, look_up: LookUp = bool) -> Iterator[Rows]:
    """The elements of an array, some at a time.

    Raises:
        ValueError: as `check`; what has been given was JSON.
    """
    at = tries = 0
    while at < len(text):
        look_up()
        rows = _guessed(text, at, max_depth)
        if rows is not None:
            yield rows
            at, tries = rows.end, 0
            continue
        spans = _cut(text, at, len(text), max_depth, look_up, deep=False, opened=b"[" if at else b"")
        for span in islice(spans, 1 + tries):
            yield _rows(text, span, max_depth, look_up)
            at = span.end
        tries = min(2 * tries + 1, _MOST_TRIES)


def _guessed(text: bytes, at: int, max_depth: int) -> Rows | None:
    """Some elements up to where one seems to end; None if it does not.

    If they are a list by themselves, they are elements of the array, and the comma behind them is one between two.
    """
    end = text.rfind(b"},", at + PIECE_BYTES // 2, at + PIECE_BYTES) + 1
    start = at or skip(text, 0, PIECE_BYTES)
    if not end or text[start] not in b",[":
        return None
    start = skip(text, start + 1, end)
    try:
        return Rows(start, end, decode(b"[%b]" % text[start:end], max_depth=max_depth))
    except ValueError:
        return None


def _rows(text: bytes, span: Span, max_depth: int, look_up: LookUp) -> Rows:
    start, end = _inside(text, span, look_up)
    if end - start <= _MOST_PIECES * PIECE_BYTES:
        values = _values(text, span, max_depth)
        return Rows(start, end, values[1:] if span.opened else values)
    if not span.left_open and text.find(b"]", end) < 0:
        # What the array itself lacks is found by reading all of it.
        check(text, max_depth, look_up)
    check(text, max_depth - 1, look_up, start, end)
    return Rows(start, end, None)


def may_be_values(text: bytes, look_up: LookUp = bool) -> bool:
    """Whether the values of a text surely take no more than sixteen times its size and six megabytes."""
    if len(text) <= PIECE_BYTES:
        return True
    objects, keys, lists, commas = (count(text, byte, 0, len(text), look_up) for byte in (b"{", b":", b"[", b","))
    most = 88 * objects + 128 * min(objects, keys) + 84 * lists + 64 * commas
    return most + (1 if is_ascii(text, look_up) else 4) * len(text) <= _TIMES * len(text) + SPARE_BYTES


def _inside(text: bytes, span: Span, look_up: LookUp) -> tuple[int, int]:
    """Where the elements of a span begin and end: without the comma or bracket before them, and the last bracket."""
    start = skip(text, span.start, span.end, look_up)
    start = skip(text, start + 1, span.end, look_up)
    end = skip_back(text, start, span.end, look_up)
    if not span.left_open and end > start and text[end - 1] == 0x5D:
        end = skip_back(text, start, end - 1, look_up)
    return start, end


def _values(text: bytes, span: Span, max_depth: int) -> Any:
    kept = max(span.low - 1, 0)
    before = b"".join(b"[" if bracket == 0x5B else b'{"":' for bracket in span.opened[kept:])
    if span.opened:
        before += b"0"
    pieces: list[bytes | memoryview] = [before]
    view, at, size = memoryview(text), span.start, 0
    for start, end in (*span.left_out, (span.end, span.end)):
        pieces.append(view[at:start])
        size += start - at
        at = end
    # A comma behind an opening bracket is behind no value, and closing the bracket would hide that.
    if span.left_open and text[skip_back(text, span.start, span.end) - 1] in b"[{":
        raise MisplacedError("unexpected character, expected a JSON value", span.end)
    if size > _MOST_PIECES * PIECE_BYTES:
        _check_beginning(text, span, before, max_depth)
    pieces.append(b"".join(_CLOSING[bracket] for bracket in reversed(span.left_open[kept:])))
    return _decoded(text, span, b"".join(pieces), len(before), max_depth)


def _check_beginning(text: bytes, span: Span, before: bytes, max_depth: int) -> None:
    """See what is wrong with a piece without a comma: mostly that is soon found.

    Raises:
        MisplacedError: something before the end of the beginning.
    """
    end = min(span.start + 2 * PIECE_BYTES, span.left_out[0][0] if span.left_out else span.end)
    try:
        _decoded(text, span, before + text[span.start : end], len(before), max_depth)
    except MisplacedError as error:
        if error.position < end - _LONGEST_TOKEN:
            raise
    except ValueError:
        pass


def _decoded(text: bytes, span: Span, piece: bytes, before: int, max_depth: int) -> Any:
    try:
        return decode(piece, max_depth=max_depth)
    except json.JSONDecodeError as error:
        position = byte_position(piece, error.pos) - before + span.start
        for start, end in span.left_out:
            position += end - start if position > start else 0
        raise MisplacedError(error.msg, min(max(position, span.start), len(text))) from None


def _check_string(text: bytes, start: int, end: int, look_up: LookUp) -> None:
    """See that the inside of a string is one.

    Raises:
        MisplacedError: it is not.
    """
    most = max(PIECE_BYTES, 2 * LONGEST_ESCAPE)
    while start < end:
        look_up()
        found = WHOLE_ESCAPES.match(text, start, min(start + most, end))
        assert found is not None
        # An escape that is none is left to the parser.
        stop = found.end() if found.end() > start else min(start + LONGEST_ESCAPE, end)
        while stop < end and stop > start and text[stop] & 0xC0 == 0x80:
            stop -= 1
        stop = stop if stop > start else min(start + most, end)
        piece = b'"%b"' % text[start:stop]
        try:
            decode(piece)
        except json.JSONDecodeError as error:
            raise MisplacedError(error.msg, start + max(byte_position(piece, error.pos) - 1, 0)) from None
        start = stop


def byte_position(text: bytes, characters: int) -> int:
    """How many bytes so many characters are."""
    if text.isascii():
        return min(characters, len(text))
    return min(len(text.decode("utf-8", "replace")[:characters].encode()), len(text))


def _cut(
    text: bytes, start: int, size: int, max_depth: int, look_up: LookUp, *, deep: bool, opened: bytes = b""
) -> Iterator[Span]:
    """Spans that make up a text that ends at `size`: at any depth, or between the elements of the outermost array only.

    Without `deep` a span that is longer than four pieces has one element.
    """
    stack = bytearray(opened)
    position, low = start, len(opened)
    least = PIECE_BYTES // (1 if deep else 2)
    comma = -1
    left_out: list[tuple[int, int]] = []
    looked = start
    while position < size:
        if position - looked >= PIECE_BYTES:
            look_up()
            looked = position
        limit = min(max(start + PIECE_BYTES, position + PIECE_BYTES // 4), size)
        gap = (GAP if len(stack) < max_depth else NO_BRACKET).match(text, position, limit)
        assert gap is not None
        position = gap.end()
        if position >= size:
            break
        if position == limit:
            position = _beyond(text, position, size, look_up)
            if deep and position - limit > PIECE_BYTES:
                # One of the spaces stays.
                left_out.append((limit + 1, position))
                continue
        byte = text[position] if position < size else 0
        if byte in b'[{"' and len(stack) == 1 and not deep:
            comma = _comma_before(text, start, position, comma, look_up)
        is_cut = comma > start and not deep and position - start >= least
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
            end = string_end(text, position, size, look_up)
            if deep and (size + 1 if end < 0 else end) - position > PIECE_BYTES:
                left_out.append((position + 1, size if end < 0 else end - 1))
            if end < 0:
                break
            position = end
        brackets = bytes(stack) if deep else b"["
        may_cut = not is_cut and (deep or len(stack) == 1)
        if may_cut and not deep and position - start >= least:
            comma = _comma_before(text, start, position, comma, look_up)
            is_cut = comma > start
        if is_cut:
            yield Span(start, comma, opened, brackets, low)
            opened, start, low = brackets, comma, len(brackets)
            position = max(position, start + 1)
        # What is long already ends here, if it does: what follows it is short, maybe.
        if may_cut and position - start >= least:
            behind = _NO_COMMA.match(text, position, min(position + PIECE_BYTES, size))
            assert behind is not None
            position = behind.end()
            if position < size and text[position] == 0x2C:
                yield Span(start, position, opened, brackets, low, tuple(left_out))
                opened, start, low = brackets, position, len(brackets)
                position += 1
                left_out.clear()
    yield Span(start, size, opened, b"", low, tuple(left_out))


def _beyond(text: bytes, position: int, size: int, look_up: LookUp) -> int:
    """Where the spaces end that begin there, if they do.

    Raises:
        MisplacedError: a number, or what is none, is too long.
    """
    word = _WORD.match(text, position, min(position + _LONGEST_NUMBER, size))
    assert word is not None
    if word.end() - position == _LONGEST_NUMBER:
        raise MisplacedError(f"number of more than {_LONGEST_NUMBER:,} characters", position)
    return skip(text, position, size, look_up)


def _comma_before(text: bytes, start: int, position: int, known: int, look_up: LookUp) -> int:
    """The comma that a value at a position follows; the one known already if there is none."""
    found = skip_back(text, start, position, look_up) - 1
    return found if found >= start and text[found] == 0x2C else known
