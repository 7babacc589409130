"""`RowBlock`: some rows and their JSON Lines, each made of the other once, when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from .json_text import decode, encode_lines

Row: TypeAlias = "dict[str, Any]"
BLOCK_ROWS = 5000
"""A block has at most so many."""


class RowBlock:
    """Rows that were read as JSON, or their text: a line for each row, with a newline behind it and none inside."""

    __slots__ = ("_lines", "_rows")

    def __init__(self, rows: Sequence[Row] | None = None, lines: bytes | None = None) -> None:
        assert rows is not None or lines is not None
        self._rows = rows
        self._lines = lines

    @property
    def rows(self) -> Sequence[Row]:
        """The rows."""
        if self._rows is None:
            assert self._lines is not None
            self._rows = decode(b"[" + self._lines[:-1].replace(b"\n", b",") + b"]")
        return self._rows

    @property
    def lines(self) -> bytes:
        """Their text."""
        if self._lines is None:
            assert self._rows is not None
            self._lines = encode_lines(self._rows, may_have_nan=False)
        return self._lines

    def __len__(self) -> int:
        if self._rows is not None:
            return len(self._rows)
        return self.lines.count(b"\n")


def blocks_of(rows: Sequence[Row]) -> Iterator[RowBlock]:
    """Rows that were read as JSON, in blocks of a bounded size."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield RowBlock(rows[start : start + BLOCK_ROWS])
