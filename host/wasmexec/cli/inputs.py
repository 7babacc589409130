"""Reading inputs: JSON, JSON Lines or CSV from a file or standard input, as JSON text for the guest.

CSV values stay strings, an empty field is an empty string: only the statement knows what they mean.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson

from ..errors import ConfigError, InputError

FORMATS = ("json", "jsonl", "csv")
_BY_SUFFIX = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
_UTF8_MARK = b"\xef\xbb\xbf"


def read_source(source: str, max_bytes: int) -> bytes:
    """The bytes of a file, or of standard input for "-".

    Raises:
        InputError: there are more than `max_bytes`.
        OSError: it cannot be read.
    """
    if source == "-":
        data = sys.stdin.buffer.read(max_bytes + 1)
    else:
        with Path(source).open("rb") as file:
            data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise InputError(
            f"{display_name(source)} is larger than the input may be: {max_bytes:,} bytes (limit input_bytes)"
        )
    return data


def read_text(source: str, max_bytes: int) -> str:
    """The text of a UTF-8 file, or of standard input for "-", without a byte order mark.

    Raises:
        InputError: it is not UTF-8, or there are more than `max_bytes`.
        OSError: it cannot be read.
    """
    return _decode(read_source(source, max_bytes), source)


def input_format(source: str, wanted: str | None) -> str:
    """The format asked for, else by the file's suffix; standard input is JSON.

    Raises:
        ConfigError: the suffix says nothing.
    """
    if wanted is not None:
        return wanted
    if source == "-":
        return "json"
    known = _BY_SUFFIX.get(Path(source).suffix.lower())
    if known is None:
        raise ConfigError(f"{source}: the name does not tell its format; add --input-format json, jsonl or csv")
    return known


def read_input(source: str, wanted: str | None, max_bytes: int) -> bytes:
    """One input as JSON text.

    Raises:
        InputError: it is not UTF-8, not what its format says, or too large.
        ConfigError: the format is unknown.
        OSError: it cannot be read.
    """
    kind = input_format(source, wanted)
    data = read_source(source, max_bytes)
    text = _decode(data, source)
    if kind == "json":
        return data.removeprefix(_UTF8_MARK)
    if kind == "jsonl":
        return _json_lines(text, source)
    return orjson.dumps(list(_csv_rows(text, source)))


def display_name(source: str) -> str:
    """How messages name a source."""
    return "standard input" if source == "-" else source


def _decode(data: bytes, source: str) -> str:
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{display_name(source)} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}"
        ) from None


def _json_lines(text: str, source: str) -> bytes:
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped:
            continue
        try:
            orjson.loads(stripped)
        except orjson.JSONDecodeError as error:
            raise InputError(f"{display_name(source)}, line {number}: not JSON: {error}") from None
        lines.append(stripped)
    # The lines as they are: a parser and writer in between would lose digits of large numbers.
    return f"[{','.join(lines)}]".encode()


def _csv_rows(text: str, source: str) -> Iterator[dict[str, str]]:
    name = display_name(source)
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        twice = next((column for column in header if header.count(column) > 1), None)
        if twice is not None:
            raise InputError(f"{name}, line 1: the column {twice!r} is there twice")
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(header):
                raise InputError(
                    f"{name}, line {reader.line_num}: {len(fields)} fields, but the header has {len(header)}"
                )
            yield dict(zip(header, fields, strict=True))
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: not CSV: {error}") from None
