"""Rows on their way to one JSON text: some at a time, so that no more than these are held as values."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from ..errors import InputError
from .bad_row import BadRow, RowStream
from .json_pieces import PIECE_BYTES
from .python_rows import PythonRows
from .steps import LookUp, steps

_MOST_ROWS = 1000
_FIRST_ROWS = 16
_ROW_BYTES = 32
"""What a row of no text counts for: two objects and their places."""


class Chunk(NamedTuple):
    """Some rows: their text with commas between, how many, the line that each begins in, their values if known."""

    text: bytes
    number: int
    lines: Sequence[int | None] = ()
    values: list[Any] | None = None


def grouped(rows: RowStream) -> Iterator[Chunk]:
    """Rows of a stream together.

    Raises:
        InputError: the stream raised it, or has a bad row; what came before has been given.
    """
    texts: list[bytes] = []
    lines: list[int | None] = []
    size = 0
    failure: InputError | None = None
    with closing(rows):
        while failure is None:
            try:
                line, row = next(rows)
            except StopIteration:
                break
            except InputError as error:
                failure = error
                break
            if isinstance(row, BadRow):
                failure = row.error
                break
            if texts and size + len(row) > PIECE_BYTES:
                yield Chunk(b",".join(texts), len(texts), lines)
                texts, lines, size = [], [], 0
            texts.append(row)
            lines.append(line)
            size += len(row) + _ROW_BYTES
    if texts:
        yield Chunk(b",".join(texts), len(texts), lines)
    if failure is not None:
        raise failure


def python_chunks(rows: Sequence[Any], encoder: PythonRows, name: str) -> Iterator[Chunk]:
    """Rows that are Python values.

    Raises:
        InputError: one has no JSON form.
    """
    index, count = 0, _FIRST_ROWS
    while index < len(rows):
        some = rows[index : index + count]
        text = encoder.encode_some(some, index, name)
        yield Chunk(text[1:-1], len(some))
        index += len(some)
        count = max(1, min(_MOST_ROWS, count * PIECE_BYTES // max(1, len(text))))


class Joined:
    """The JSON array that chunks make, of at most `max_bytes`."""

    def __init__(self, max_bytes: int, refusal: InputError, look_up: LookUp = bool) -> None:
        self._text = io.BytesIO()
        self._max_bytes = max_bytes
        self._refusal = refusal
        self._look_up = look_up
        self.count = 0

    def add(self, text: bytes | memoryview, count: int) -> None:
        """Rows with commas between.

        Raises:
            InputError: the refusal: there is no room for them.
        """
        if not count:
            return
        if self._text.tell() + len(text) + 2 > self._max_bytes:
            raise self._refusal
        self._text.write(b"," if self.count else b"[")
        with memoryview(text) as view:
            for start, end in steps(0, len(view), self._look_up):
                self._text.write(view[start:end])
        self.count += count

    def array(self) -> bytes:
        """The whole of it; there is nothing left here."""
        self._text.write(b"]" if self.count else b"[]")
        text, self._text = self._text, io.BytesIO()
        # Not copied: it gives out its buffer.
        return text.getvalue()
