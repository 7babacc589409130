"""Input rows on their way to the statement: CSV texts become what the input schema says, and rows are checked by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import InputError, InputSchemaError, OutputError
from ..schema import RowSchema
from ..schema.values import Mask, masked_by, short_repr, type_name
from .bad_row import BadRow
from .json_rows import explain
from .json_text import decode, encode
from .source import Source
from .typed import advice, column_kinds, convert


def checked_rows(source: Source, schema: RowSchema | None, mask: Mask | None = None) -> Iterator[bytes | BadRow]:
    """Each row as the JSON text of a list with this one row, or a `BadRow` in its place."""
    for index, row in enumerate(source.rows()):
        if isinstance(row, BadRow):
            yield row
            continue
        if schema is None:
            yield b"[%b]" % row
            continue
        kinds = _kinds(source, schema)
        value = decode(row)
        cells = dict(value) if kinds else None
        if kinds:
            convert(value, kinds)
        try:
            accepted, warnings = schema.prepared.validate([value], mask)
        except OutputError as error:
            with masked_by(mask):
                refused = _refused(error, source, index, source.line, cells, kinds)
            yield BadRow(refused, encode(value) if kinds else row)
            continue
        for text in warnings:
            source.remark(text.removesuffix(" from 1 row"))
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
        pointer = _pointer(error, index)
        message = f"{name}: {pointer}: {_reason(error)}"
        return InputSchemaError(pointer, error.rule, error.value, message, source=name)
    return None


def checked_whole(
    source: Source, schema: RowSchema | None, max_bytes: int, mask: Mask | None = None
) -> tuple[bytes | None, int]:
    """The whole input as JSON text, None if it is not wired, and how many rows it has (0 if it is no list).

    Raises:
        InputError: it cannot be read, is too large, or a row does not match the schema.
    """
    lines: list[int | None] = []
    data = source.whole(max_bytes, lines if schema is not None else None)
    if data is None:
        return None, 0
    try:
        rows = decode(data)
    except ValueError as error:
        reason = f"{source.name} is not JSON: {explain(data, error)}{source.doubt}"
        raise InputError(reason, source=source.name) from None
    if schema is None:
        return data, len(rows) if isinstance(rows, list) else 0
    if not isinstance(rows, list):
        raise InputError(f"{source.name}: a schema needs a list of rows, got {type_name(rows)}", source=source.name)
    kinds = _kinds(source, schema)
    for row in rows if kinds else ():
        convert(row, kinds)
    try:
        accepted, warnings = schema.prepared.validate(rows, mask)
    except OutputError as error:
        index = _row_index(error)
        cells = decode(data)[index] if kinds and index is not None else None
        line = None if index is None or index >= len(lines) else lines[index]
        with masked_by(mask):
            raise _refused(error, source, None, line, cells, kinds) from None
    for text in warnings:
        source.remark(text)
    return (data if accepted is rows and not kinds else encode(accepted)), len(rows)


def _kinds(source: Source, schema: RowSchema) -> dict[str, str]:
    """Column types, if the source has nothing but texts and the schema says what they are."""
    return column_kinds(schema.definition) if source.has_texts_only else {}


def _row_index(error: OutputError) -> int | None:
    first = error.pointer.split("/")[1:2]
    return int(first[0]) if first and first[0].isdecimal() else None


def _pointer(error: OutputError, index: int | None) -> str:
    # Every row was checked as a list of its own: what is at "/0/price" there is at "/<index>/price" of the input.
    return error.pointer if index is None else f"/{index}" + error.pointer.removeprefix("/0")


def _reason(error: OutputError) -> str:
    return error.reason.removeprefix(f"{error.pointer}: ")


def _refused(
    error: OutputError,
    source: Source,
    index: int | None,
    line: int | None,
    cells: Mapping[str, Any] | None,
    kinds: Mapping[str, str],
) -> InputSchemaError:
    """The error for a refused row; `cells` are the texts of a row of CSV."""
    pointer = _pointer(error, index)
    reason = _reason(error)
    column = error.pointer.split("/")[2:3]
    name = column[0].replace("~1", "/").replace("~0", "~") if column else None
    if cells is not None and name is not None and isinstance(cells.get(name), str) and error.rule != "extra":
        text = cells[name]
        wanted = reason.partition(", got ")[0]
        cell = f"the cell is {short_repr(text)}" if text else "the cell is empty"
        place = "" if f"column {name!r}" in wanted else f"column {name!r}: "
        reason = f"{place}{wanted}, but {cell}: {advice(text, kinds.get(name))}"
    where = "" if line is None else f"line {line}: "
    message = f"{source.name}: {pointer}: {where}{reason}"
    return InputSchemaError(pointer, error.rule, error.value, message, source=source.name, source_line=line)
