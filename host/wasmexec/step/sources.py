"""Inputs of a step: files of four formats, or Python values, as a stream of rows or as one JSON text.

A row is the JSON text of one element; a row that cannot be read is a `BadRow` in its place, and reading goes on where
that is possible. Only one row, one line or one Parquet batch is held at a time, unless `whole` is asked for.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import orjson

from ..errors import ConfigError, InputError
from .jsonstream import split_array
from .jsontext import encode

FORMATS = ("json", "jsonl", "csv", "parquet")
BY_SUFFIX = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_UTF8_MARK = b"\xef\xbb\xbf"
_PARQUET_BATCH_ROWS = 1000

Input: TypeAlias = "Path | bytes | Iterable[Any] | dict[str, Any] | None"


class BadRow(NamedTuple):
    """A row of the input that cannot be given to the statement; `text` is its JSON, if a schema refuses it."""

    error: InputError
    text: bytes = b""


class Source:
    """One input. `fraction` says how much of it has been read (0 to 1), None if that cannot be known."""

    def __init__(self, value: Input, form: str | None = None, *, max_row_bytes: int, name: str = "the input") -> None:
        if isinstance(value, str):
            raise TypeError(f"{name}: pass a file as pathlib.Path(...), JSON text as bytes")
        if form is not None and form not in FORMATS:
            raise ConfigError(f"{name}: the format must be {', '.join(FORMATS)}, not {form!r}")
        self._value = value
        self._max_row_bytes = max_row_bytes
        self._file: IO[bytes] | None = None
        self._size = 0
        self.name = name
        self.is_wired = value is not None
        self.form = form
        if isinstance(value, Path):
            self.name = "standard input" if str(value) == "-" else str(value)
            self.form = form or _form_of(value)

    @property
    def fraction(self) -> float | None:
        """How much of the file has been read."""
        if self._file is None or not self._size:
            return None
        return 1.0 if self._file.closed else min(1.0, self._file.tell() / self._size)

    def rows(self) -> Iterator[bytes | BadRow]:
        """The rows one by one, each as JSON text.

        Raises:
            InputError: the input cannot be read on from here.
            OSError: a file cannot be read.
        """
        value = self._value
        if value is None:
            return
        if isinstance(value, Path):
            with self._open(value) as file:
                yield from self._readers()[self.form or "json"](file)
        elif isinstance(value, (bytes, bytearray, memoryview)):
            yield from self._json(io.BytesIO(value))
        elif isinstance(value, dict):
            raise InputError(f"{self.name} is one object: row by row needs a list of rows")
        else:
            for index, row in enumerate(value):
                yield self._encoded(row, index)

    def whole(self, max_bytes: int) -> bytes | None:
        """The input as one JSON text, None if it is not wired.

        Raises:
            InputError: it cannot be read, or has more than `max_bytes`.
            OSError: a file cannot be read.
        """
        value = self._value
        if value is None:
            return None
        if isinstance(value, dict):
            encoded = self._encoded(value, None)
            if isinstance(encoded, BadRow):
                raise encoded.error
            return encoded
        data: bytes | None = None
        if isinstance(value, (bytes, bytearray, memoryview)):
            data = bytes(value)
        elif isinstance(value, Path) and self.form == "json":
            with self._open(value) as file:
                data = file.read(max_bytes + 1)
        elif isinstance(value, list):
            data = _encode(value, self.name)
        if data is None:
            data = self._joined(max_bytes)
        if len(data) > max_bytes:
            raise InputError(
                f"{self.name} is larger than the input may be: {max_bytes:,} bytes of JSON (limit input_bytes)"
            )
        return data.removeprefix(_UTF8_MARK)

    def _joined(self, max_bytes: int) -> bytes:
        rows: list[bytes] = []
        size = 2
        for row in self.rows():
            if isinstance(row, BadRow):
                raise row.error
            size += len(row) + 1
            if size > max_bytes:
                raise InputError(
                    f"{self.name} is larger than the input may be: {max_bytes:,} bytes of JSON (limit input_bytes)"
                )
            rows.append(row)
        return b"[%b]" % b",".join(rows)

    def _open(self, path: Path) -> IO[bytes]:
        if str(path) == "-":
            self._file = sys.stdin.buffer
        else:
            self._file = path.open("rb")
            self._size = path.stat().st_size
        return self._file

    def _readers(self) -> dict[str, Callable[[IO[bytes]], Iterator[bytes | BadRow]]]:
        return {"json": self._json, "jsonl": self._json_lines, "csv": self._csv, "parquet": self._parquet}

    def _json(self, file: IO[bytes]) -> Iterator[bytes | BadRow]:
        for index, element in enumerate(split_array(file, self._max_row_bytes, self.name)):
            reason = _not_json(element)
            yield element if reason is None else BadRow(InputError(f"{self.name}, row {index}: not JSON: {reason}"))

    def _json_lines(self, file: IO[bytes]) -> Iterator[bytes | BadRow]:
        number = 0
        while line := file.readline(self._max_row_bytes + 2):
            number += 1
            if len(line) > self._max_row_bytes + 1:
                raise InputError(
                    f"{self.name}, line {number}: longer than an input may be ({self._max_row_bytes:,} bytes) "
                    "(limit input_bytes)"
                )
            line = (line.removeprefix(_UTF8_MARK) if number == 1 else line).strip()
            if line:
                reason = _not_json(line)
                yield line if reason is None else BadRow(InputError(f"{self.name}, line {number}: not JSON: {reason}"))

    def _csv(self, file: IO[bytes]) -> Iterator[bytes | BadRow]:
        csv.field_size_limit(min(self._max_row_bytes, 2**31 - 1))
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        # Lines are handed over one by one, because a text stream that is iterated does not tell its position.
        reader = csv.reader(iter(text.readline, ""), strict=True)
        try:
            header = next(reader, [])
            twice = next((column for column in header if header.count(column) > 1), None)
            if twice is not None:
                raise InputError(f"{self.name}, line 1: the column {twice!r} is there twice")
            for fields in reader:
                if len(fields) == len(header):
                    yield orjson.dumps(dict(zip(header, fields, strict=True)))
                elif fields:
                    many = f"{len(fields)} fields, but the header has {len(header)}"
                    yield BadRow(InputError(f"{self.name}, line {reader.line_num}: {many}"))
        except csv.Error as error:
            raise InputError(f"{self.name}, line {reader.line_num}: not CSV: {error}") from None
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise InputError(f"{self.name} is not UTF-8: byte 0x{byte:02x} near line {reader.line_num + 1}") from None
        finally:
            if not file.closed:
                text.detach()

    def _parquet(self, file: IO[bytes]) -> Iterator[bytes | BadRow]:
        try:
            from pyarrow import ArrowException, parquet  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            raise ConfigError("reading Parquet needs pyarrow: pip install 'wasmexec[parquet]'") from None
        if not file.seekable():
            raise ConfigError(f"{self.name}: Parquet is read from a file, not from a pipe")
        try:
            for batch in parquet.ParquetFile(file).iter_batches(batch_size=_PARQUET_BATCH_ROWS):
                for row in batch.to_pylist():
                    yield self._encoded(row, None)
        except (ArrowException, OSError) as error:
            raise InputError(f"{self.name} is not Parquet: {str(error).splitlines()[0]}") from None

    def _encoded(self, row: Any, index: int | None) -> bytes | BadRow:
        try:
            return _encode(row, self.name if index is None else f"{self.name}, row {index}")
        except InputError as error:
            return BadRow(error)


def _form_of(path: Path) -> str:
    if str(path) == "-":
        return "json"
    known = BY_SUFFIX.get(path.suffix.lower())
    if known is None:
        raise ConfigError(f"{path}: the name does not tell its format; it can be {', '.join(FORMATS)}")
    return known


def _not_json(text: bytes) -> str | None:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return str(error)
    return None


def _encode(value: Any, name: str) -> bytes:
    try:
        return encode(value, _plain)
    except TypeError as error:
        raise InputError(f"{name} is not JSON: {error}") from None


def _plain(value: Any) -> Any:
    """What Parquet has and JSON has not."""
    import base64
    from decimal import Decimal

    if isinstance(value, Decimal):
        number = float(value)
        return number if Decimal(str(number)) == value else str(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if hasattr(value, "total_seconds"):
        return value.total_seconds()
    raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")
