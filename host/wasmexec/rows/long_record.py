"""A record of CSV that is too long to be parsed in one go: piece by piece, and straight to the JSON text of its row."""

from __future__ import annotations

import csv
import enum
import io
import re
from collections.abc import Iterable, Sequence

import orjson

from .dialect import Dialect


class _At(enum.Enum):
    BEGINNING = enum.auto()
    PLAIN = enum.auto()
    QUOTED = enum.auto()
    QUOTE_WITHIN = enum.auto()
    """A quote in a quoted field: the field's end, or the first of two that stand for one."""
    END = enum.auto()


class LongRecord:
    """Takes one record in pieces, wherever they are cut.

    `count` says how many fields it has, `unused` how many characters of the last piece are behind it.

    Source: CPython, Modules/_csv.c, with `strict`.
    """

    def __init__(self, dialect: Dialect, names: Sequence[str]) -> None:
        self._quote = dialect.quote
        self._delimiter = dialect.delimiter
        self._skips_space = dialect.skips_space
        self._plain = re.compile(f"[^{re.escape(dialect.delimiter)}\r\n]*+")
        quote = re.escape(dialect.quote)
        self._quoted = re.compile(f"(?:[^{quote}]++|{quote}{quote})*+")
        self._names = names
        self._out = io.BytesIO()
        self._is_empty = True
        self.count = 0
        self.unused = 0

    def row(self, pieces: Iterable[str]) -> bytes | None:
        """The JSON text of the object; None if there are not as many fields as names.

        Raises:
            csv.Error: as the module does.
        """
        self._begin()
        at = _At.BEGINNING
        for piece in pieces:
            at = self._take(piece, at)
            if at is _At.END:
                break
        if at is _At.QUOTED:
            raise csv.Error("unexpected end of data")
        if at is not _At.END:
            self._end("\n")
        # There may be a delimiter at the end of the line, which the header has not.
        if self.count != len(self._names) and not (self.count == len(self._names) + 1 and self._is_empty):
            return None
        self._out.write(b"}")
        return self._out.getvalue()

    def _take(self, piece: str, at: _At) -> _At:
        position = 0
        while position < len(piece) and at is not _At.END:
            character = piece[position]
            match at:
                case _At.PLAIN:
                    plain = self._plain.match(piece, position)
                    assert plain is not None
                    self._add(plain[0])
                    position = plain.end()
                    if position < len(piece):
                        at = self._end(piece[position])
                case _At.QUOTED:
                    quoted = self._quoted.match(piece, position)
                    assert quoted is not None
                    self._add(quoted[0].replace(2 * self._quote, self._quote))
                    position = quoted.end()
                    at = at if position == len(piece) else _At.QUOTE_WITHIN
                case _At.QUOTE_WITHIN if character == self._quote:
                    self._add(character)
                    at = _At.QUOTED
                case _At.QUOTE_WITHIN if not self._is_end(character):
                    raise csv.Error(f"'{self._delimiter}' expected after '{self._quote}'")
                case _At.BEGINNING if character == self._quote:
                    at = _At.QUOTED
                case _At.BEGINNING if character == " " and self._skips_space:
                    pass
                case _At.BEGINNING if not self._is_end(character):
                    at = _At.PLAIN
                    continue
                case _:
                    at = self._end(character)
            position += 1
        if at is _At.END:
            # A line end may have two characters.
            position += piece.endswith("\r", 0, position) and piece.startswith("\n", position)
            self.unused = len(piece) - position
        return at

    def _is_end(self, character: str) -> bool:
        return character == self._delimiter or character in "\r\n"

    def _begin(self) -> None:
        self._is_empty = True
        if self.count < len(self._names):
            self._out.write(b'%b%b:"' % (b"," if self.count else b"{", orjson.dumps(self._names[self.count])))

    def _add(self, text: str) -> None:
        self._is_empty = self._is_empty and not text
        if self.count < len(self._names):
            self._out.write(orjson.dumps(text)[1:-1])

    def _end(self, character: str) -> _At:
        if self.count < len(self._names):
            self._out.write(b'"')
        self.count += 1
        if character != self._delimiter:
            return _At.END
        self._begin()
        return _At.BEGINNING
