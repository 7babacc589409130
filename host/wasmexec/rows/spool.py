"""`Spool`: accepted rows on disk until their run has succeeded, then in the wanted format to a file or stream."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ..errors import ConfigError, DeliveryError
from .destination import Destination
from .json_text import decode, encode

FORMATS = ("json", "jsonl", "csv")
_IN_MEMORY_BYTES = 8 * 1024 * 1024
_COPY_BYTES = 1024 * 1024


class Spool:
    """An `Output` that delivers to a file or a binary stream when the run is on record, and nothing before.

    A file appears whole or not at all; what is no regular file (a device, a pipe) is written to. `column_names` come
    first in CSV; `row_column` adds a column with the index of the input row that each row came from.

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
    ) -> None:
        if form not in FORMATS:
            raise ConfigError(f"output: the format must be {', '.join(FORMATS)}, not {form!r}")
        self._target = Destination(target) if isinstance(target, Path) else target
        self._form = form
        self._row_column = row_column
        self._names = dict.fromkeys(column_names or ())
        if row_column in self._names:
            raise ConfigError(f"output: the rows have a column {row_column!r} of their own: choose another row column")
        if row_column is not None:
            self._names = {row_column: None, **self._names}
        self._rows: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115  (closed in discard)

    def write(self, rows: Sequence[dict[str, Any]], source_row: int | None) -> None:
        """Keep rows."""
        if self._row_column is not None:
            rows = [{self._row_column: source_row, **row} for row in rows]
        if self._form == "csv":
            for row in rows:
                self._names.update(dict.fromkeys(row))
        try:
            self._rows.write(b"".join([encode(row) + b"\n" for row in rows]))
        except OSError as error:
            # Memory is not enough for them, and the folder for temporary files takes no more.
            raise DeliveryError("the temporary file of the rows", error.strerror or str(error)) from error

    def commit(self) -> None:
        """Deliver everything.

        Raises:
            DeliveryError: the file cannot be written, and is as it was.
            OSError: the stream cannot be written.
        """
        self._rows.seek(0)
        if isinstance(self._target, Destination):
            with self._target.open() as out:
                self._copy(out)
        else:
            self._copy(self._target)
            self._target.flush()
        self.discard()

    def discard(self) -> None:
        """Forget everything."""
        self._rows.close()

    def _copy(self, out: IO[bytes]) -> None:
        if self._form == "csv":
            self._write_csv(out)
        elif self._form == "jsonl":
            while piece := self._rows.read(_COPY_BYTES):
                out.write(piece)
        else:
            separator = b"[\n"
            for line in self._rows:
                out.write(separator + line[:-1])
                separator = b",\n"
            out.write(b"[]\n" if separator == b"[\n" else b"\n]\n")

    def _write_csv(self, out: IO[bytes]) -> None:
        names = list(self._names)
        if not names:
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        for row in self._decoded():
            writer.writerow([_csv_field(row.get(name)) for name in names])
            if text.tell() > _COPY_BYTES:
                out.write(text.getvalue().encode("utf-8", "surrogatepass"))
                text.seek(0)
                text.truncate()
        out.write(text.getvalue().encode("utf-8", "surrogatepass"))

    def _decoded(self) -> Iterator[dict[str, Any]]:
        for line in self._rows:
            yield decode(line)


def _csv_field(value: object) -> object:
    if value is None:
        return ""
    return value if isinstance(value, str) else encode(value).decode()
