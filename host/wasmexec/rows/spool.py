"""`Spool`: accepted rows on disk until their run has succeeded, then in the wanted format to a file or stream."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ..errors import ConfigError, DeliveryError
from .block import RowBlock
from .csv_columns import CsvColumns
from .destination import Destination
from .json_text import encode_lines
from .writers import FORMATS, write_blocks

_IN_MEMORY_BYTES = 8 * 1024 * 1024
_READ_BYTES = 1024 * 1024


class Spool:
    """An `Output` that delivers to a file or a binary stream when the run is on record, and nothing before.

    A file appears whole or not at all; what is no regular file (a device, a pipe) is written to. `column_names` come
    first in CSV; `row_column` adds a column with the index of the input row that each row came from; `escape_formulas`
    has CSV written so that no spreadsheet runs a cell, see `write_blocks`.

    Raises:
        ConfigError: the format is unknown, the file cannot be written, or the output has a column `row_column` itself.
    """

    def __init__(
        self,
        target: Path | Destination | IO[bytes],
        form: str = "json",
        *,
        column_names: Sequence[str] | None = None,
        row_column: str | None = None,
        escape_formulas: bool = False,
    ) -> None:
        if form not in FORMATS:
            raise ConfigError(f"output: the format must be {', '.join(FORMATS)}, not {form!r}")
        self._target = Destination(target) if isinstance(target, Path) else target
        self._form = form
        self._row_column = row_column
        self._escape_formulas = escape_formulas
        names = list(column_names or ())
        if row_column in names:
            raise ConfigError(f"output: the rows have a column {row_column!r} of their own: choose another row column")
        self._columns = CsvColumns(names if row_column is None else [row_column, *names])
        self._rows: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115  (closed in discard)

    def write(self, rows: Sequence[dict[str, Any]], source_row: int | None) -> None:
        """Keep rows."""
        rows = self._with_column(rows, source_row)
        self._keep(RowBlock(rows, encode_lines(rows)))

    def write_block(self, block: RowBlock, source_row: int | None) -> None:
        """Keep rows whose text need not be made again."""
        if self._row_column is not None:
            block = RowBlock(self._with_column(block.rows, source_row))
        self._keep(block)

    def _with_column(self, rows: Sequence[dict[str, Any]], source_row: int | None) -> list[dict[str, Any]]:
        name = self._row_column
        return list(rows) if name is None else [{name: source_row, **row} for row in rows]

    def _keep(self, block: RowBlock) -> None:
        if self._form == "csv":
            self._columns.add(block.rows)
        try:
            self._rows.write(block.lines)
        except OSError as error:
            # Memory is not enough for them, and the folder for temporary files takes no more.
            raise DeliveryError("the temporary file of the rows", error.strerror or str(error)) from error

    def commit(self) -> None:
        """Deliver everything.

        Raises:
            DeliveryError: the file cannot be written, and is as it was, or the rows have too many keys for CSV.
            OSError: the stream cannot be written.
        """
        refusal = self._columns.refusal()
        if refusal is not None:
            raise DeliveryError(self._target.name if isinstance(self._target, Destination) else "CSV", refusal)
        self._rows.seek(0)
        if isinstance(self._target, Destination):
            with self._target.open() as out:
                self._write(out)
        else:
            self._write(self._target)
            self._target.flush()
        self.discard()

    def discard(self) -> None:
        """Forget everything."""
        self._rows.close()

    def _write(self, out: IO[bytes]) -> None:
        names = self._columns.names
        write_blocks(self._form, self._blocks(), names, out, escape_formulas=self._escape_formulas)

    def _blocks(self) -> Iterator[RowBlock]:
        while lines := self._rows.readlines(_READ_BYTES):
            yield RowBlock(lines=b"".join(lines))
