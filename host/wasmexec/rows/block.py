"""`RowBlock`: some rows and their JSON Lines, each made of the other when it is first asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeAlias

from .json_text import decode, encode_lines
from .members import members

Row: TypeAlias = "dict[str, Any]"
BLOCK_ROWS = 5000
"""A block of `blocks` has at most so many."""
PIECE_BYTES = 64 * 1024
"""What is read or written in one go, so that other threads have their turn in between; a longer row is one piece."""


class RowBlock:
    """Rows that were read as JSON, or their text: a line for each row, with a newline behind it and none inside."""

    __slots__ = ("_count", "_lines", "_rows")

    def __init__(self, rows: list[Row] | None = None, lines: bytes | None = None) -> None:
        assert rows is not None or lines is not None
        self._rows = rows
        self._lines = lines
        self._count = -1

    @property
    def rows(self) -> list[Row]:
        """The rows: the same list each time."""
        if self._rows is None:
            rows: list[Row] = []
            for piece in self.pieces():
                rows += decode(b"[" + piece[:-1].replace(b"\n", b",") + b"]")
            self._rows = rows
        return self._rows

    @property
    def lines(self) -> bytes:
        """Their text."""
        if self._lines is None:
            assert self._rows is not None
            self._lines = encode_lines(self._rows, may_have_nan=False)
        return self._lines

    @property
    def is_text(self) -> bool:
        """Whether only their text is there."""
        return self._rows is None

    def last_members(self, names: Collection[str]) -> Row:
        """Those members of the last row that have one of the names; there must be rows.

        SECURITY: of a text only they are parsed, however long the row is.
        """
        if self._rows is not None:
            row = self._rows[-1]
            return {name: row[name] for name in names if name in row}
        assert self._lines is not None
        start = self._lines.rfind(b"\n", 0, -1) + 1
        return members(self._lines, start, len(self._lines) - 1, names)

    def __len__(self) -> int:
        if self._rows is not None:
            return len(self._rows)
        if self._count < 0:
            assert self._lines is not None
            self._count = self._lines.count(b"\n")
        return self._count

    def __bool__(self) -> bool:
        return bool(self._rows if self._rows is not None else self._lines)

    def __repr__(self) -> str:
        return f"<RowBlock of {len(self):,} rows>"

    def blocks(self) -> Iterator[RowBlock]:
        """The same rows in blocks of a bounded size; a text is not parsed for that."""
        if self._lines is None:
            assert self._rows is not None
            for start in range(0, len(self._rows), BLOCK_ROWS):
                yield RowBlock(self._rows[start : start + BLOCK_ROWS])
        else:
            for piece in self.pieces():
                yield RowBlock(lines=piece)

    def pieces(self) -> Iterator[bytes]:
        """Their text in pieces of whole lines."""
        lines = self.lines
        start = 0
        while start < len(lines):
            end = lines.find(b"\n", min(start + PIECE_BYTES, len(lines)) - 1) + 1 or len(lines)
            yield lines[start:end]
            start = end


def blocks_of(rows: Sequence[Row]) -> Iterator[RowBlock]:
    """Rows that were read as JSON, in blocks of a bounded size."""
    return RowBlock(rows if isinstance(rows, list) else list(rows)).blocks()
