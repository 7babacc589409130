"""Writers of rows, one a format: JSON, JSON Lines and CSV, block by block, so that memory holds one at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from functools import partial
from typing import IO

from .block import RowBlock
from .json_text import encode

FORMATS = ("json", "jsonl", "csv")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet would run.

Source: OWASP, "CSV Injection".
"""
_QUOTE = '"'
_LINE_END = "\r\n"
_PIECE_CHARACTERS = 256 * 1024


def write_blocks(
    form: str, blocks: Iterable[RowBlock], names: Sequence[str], out: IO[bytes], *, escape_formulas: bool = False
) -> None:
    """Write rows in one of the `FORMATS`; `names` are the columns of CSV.

    `escape_formulas` is about CSV: a text that a spreadsheet would run, also as the name of a column, gets a single
    quote before it, and every text stands in quotes; numbers stay numbers.
    """
    if form == "json":
        _write_json(blocks, out)
    elif form == "jsonl":
        for block in blocks:
            out.write(block.lines)
    elif names:
        _write_csv(blocks, names, out, escape_formulas=escape_formulas)


def _write_json(blocks: Iterable[RowBlock], out: IO[bytes]) -> None:
    """One array, a row a line."""
    separator = b"[\n"
    for block in blocks:
        out.write(separator + block.lines[:-1].replace(b"\n", b",\n"))
        separator = b",\n"
    out.write(b"[]\n" if separator == b"[\n" else b"\n]\n")


def _write_csv(blocks: Iterable[RowBlock], names: Sequence[str], out: IO[bytes], *, escape_formulas: bool) -> None:
    """A header and a record for each row; null is empty, and what is no text is JSON."""
    pieces = _Pieces(out)
    # The module puts in quotes what has a character of the line end in it: else readers would see one at a carriage
    # return.
    field, write = _csv_field, csv.writer(pieces, lineterminator=_LINE_END).writerow
    if escape_formulas:
        field, write = _escaped_field, partial(_write_fields, pieces)
    write(list(map(field, names)))
    for block in blocks:
        for row in block.rows:
            write([field(row.get(name)) for name in names])
    pieces.flush()


class _Pieces:
    """Gathers records until there are enough to be written at once."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._pieces: list[str] = []
        self._size = 0

    def write(self, text: str) -> None:
        """Take a record."""
        self._pieces += (text.removesuffix(_LINE_END), "\n")
        self._size += len(text)
        if self._size >= _PIECE_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        """Write what there is."""
        self._out.write("".join(self._pieces).encode())
        self._pieces.clear()
        self._size = 0


def _write_fields(pieces: _Pieces, fields: Sequence[str]) -> None:
    # As the standard module has it: a record of one empty field is no empty line.
    pieces.write(",".join(fields) or '""')


def _csv_field(value: object) -> str | int:
    if value is None:
        return ""
    return value if isinstance(value, str) or type(value) is int else encode(value).decode()


def _escaped_field(value: object) -> str:
    """SECURITY: in quotes, or a spreadsheet with another delimiter would see the beginning of a cell in the middle."""
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return encode(value).decode()
    text = value if isinstance(value, str) else encode(value).decode()
    before = "'" if text.startswith(FORMULA_STARTS) else ""
    return f'"{before}{text.replace(_QUOTE, 2 * _QUOTE)}"'
