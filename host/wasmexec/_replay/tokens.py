"""JSON text without the secrets in it, token by token: nothing is parsed, and only a part is looked at at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from .._masking.masker import MASK

if TYPE_CHECKING:
    from .._masking.masker import Masker

MOST_TORN = 1000
"""Strings that one secret may stand across; of more only the shape is kept."""
_PIECE = 128 * 1024
_MASK_BYTES = MASK.encode()
_NUMBER = re.compile(rb"[-+.0-9eE]+")
_NUMBER_BYTES = frozenset(b"-+.0123456789eE")
_BETWEEN = re.compile(rb"[-+.0-9eE\s,:\[\]{}truefalsn]*")
_BACKSLASH, _LETTER_U = b"\\u"


class NoJson(ValueError):
    """The text is no JSON."""


class _Mark(NamedTuple):
    start: int
    end: int
    mark: bytes


def masked_tokens(mask: Masker, data: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    """JSON text with marks in the place of the secrets that `spans` are, in its strings and numbers.

    One that stands across several strings is left where none of them has it.

    Raises:
        NoJson: there is something else where a secret is.
    """
    done: list[bytes] = []
    pieces: list[bytes] = []
    last = 0
    for start, end, mark in _marks(mask, data, spans):
        pieces += (data[last:start], mark)
        last = end
        if len(pieces) > 4096:
            done.append(b"".join(pieces))
            pieces.clear()
    return b"".join((*done, *pieces, data[last:]))


def _marks(mask: Masker, data: bytes, spans: Iterable[tuple[int, int]]) -> Iterator[_Mark]:
    """What to replace, in order."""
    strings = _strings(mask, data)
    nowhere = len(data), len(data)
    opens, closes = next(strings, nowhere)
    done = 0
    for start, end in spans:
        torn = 0
        position = max(start, done)
        while position < end:
            while closes <= position < len(data):
                opens, closes = next(strings, nowhere)
            if position < opens:
                stop = min(end, opens)
                for number in _numbers(mask, data, position, stop, done):
                    yield number
                    done = number.end
                position = stop
                continue
            if opens < start and end < closes:
                mark = _Mark(*_whole(data, opens + 1, start, end), _MASK_BYTES)
                yield mark
                position = done = max(end, mark.end)
                continue
            torn += 1
            if torn > MOST_TORN:
                return
            for first, last in mask.found(data[opens + 1 : closes - 1]):
                mark = _Mark(*_whole(data, opens + 1, opens + 1 + first, opens + 1 + last), _MASK_BYTES)
                if mark.start >= done:
                    yield mark
                    done = mark.end
            position = done = closes


def _strings(mask: Masker, data: bytes) -> Iterator[tuple[int, int]]:
    """Where each string begins and ends, its quotes included."""
    opens = -1
    position = 0
    while position < len(data):
        mask.check()
        piece = data[position : position + _PIECE]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            piece = data[position : position + len(piece) + 1]
        bare = piece.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        at = bare.find(b'"')
        while at >= 0:
            if opens < 0:
                opens = position + at
            else:
                yield opens, position + at + 1
                opens = -1
            at = bare.find(b'"', at + 1)
        position += len(piece)


def _numbers(mask: Masker, data: bytes, start: int, end: int, least: int) -> Iterator[_Mark]:
    """The numbers between two strings that are secrets, as far as they are in a span."""
    if not _BETWEEN.fullmatch(data, start, end):
        raise NoJson
    while start > least and data[start - 1] in _NUMBER_BYTES:
        start -= 1
    while end < len(data) and data[end] in _NUMBER_BYTES:
        end += 1
    for number in _NUMBER.finditer(data, start, end):
        if mask.occurs_in(number[0]):
            yield _Mark(*number.span(), b'"%b"' % _MASK_BYTES)


def _whole(data: bytes, least: int, start: int, end: int) -> tuple[int, int]:
    """A span of a string enlarged to whole characters and escapes."""
    while start > least and data[start] & 0xC0 == 0x80:
        start -= 1
    while data[end] & 0xC0 == 0x80:
        end += 1
    first, first_end = _escape_before(data, least, start)
    if start < first_end:
        start = first
    _, last_end = _escape_before(data, least, end)
    return start, max(end, last_end)


def _escape_before(data: bytes, least: int, position: int) -> tuple[int, int]:
    """Where the last escape that begins before a position begins and ends."""
    at = data.rfind(b"\\", max(least, position - 5), position)
    run = at
    while run >= least and data[run] == _BACKSLASH:
        run -= 1
    if at < 0 or (at - run) % 2 == 0:
        return position, position
    return at, at + (6 if data[at + 1] == _LETTER_U else 2)
