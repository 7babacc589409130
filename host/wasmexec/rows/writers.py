"""Writers of rows, one a format: JSON, JSON Lines and CSV, block by block, so that memory holds one at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import IO

from .block import RowBlock
from .json_text import encode

FORMATS = ("json", "jsonl", "csv")


def write_blocks(form: str, blocks: Iterable[RowBlock], names: Sequence[str], out: IO[bytes]) -> None:
    """Write rows in one of the `FORMATS`; `names` are the columns of CSV."""
    if form == "json":
        _write_json(blocks, out)
    elif form == "jsonl":
        for block in blocks:
            out.write(block.lines)
    elif names:
        _write_csv(blocks, names, out)


def _write_json(blocks: Iterable[RowBlock], out: IO[bytes]) -> None:
    """One array, a row a line."""
    separator = b"[\n"
    for block in blocks:
        out.write(separator + block.lines[:-1].replace(b"\n", b",\n"))
        separator = b",\n"
    out.write(b"[]\n" if separator == b"[\n" else b"\n]\n")


def _write_csv(blocks: Iterable[RowBlock], names: Sequence[str], out: IO[bytes]) -> None:
    """A header and a record for each row; null is empty, and what is no text is JSON."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for block in blocks:
        writer.writerows([_csv_field(row.get(name)) for name in names] for row in block.rows)
        out.write(text.getvalue().encode())
        text.seek(0)
        text.truncate()
    out.write(text.getvalue().encode())


def _csv_field(value: object) -> object:
    if value is None:
        return ""
    return value if isinstance(value, str) or type(value) is int else encode(value).decode()
