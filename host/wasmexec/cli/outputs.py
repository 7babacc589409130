"""Writing rows: JSON, JSON Lines, CSV or a table, to standard output or where `--output` says."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import ConfigError, DeliveryError
from ..rows.json_text import encode
from ..rows.writers import FORMATS as STREAMED
from .streams import emit_coloured
from .terminal import clean, one_line

if TYPE_CHECKING:
    from ..rows.block import Row
    from ..rows.destination import Destination

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])
FORMATS = (*STREAMED, "table")
MAX_TABLE_COLUMNS = 1000
MAX_TABLE_CELLS = 1_000_000
_BY_SUFFIX = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
# What a name ends with that promises another format.
_NOT_WRITTEN = frozenset(
    (".parquet", ".tsv", ".tab", ".gz", ".zip", ".bz2", ".xz", ".zst", ".xlsx", ".xls", ".xml", ".yaml", ".yml")
)


def to_json(value: object, *, indent: bool = False) -> str:
    """JSON text; numbers of any size stay exact."""
    return encode(value, indent=indent, half_pairs=True).decode()


def output_option(function: _Decorated) -> _Decorated:
    """`--output`."""
    return click.option(
        "--output",
        metavar="FILE|-",
        help="Write the rows there, all or none; a device or a pipe is written to, never replaced.",
    )(function)


def format_option(function: _Decorated) -> _Decorated:
    """`--format`."""
    text = "Rows as [default: by the name of --output, else json]."
    return click.option("--format", "form", type=click.Choice(FORMATS), help=text)(function)


def destination(output: str | None) -> Destination:
    """Where `--output` says, else standard output.

    Raises:
        ConfigError: that cannot be written.
    """
    from ..rows.destination import STANDARD_OUTPUT, Destination

    return Destination(STANDARD_OUTPUT if output is None else output)


def escape_option(function: _Decorated) -> _Decorated:
    """`--escape-formulas`."""
    return click.option(
        "--escape-formulas",
        is_flag=True,
        help="CSV for a spreadsheet: a ' before texts that it would run (=, +, -, @, tab, line ends).",
    )(function)


def refuse_escape(form: str, *, escape_formulas: bool) -> None:
    """Raises: click.UsageError: formulas are to be escaped where there are none."""
    if escape_formulas and form != "csv":
        raise click.UsageError(f"--escape-formulas is about CSV, and the rows are written as {form}: add --format csv")


def write_rows(
    rows: Sequence[Row], form: str, column_names: Sequence[str] | None, target: Destination | None = None, *,
    escape_formulas: bool = False,
) -> None:  # fmt: skip
    """Write the rows to standard output, or to `target`; `column_names` come first in CSV and tables.

    Raises:
        DeliveryError: that failed, or the rows have too many keys for CSV or a table.
    """
    from ..rows.block import blocks_of
    from ..rows.writers import write_blocks

    target = destination(None) if target is None else target
    names = _names(rows, form, column_names, target)
    if form == "table" and target.is_standard_output:
        emit_coloured(_table(rows, names, on_terminal=sys.stdout.isatty()))
        return
    with target.open() as out:
        if form == "table":
            out.write(_table(rows, names, on_terminal=False).encode("utf-8", "backslashreplace"))
        else:
            write_blocks(form, blocks_of(rows), names, out, escape_formulas=escape_formulas)


def form_by_name(path: str | None) -> str:
    """The format that the name of an output file tells; JSON if it tells none.

    Raises:
        ConfigError: it tells one that is not written; the file would be taken for what it is not.
    """
    suffix = Path(path).suffix.lower() if path else ""
    if suffix in _NOT_WRITTEN:
        raise ConfigError(
            f"output: {path}: rows are written as {', '.join(FORMATS)}, not as {suffix}: choose another name, or say "
            "with --format what is to be written there"
        )
    return _BY_SUFFIX.get(suffix, "json")


def _names(rows: Sequence[Row], form: str, column_names: Sequence[str] | None, target: Destination) -> list[str]:
    """The columns of CSV or a table."""
    from ..rows.csv_columns import CsvColumns

    if form not in ("csv", "table"):
        return []
    columns = CsvColumns(column_names or ())
    columns.add(rows)
    refusal = columns.refusal()
    cells = len(rows) * len(columns.names)
    if form == "table" and (len(columns.names) > MAX_TABLE_COLUMNS or cells > MAX_TABLE_CELLS):
        refusal = refusal or (
            f"a table of {len(rows):,} rows and {len(columns.names):,} columns is too large to be drawn: write them "
            "with --format jsonl"
        )
    if refusal is not None:
        raise DeliveryError("standard output" if target.is_standard_output else target.name, refusal)
    return columns.names


def _table(rows: Sequence[Row], names: Sequence[str], *, on_terminal: bool) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Into text first: rich ends the process itself when the reader goes away. Into a file or a pipe nothing is cut or
    # wrapped: the table is as wide as its content.
    text = io.StringIO()
    console = Console(file=text, width=None if on_terminal else 1_000_000, highlight=False, force_terminal=on_terminal)
    table = Table(header_style="bold")
    for name in names:
        numeric = any(type(row.get(name)) in (int, float) for row in rows)
        table.add_column(Text(one_line(name)), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row[name])) if name in row else Text() for name in names))
    if names:
        console.print(table)
    return f"{text.getvalue()}{len(rows):,} row{'' if len(rows) == 1 else 's'}\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return clean(value if isinstance(value, str) else to_json(value))
