"""Inputs: files of every format, or Python values, as a stream of rows or as one JSON text.

A row is the JSON text of one element; a row that cannot be read is a `BadRow` in its place, and reading goes on where
that is possible. Only one row, one line or one Parquet batch is held at a time, unless `whole` is asked for.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, Any, TypeAlias

from ..errors import ConfigError, ExecutionCancelled, InputError
from .bad_row import BadRow, RowStream
from .chunks import Chunk, Joined, grouped, python_chunks
from .delimited import delimited_rows
from .formats import DELIMITED, GZIP_SUFFIX, ReadOptions, form_of
from .json_array import is_json_lines
from .json_rows import json_array, json_lines
from .named_file import NamedFile
from .python_rows import PythonRows, nan_remark
from .steps import read_all
from .utf8 import Head, Utf8Reader

Input: TypeAlias = "Path | NamedFile | bytes | Iterable[Any] | dict[str, Any] | None"
_BUFFER_BYTES = 256 * 1024
_LOOKED_AT = 64 * 1024
_MOST_REMARKS = 20
_JSON_STARTS = frozenset(bytes([byte]) for byte in b'[{"tfn-0123456789')


class Source:
    """One input. `fraction` says how much of it has been read (0 to 1), None if that cannot be known.

    `line` is where the row that came last begins, if the format has lines. `remarks` are what the user should know
    about how it was read; they are complete when it has been read to its end. `doubt` ends a sentence about
    what is wrong with it, if its format was assumed. `is_cancelled` is asked now and then while it is read.

    Raises:
        ConfigError: the name does not tell the format, or an option is for another one.
    """

    def __init__(
        self, value: Input, options: ReadOptions | None = None, *, max_row_bytes: int, name: str = "the input"
    ) -> None:
        if isinstance(value, str):
            raise TypeError(f"{name}: pass a file as pathlib.Path(...), JSON text as bytes")
        self._opener = value.open if isinstance(value, NamedFile) else None
        self._value = value = value.path if isinstance(value, NamedFile) else value
        self._options = options or ReadOptions()
        self._max_row_bytes = max_row_bytes
        self._file: IO[bytes] | None = None
        self._opened: RowStream | None = None
        self._progress: Callable[[], tuple[int, int]] = _nothing
        self._size = 0
        self._remarks: dict[str, int] = {}
        self._python = PythonRows()
        self.is_cancelled: Callable[[], bool] = _never
        self.name = name
        self.is_wired = value is not None
        self.is_file = isinstance(value, Path)
        self.doubt = ""
        self.line: int | None = None
        self.form: str | None = None
        if isinstance(value, Path):
            is_standard = str(value) == "-" and self._opener is None
            self.name = "standard input" if is_standard else str(value)
            if is_standard and self._options.form is None:
                self.doubt = "; it is taken for JSON, --input-format names another format"
            self.form = self._options.form or form_of(value) or _form_without_name(value, is_standard=is_standard)
            if self._options.delimiter is not None and self.form not in (None, *DELIMITED):
                raise ConfigError(f"{self.name}: a delimiter is for CSV, not for {self.form}")
            if self._options.encoding is not None and self.form == "parquet":
                raise ConfigError(f"{self.name}: an encoding is for text, not for Parquet")

    @property
    def fraction(self) -> float | None:
        """How much of the file has been read."""
        if self._file is None or not self._size:
            return None
        if self._file.closed:
            return 1.0
        # Of what has been read of the file, a part waits in buffers.
        decoded, given = self._progress()
        return min(1.0, self._file.tell() / self._size * (given / decoded if decoded else 1.0))

    @property
    def has_texts_only(self) -> bool:
        """Whether its values are all texts, as those of CSV are."""
        return self.form in DELIMITED

    @property
    def remarks(self) -> list[str]:
        """What the user should know about how it was read, each with the name of the input."""
        texts = [text if count == 1 else f"{text} ({count:,} rows)" for text, count in self._remarks.items()]
        return [
            f"{self.name}: {text}" for text in [*texts, *([nan_remark(self._python.nans)] if self._python.nans else [])]
        ]

    def remark(self, text: str) -> None:
        """Keep something that the user should know; what comes again is counted."""
        if text in self._remarks or len(self._remarks) < _MOST_REMARKS:
            self._remarks[text] = self._remarks.get(text, 0) + 1

    def look_up(self) -> None:
        """Raises: ExecutionCancelled: nobody wants the input any more."""
        if self.is_cancelled():
            raise ExecutionCancelled("cancelled while its input was read")

    def rows(self) -> Generator[bytes | BadRow, None, None]:
        """The rows one by one, each as JSON text.

        Raises:
            InputError: the input cannot be read on from here.
            OSError: a file cannot be read.
        """
        value = self._value
        if value is None:
            return
        if isinstance(value, dict):
            raise InputError(f"{self.name} is one object: row by row needs a list of rows", source=self.name)
        if isinstance(value, Path):
            with self._open(value) as file:
                yield from self._tracked(self._file_rows(file))
        elif isinstance(value, (bytes, bytearray, memoryview)):
            yield from self._tracked(
                json_array(self._text(Head(io.BytesIO(value)), None), self.name, self._max_row_bytes, self.look_up)
            )
        else:
            for index, row in enumerate(value):
                try:
                    yield self._python.encode(row, f"{self.name}, row {index}")
                except InputError as error:
                    yield BadRow(error)

    def text(self, max_bytes: int) -> bytes | None:
        """The input if it is one JSON text already, which nobody has checked; None if it is rows: see `chunks`.

        Raises:
            InputError: it cannot be read, or has more than `max_bytes`.
            OSError: a file cannot be read.
        """
        value = self._value
        if isinstance(value, dict):
            data = self._python.encode(value, self.name)
            if len(data) > max_bytes:
                raise self.too_large(max_bytes)
            return data
        if isinstance(value, (bytes, bytearray, memoryview)):
            return read_all(self._text(Head(io.BytesIO(value)), max_bytes))
        if not isinstance(value, Path) or self.form == "parquet":
            return None
        with ExitStack() as stack:
            text = self._file_text(stack.enter_context(self._open(value)), max_bytes)
            if self.form == "json":
                return read_all(text)
            self._opened = self._text_rows(text)
            stack.pop_all()
        return None

    def chunks(self) -> Iterator[Chunk]:
        """The rows, some at a time, after `text` was asked for and is None.

        Raises:
            InputError: one has no JSON form, or the input cannot be read; what came before has been given.
            OSError: a file cannot be read.
        """
        value = self._value
        if isinstance(value, list):
            yield from python_chunks(value, self._python, self.name)
        elif self._opened is not None and self._file is not None:
            with self._file:
                yield from grouped(self._opened)
        elif isinstance(value, Path):
            with self._open(value) as file:
                yield from grouped(self._file_rows(file))
        else:
            yield from grouped((None, row) for row in self.rows())

    def whole(self, max_bytes: int) -> bytes | None:
        """The input as one JSON text, None if it is not wired; text that was JSON already is not checked.

        Raises:
            InputError: it cannot be read, or has more than `max_bytes`.
            OSError: a file cannot be read.
        """
        if not self.is_wired:
            return None
        text = self.text(max_bytes)
        if text is not None:
            return text
        joined = Joined(max_bytes, self.too_large(max_bytes), self.look_up)
        for chunk in self.chunks():
            joined.add(chunk.text, chunk.number)
        return joined.array()

    def too_large(self, max_bytes: int) -> InputError:
        """The error for more than there may be."""
        message = f"{self.name} is larger than the input may be: {max_bytes:,} bytes of JSON (limit input_bytes)"
        return InputError(message, source=self.name)

    def _open(self, path: Path) -> IO[bytes]:
        if str(path) == "-" and self._opener is None:
            self._file = sys.stdin.buffer
        else:
            self._file = path.open("rb") if self._opener is None else self._opener()
            self._size = os.fstat(self._file.fileno()).st_size
        return self._file

    def _tracked(self, rows: RowStream) -> Iterator[bytes | BadRow]:
        with closing(rows):
            for line, row in rows:
                self.line = line
                yield row

    def _file_rows(self, file: IO[bytes]) -> RowStream:
        if self.form == "parquet":
            from .parquet import parquet_rows

            return parquet_rows(
                file, self.name, max_row_bytes=self._max_row_bytes, remark=self.remark, look_up=self.look_up
            )
        return self._text_rows(self._file_text(file, None))

    def _file_text(self, file: IO[bytes], max_bytes: int | None) -> io.BufferedReader:
        """The text of a file, whose format is known afterwards."""
        if self.form is not None:
            text = self._text(Head(file), max_bytes)
            if self.form == "json" and self._options.form is None and file is sys.stdin.buffer:
                start = text.peek(_LOOKED_AT).lstrip(b" \t\r\n")
                if start and start[:1] not in _JSON_STARTS:
                    self.remark("it is read as JSON, and does not begin like it; --input-format csv names CSV")
            return text
        text = self._text(Head(file, _LOOKED_AT), max_bytes)
        self.form = _form_of_start(text.peek(_LOOKED_AT))
        self.remark(f"its name does not tell its format, it is read as {self.form}; --input-format names another")
        return text

    def _text_rows(self, text: io.BufferedReader) -> RowStream:
        if self.form == "json":
            return json_array(text, self.name, self._max_row_bytes, self.look_up)
        if self.form == "jsonl":
            return json_lines(text, self.name, self._max_row_bytes, self.look_up)
        return delimited_rows(
            text, self.name, default="\t" if self.form == "tsv" else ",", delimiter=self._options.delimiter,
            max_row_bytes=self._max_row_bytes, remark=self.remark, look_up=self.look_up,
        )  # fmt: skip

    def _text(self, head: Head, max_bytes: int | None) -> io.BufferedReader:
        is_gzip = isinstance(self._value, Path) and self._value.suffix.lower() == GZIP_SUFFIX
        reader = Utf8Reader(
            head, self.name, encoding=self._options.encoding, max_bytes=max_bytes, is_gzip=is_gzip, look_up=self.look_up
        )
        text: io.BufferedReader = io.BufferedReader(reader, _BUFFER_BYTES)
        self._progress = lambda: (reader.decoded, reader.decoded if text.closed else text.tell())
        return text


def _form_without_name(path: Path, *, is_standard: bool) -> str | None:
    """JSON for standard input, None for a pipe: its first bytes will tell.

    Raises:
        ConfigError: it is a file, whose name should tell.
    """
    if is_standard:
        return "json"
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        is_file = True
    if is_file:
        raise ConfigError(
            f"{path}: the name does not tell its format; add --input-format json, jsonl or csv (or tsv, parquet)"
        )
    return None


def _form_of_start(start: bytes) -> str:
    """What a text looks like: JSON begins with a bracket, CSV with a name."""
    bare = start.lstrip(b" \t\r\n")
    if bare[:1] in (b"[", b"{"):
        return "jsonl" if is_json_lines(bare) else "json"
    return "csv"


def _never() -> bool:
    return False


def _nothing() -> tuple[int, int]:
    return 0, 0
