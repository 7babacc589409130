"""Writing rows: JSON, JSON Lines, CSV or a table on standard output."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from ..rows.json_text import encode
from .terminal import clean

Row: TypeAlias = "dict[str, Any]"
FORMATS = ("json", "jsonl", "csv", "table")


def to_json(value: object, *, indent: bool = False) -> str:
    """JSON text; numbers of any size stay exact."""
    return encode(value, indent=indent, half_pairs=True).decode()


def write_rows(rows: Sequence[Row], form: str, column_names: Sequence[str] | None) -> None:
    """Write the rows to standard output; `column_names` come first in CSV and tables."""
    names = list(dict.fromkeys([*(column_names or ()), *(key for row in rows for key in row)]))
    if form == "table":
        _write_table(rows, names)
        return
    if form == "json":
        text = "[\n" + ",\n".join(to_json(row) for row in rows) + "\n]" if rows else "[]"
    elif form == "jsonl":
        text = "\n".join(map(to_json, rows))
    else:
        text = _csv(rows, names)
    sys.stdout.write(text + "\n" if text else "")


def _csv(rows: Iterable[Row], names: Sequence[str]) -> str:
    if not names:
        return ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_csv_field(row.get(name)) for name in names] for row in rows)
    return text.getvalue().removesuffix("\n")


def _csv_field(value: object) -> object:
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)


def _write_table(rows: Sequence[Row], names: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    # Into a file or a pipe nothing is cut or wrapped: the table is as wide as its content.
    console = Console(file=sys.stdout, width=None if terminal else 1_000_000, highlight=False)
    table = Table(header_style="bold")
    for name in names:
        numeric = any(type(row.get(name)) in (int, float) for row in rows)
        table.add_column(Text(clean(name)), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row[name])) if name in row else Text() for name in names))
    if names:
        console.print(table)
    print(f"{len(rows):,} row{'' if len(rows) == 1 else 's'}")


def _cell(value: object) -> str:
    if value is None:
        return ""
    return clean(value if isinstance(value, str) else to_json(value))
