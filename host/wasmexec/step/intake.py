"""Input rows on their way to the statement: CSV texts become what the input schema says, and rows are checked by it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..errors import InputError, InputSchemaError, OutputError
from ..schema.values import Mask, type_name
from .definition import RowSchema
from .jsontext import decode, encode
from .sources import BadRow, Source

_INTEGER = re.compile(r"[-+]?[0-9]{1,4000}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def checked_rows(source: Source, schema: RowSchema | None, mask: Mask | None = None) -> Iterator[bytes | BadRow]:
    """Each row as the JSON text of a list with this one row, or a `BadRow` in its place."""
    kinds = _csv_kinds(source, schema)
    for index, row in enumerate(source.rows()):
        if isinstance(row, BadRow):
            yield row
        elif schema is None:
            yield b"[%b]" % row
        else:
            value = decode(row)
            if kinds:
                _convert(value, kinds)
            try:
                accepted = schema.prepared.validate([value], mask).rows
            except OutputError as error:
                yield BadRow(_refused(error, source.name, index), encode(value) if kinds else row)
            else:
                # The very row, if nothing had to be filled in.
                yield b"[%b]" % row if accepted[0] is value and not kinds else encode(accepted)


def row_error(
    text: bytes, schema: RowSchema | None, name: str, index: int, mask: Mask | None = None
) -> InputSchemaError | None:
    """What is wrong with a row on record, None if the schema takes it."""
    try:
        if schema is not None:
            schema.prepared.validate([decode(text)], mask)
    except OutputError as error:
        return _refused(error, name, index)
    return None


def checked_whole(
    source: Source, schema: RowSchema | None, max_bytes: int, mask: Mask | None = None
) -> tuple[bytes | None, int]:
    """The whole input as JSON text, None if it is not wired, and how many rows it has (0 if it is no list).

    Raises:
        InputError: it cannot be read, is too large, or a row does not match the schema.
    """
    data = source.whole(max_bytes)
    if data is None:
        return None, 0
    try:
        rows = decode(data)
    except ValueError as error:
        raise InputError(f"{source.name} is not JSON: {error}") from None
    if schema is None:
        return data, len(rows) if isinstance(rows, list) else 0
    if not isinstance(rows, list):
        raise InputError(f"{source.name}: a schema needs a list of rows, got {type_name(rows)}")
    kinds = _csv_kinds(source, schema)
    if kinds:
        for row in rows:
            _convert(row, kinds)
    try:
        accepted = schema.prepared.validate(rows, mask).rows
    except OutputError as error:
        raise _refused(error, source.name, None) from None
    return (data if accepted is rows and not kinds else encode(accepted)), len(rows)


def _refused(error: OutputError, name: str, index: int | None) -> InputSchemaError:
    if index is None:
        return InputSchemaError(error.pointer, error.rule, error.value, f"{name}: {error.message}")
    # Every row was checked as a list of its own: what is at "/0/price" there is at "/<index>/price" of the input.
    pointer = f"/{index}" + error.pointer.removeprefix("/0")
    message = error.message.removeprefix(f"{error.pointer}: ")
    return InputSchemaError(pointer, error.rule, error.value, f"{name}: {pointer}: {message}")


def _csv_kinds(source: Source, schema: RowSchema | None) -> dict[str, str]:
    """Column types, if the source has nothing but texts and the schema says what they are."""
    if schema is None or source.form != "csv" or not isinstance(schema.definition, list):
        return {}
    return {column["name"]: column["type"] for column in schema.definition if column["type"] != "text"}


def _convert(row: dict[str, Any], kinds: dict[str, str]) -> None:
    """Make values of texts where the text is one of the column's type; the schema refuses the others by itself."""
    for name, kind in kinds.items():
        text = row.get(name)
        if not isinstance(text, str):
            continue
        if not text:
            row[name] = None
        elif kind == "integer" and _INTEGER.fullmatch(text.strip()):
            row[name] = int(text)
        elif kind == "double" and _NUMBER.fullmatch(text.strip()):
            row[name] = float(text)
        elif kind == "boolean" and text.strip().lower() in _BOOLEANS:
            row[name] = _BOOLEANS[text.strip().lower()]
        elif kind in ("json", "object", "table"):
            try:
                row[name] = decode(text.encode())
            except ValueError:
                continue
