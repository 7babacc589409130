"""Where the objects of a JSON array begin and end in its text, without parsing them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_PIECE = 128 * 1024
_CHECKED_ROWS = 256
_BETWEEN = re.compile(rb"[ \t\r\n,]*")
# An object with nothing but plain values: most rows. Nothing is tried twice.
_FLAT = re.compile(rb'\{[^{}"\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^{}"\[\]]*+)*+\}', re.DOTALL)
_BRACKET = re.compile(rb'["\[\]{}]')
_OPENING = b"[{"
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LEAST_PIECE = 512
_MOST_LEVELS = 8


def object_spans(data: bytes, check: Callable[[], None]) -> Iterator[tuple[int, int]]:
    """Where each object of a JSON array begins and ends; as far as the array goes, if it is none.

    SECURITY: not a parser. What is no JSON gives some spans in linear time, whatever it is.
    """
    position = data.find(b"[") + 1
    number = 0
    while True:
        if number % _CHECKED_ROWS == 0:
            check()
        number += 1
        between = _BETWEEN.match(data, position, position + _PIECE)
        assert between is not None
        position = between.end()
        if data[position : position + 1] != b"{":
            if position - between.start() == _PIECE:
                continue
            return
        flat = _FLAT.match(data, position, position + _PIECE)
        end = _end(data, position, check) if flat is None else flat.end()
        yield position, end
        position = end


def _end(data: bytes, position: int, check: Callable[[], None]) -> int:
    """Where the object ends that begins here; the end of the data if it does not end."""
    depth = 0
    is_text = False
    size = _LEAST_PIECE
    while position < len(data):
        check()
        piece = data[position : position + size]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
            piece = data[position : position + len(piece) + 1]
        bare = piece.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        left = _left(bare, is_text=is_text) if depth else None
        if left is not None and left.closing < depth:
            depth += left.opening - left.closing
            is_text = left.is_text
        else:
            end, depth, is_text = _scanned(bare, depth, is_text=is_text)
            if end:
                return position + end
        position += len(piece)
        size = min(_PIECE, 4 * size)
    return len(data)


class _Left(NamedTuple):
    """What a piece has of brackets whose partners are not in it, and whether a text goes on behind it."""

    closing: int
    opening: int
    is_text: bool


def _left(bare: bytes, *, is_text: bool) -> _Left | None:
    """In a piece without escapes; None if it is nested too deeply to be told at once."""
    texts = bare.split(b'"')
    is_open = (len(texts) % 2 == 0) is not is_text
    brackets = b"".join(texts[int(is_text) :: 2]).translate(None, _NO_BRACKETS)
    for _ in range(_MOST_LEVELS):
        less = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if len(less) == len(brackets):
            closing = less.count(b"}") + less.count(b"]")
            return _Left(closing, len(less) - closing, is_open)
        brackets = less
    return None


def _scanned(bare: bytes, depth: int, *, is_text: bool) -> tuple[int, int, bool]:
    """Where the outermost bracket is closed in a piece without escapes, 0 if it is not; the depth at its end, and
    whether a text goes on behind it."""
    at = 0
    while True:
        if is_text:
            at = bare.find(b'"', at) + 1
            if not at:
                return 0, depth, True
            is_text = False
        match = _BRACKET.search(bare, at)
        if match is None:
            return 0, depth, False
        at = match.end()
        if match[0] == b'"':
            is_text = True
        elif match[0] in _OPENING:
            depth += 1
        else:
            depth -= 1
            if depth <= 0:
                return at, depth, False
