"""Input rows on their way to the statement: CSV texts become what the input schema says, and rows are checked by it."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

from .._masking.masker import Masker
from ..errors import InputError, InputSchemaError, OutputError
from ..schema import RowSchema, Schema
from ..schema.interruption import interrupted_by
from ..schema.values import masked_by, type_name
from .bad_row import BadRow
from .chunks import Chunk, Joined
from .json_pieces import array_rows, check, is_array, may_be_values
from .json_rows import explain
from .json_text import decode, encode
from .long_rows import LongRows, LongRowsError, TooManyValuesError
from .source import Source
from .steps import in_list, part, skip, skip_back
from .typed import column_kinds, convert, refused_cell

_MOST_CELLS = 65_536
_MOST_WARNINGS = 100
# "... dropped from 1,200 rows", "... dropped 3 values"
_COUNTED = re.compile(r"(.* )([0-9,]+) (row|value)s?")


def checked_rows(
    source: Source, schema: RowSchema | None, masker: Masker | None = None, long_rows: LongRows | None = None
) -> Generator[bytes | BadRow, None, None]:
    """Each row as the JSON text of a list with this one row, or a `BadRow` in its place.

    `long_rows` takes rows that are long; without it they hold the interpreter's lock while they are checked.
    """
    with closing(source.rows()) as rows:
        yield from _each_checked(source, rows, schema, masker, long_rows)


def _each_checked(
    source: Source, rows: Iterable[bytes | BadRow], schema: RowSchema | None, masker: Masker | None,
    long_rows: LongRows | None,
) -> Iterator[bytes | BadRow]:  # fmt: skip
    for index, row in enumerate(rows):
        if isinstance(row, BadRow):
            yield row
            continue
        if schema is None:
            yield in_list(row)
            continue
        if not may_be_values(row, source.look_up):
            yield BadRow(too_many_values(source, source.line, index))
            continue
        try:
            if long_rows is not None and len(row) > schema.prepared.prompt_bytes:
                yield _checked_long_row(source, schema, index, row, masker, long_rows)
            else:
                yield _checked_row(source, schema, index, row, masker)
        except LongRowsError as error:
            yield BadRow(_not_taken(error, source, source.line, index))
        except ValueError as error:
            message = f"{source.name}: /{index}: {error}"
            yield BadRow(InputError(message, source=source.name, source_line=source.line))


def _checked_long_row(
    source: Source, schema: RowSchema, index: int, row: bytes, masker: Masker | None, long_rows: LongRows
) -> bytes | BadRow:
    kinds = _kinds(source, schema)
    text = in_list(row)
    try:
        keep = _may_change(schema, kinds)
        taken = long_rows.accept(text, schema.prepared, kinds, masker, source.look_up, keep=keep)
    except OutputError as error:
        refused = _refused(error, source, index, source.line, None, kinds)
        if kinds:
            converted = long_rows.accept(text, Schema.prepare(None), kinds, masker, source.look_up).text
            row = part(converted, 1, len(converted) - 1, source.look_up)
        return BadRow(refused, row)
    for warning in taken.warnings:
        source.remark(warning.removesuffix(" from 1 row"))
    return taken.text if keep else text


def _may_change(schema: RowSchema, kinds: Mapping[str, str]) -> bool:
    """Whether rows may become others: be filled in, left out in part, or converted."""
    return schema.prepared.kind == "columns" or bool(kinds)


def _checked_row(source: Source, schema: RowSchema, index: int, row: bytes, mask: Masker | None) -> bytes | BadRow:
    kinds = _kinds(source, schema)
    value = decode(row)
    cells = dict(value) if kinds else None
    if kinds:
        convert(value, kinds)
    try:
        with interrupted_by(source.look_up):
            accepted, warnings = schema.prepared.validate([value], mask)
    except OutputError as error:
        with masked_by(mask):
            refused = _refused(error, source, index, source.line, cells, kinds)
        return BadRow(refused, encode(value) if kinds else row)
    for text in warnings:
        source.remark(text.removesuffix(" from 1 row"))
    # The very row, if nothing had to be filled in.
    return in_list(row) if accepted[0] is value and not kinds else encode(accepted)


def row_error(
    text: bytes, schema: RowSchema | None, name: str, index: int, long_rows: LongRows | None = None
) -> InputSchemaError | None:
    """What is wrong with a row on record, None if the schema takes it.

    Raises:
        ValueError: it is no JSON.
        LongRowsError: it cannot be taken; see `LongRows`.
    """
    try:
        if schema is not None and long_rows is not None and len(text) > schema.prepared.prompt_bytes:
            long_rows.accept(in_list(text), schema.prepared, {}, None, bool, keep=False)
        elif schema is not None:
            schema.prepared.validate([decode(text)])
    except OutputError as error:
        pointer = _pointer(error, index)
        message = f"{name}: {pointer}: {_reason(error)}"
        return InputSchemaError(pointer, error.rule, error.value, message, source=name)
    return None


def checked_whole(
    source: Source, schema: RowSchema | None, max_bytes: int, masker: Masker | None = None,
    long_rows: LongRows | None = None,
) -> tuple[bytes | None, int]:  # fmt: skip
    """The whole input as JSON text, None if it is not wired, and how many rows it has (0 if it is no list).

    `long_rows` is as in `checked_rows`.

    Raises:
        InputError: it cannot be read, is too large, or a row does not match the schema.
        ExecutionCancelled: the source says so.
    """
    if not source.is_wired:
        return None, 0
    text = source.text(max_bytes)
    if schema is not None and schema.prepared.kind == "list":
        return _checked_list(source, schema, text, max_bytes, masker, long_rows)
    if text is None:
        return _Intake(source, schema, max_bytes, masker, long_rows).rows()
    if is_array(text, source.look_up):
        return _Intake(source, schema, max_bytes, masker, long_rows).array(text)
    try:
        check(text, look_up=source.look_up)
    except ValueError as error:
        raise _not_json(source, text, error) from None
    if schema is not None:
        raise _no_list(source, text)
    return text, 0


class _Intake:
    """Puts the rows of an input together, checked some at a time."""

    def __init__(
        self, source: Source, schema: RowSchema | None, max_bytes: int, masker: Masker | None,
        long_rows: LongRows | None,
    ) -> None:  # fmt: skip
        self._source = source
        self._schema = schema
        self._masker = masker
        self._long_rows = long_rows
        self._kinds = {} if schema is None else _kinds(source, schema)
        self._joined = Joined(max_bytes, source.too_large(max_bytes), source.look_up)
        self._warnings: dict[tuple[str, str], int] = {}
        names = None if schema is None else schema.prepared.column_names
        # What is missing is filled in for so many rows at once.
        self._most_rows = max(1, _MOST_CELLS // (1 + len(names or ())))
        self._count = 0

    def rows(self) -> tuple[bytes, int]:
        """Of a source that is not one text."""
        for chunk in self._source.chunks():
            self._source.look_up()
            if self._schema is None:
                self._joined.add(chunk.text, chunk.number)
            else:
                for text, count in self._checked(chunk):
                    self._joined.add(text, count)
        self._remark()
        return self._joined.array(), self._joined.count

    def array(self, text: bytes) -> tuple[bytes, int]:
        """Of a JSON array; the very same text if nothing had to be filled in."""
        joined = None
        look_up = self._source.look_up
        try:
            for some in array_rows(text, look_up=look_up):
                count = 1 if some.values is None else len(some.values)
                if self._schema is None:
                    self._count += count
                    continue
                before = self._count
                rows = part(text, some.start, some.end, look_up)
                for piece, number in self._checked(Chunk(rows, count, (), some.values)):
                    if joined is None and piece is not rows:
                        joined = self._joined
                        joined.add(_rows_before(text, some.start), before)
                    if joined is not None:
                        joined.add(piece, number)
        except ValueError as error:
            raise _not_json(self._source, text, error) from None
        self._remark()
        return (text if joined is None else joined.array()), self._count

    def _checked(self, chunk: Chunk) -> Iterator[tuple[bytes, int]]:
        """The rows of a chunk as the schema has them: text and number."""
        if not may_be_values(chunk.text, self._source.look_up):
            raise too_many_values(self._source, chunk.lines[0] if chunk.lines else None, self._count)
        assert self._schema is not None
        is_long = chunk.number == 1 and len(chunk.text) > self._schema.prepared.prompt_bytes
        if is_long and self._long_rows is not None:
            yield self._long_row(chunk, self._long_rows), 1
            return
        values = chunk.values
        if values is None:
            values = decode(in_list(chunk.text))
        if len(values) <= self._most_rows:
            text = self._accepted(chunk, values, 0)
            yield chunk.text if text is None else text, len(values)
            return
        for start in range(0, len(values), self._most_rows):
            some = values[start : start + self._most_rows]
            text = self._accepted(chunk, some, start)
            yield encode(some)[1:-1] if text is None else text, len(some)

    def _long_row(self, chunk: Chunk, long_rows: LongRows) -> bytes:
        """The text of a row: the very same if nothing could be filled in."""
        assert self._schema is not None
        source, schema = self._source, self._schema
        line = chunk.lines[0] if chunk.lines else None
        first, self._count = self._count, self._count + 1
        try:
            keep = _may_change(schema, self._kinds)
            taken = long_rows.accept(
                in_list(chunk.text), schema.prepared, self._kinds, self._masker, source.look_up, keep=keep
            )
        except OutputError as error:
            raise _refused(error, source, first, line, None, self._kinds) from None
        except LongRowsError as error:
            raise _not_taken(error, source, line, first) from None
        self._warn(taken.warnings)
        return part(taken.text, 1, len(taken.text) - 1, source.look_up) if keep else chunk.text

    def _accepted(self, chunk: Chunk, values: list[Any], start: int) -> bytes | None:
        """The text of some rows of a chunk if it became another one."""
        assert self._schema is not None
        kinds = self._kinds
        for value in values if kinds else ():
            convert(value, kinds)
        first, self._count = self._count, self._count + len(values)
        try:
            with interrupted_by(self._source.look_up):
                accepted, warnings = self._schema.prepared.validate(values, self._masker)
        except OutputError as error:
            index = _row_index(error)
            cells = None if index is None or not kinds else decode(in_list(chunk.text))[start + index]
            line = chunk.lines[start + index] if index is not None and start + index < len(chunk.lines) else None
            with masked_by(self._masker):
                raise _refused(error, self._source, first, line, cells, kinds) from None
        self._warn(warnings)
        return None if accepted is values and not kinds else encode(accepted)[1:-1]

    def _warn(self, warnings: list[str]) -> None:
        for warning in warnings:
            counted = _COUNTED.fullmatch(warning)
            key, count = ((counted[1], counted[3]), int(counted[2].replace(",", ""))) if counted else ((warning, ""), 0)
            if key in self._warnings or len(self._warnings) < _MOST_WARNINGS:
                self._warnings[key] = self._warnings.get(key, 0) + count

    def _remark(self) -> None:
        for (text, unit), count in self._warnings.items():
            self._source.remark(f"{text}{count:,} {unit}{'s' * (count > 1)}" if unit else text)


def _checked_list(
    source: Source, schema: RowSchema, text: bytes | None, max_bytes: int, masker: Masker | None,
    long_rows: LongRows | None,
) -> tuple[bytes, int]:  # fmt: skip
    """An input whose schema is for the whole list: all of its values are needed at once."""
    data = text if text is not None else _Intake(source, None, max_bytes, None, None).rows()[0]
    try:
        check(data, look_up=source.look_up)
    except ValueError as error:
        raise _not_json(source, data, error) from None
    if not may_be_values(data, source.look_up):
        raise _too_many_in_a_list(source)
    if not is_array(data, source.look_up):
        raise _no_list(source, data)
    kinds = _kinds(source, schema)
    if long_rows is not None and len(data) > schema.prepared.prompt_bytes:
        try:
            keep = _may_change(schema, kinds)
            taken = long_rows.accept(data, schema.prepared, kinds, masker, source.look_up, keep=keep)
        except OutputError as error:
            raise _refused(error, source, 0, None, None, kinds) from None
        except TooManyValuesError:
            raise _too_many_in_a_list(source) from None
        except LongRowsError as error:
            raise InputError(f"{source.name}: {error}", source=source.name) from None
        return (taken.text if keep else data), taken.number
    rows = decode(data)
    for row in rows if kinds else ():
        convert(row, kinds)
    try:
        with interrupted_by(source.look_up):
            schema.prepared.validate(rows, masker)
    except OutputError as error:
        index = _row_index(error)
        cells = decode(data)[index] if kinds and index is not None else None
        with masked_by(masker):
            raise _refused(error, source, 0, None, cells, kinds) from None
    return (encode(rows) if kinds else data), len(rows)


def too_many_values(source: Source, line: int | None, index: int) -> InputError:
    """The error for a row whose values would take too much memory to be checked."""
    return _row_error(
        source, line, index,
        "the row has more values than may be held at once to be checked by a schema: make rows of what it lists, or "
        "leave the schema of the input out",
    )  # fmt: skip


def _not_taken(error: LongRowsError, source: Source, line: int | None, index: int) -> InputError:
    if isinstance(error, TooManyValuesError):
        return too_many_values(source, line, index)
    return _row_error(source, line, index, str(error))


def _row_error(source: Source, line: int | None, index: int, reason: str) -> InputError:
    where = "" if line is None else f"line {line}: "
    return InputError(f"{source.name}: /{index}: {where}{reason}", source=source.name, source_line=line)


def _too_many_in_a_list(source: Source) -> InputError:
    return InputError(
        f"{source.name} has more values than may be held at once for a schema of the whole list (its type is array): "
        "give the schema of one row, which is what its items are",
        source=source.name,
    )


def _no_list(source: Source, text: bytes) -> InputError:
    """The error for a text that is JSON, but no array."""
    start = skip(text, 0, len(text), source.look_up)
    kind = {b"{": "an object", b'"': "a string"}.get(text[start : start + 1]) or type_name(decode(text))
    return InputError(f"{source.name}: a schema needs a list of rows, got {kind}", source=source.name)


def _not_json(source: Source, text: bytes, error: ValueError) -> InputError:
    reason = explain(text, error, look_up=source.look_up)
    return InputError(f"{source.name} is not JSON: {reason}{source.doubt}", source=source.name)


def _rows_before(text: bytes, start: int) -> memoryview:
    """The elements of an array before one that begins at a place."""
    first = text.index(b"[") + 1
    end = skip_back(text, first, start)
    return memoryview(text)[first : end - text.endswith(b",", first, end)]


def _kinds(source: Source, schema: RowSchema) -> dict[str, str]:
    """Column types, if the source has nothing but texts and the schema says what they are."""
    return column_kinds(schema.definition) if source.has_texts_only else {}


def _row_index(error: OutputError) -> int | None:
    first = error.pointer.split("/")[1:2]
    return int(first[0]) if first and first[0].isdecimal() else None


def _pointer(error: OutputError, first: int) -> str:
    # Some rows were checked as a list of their own: what is at "/0/price" there is at "/<first>/price" of the input.
    index = _row_index(error)
    if index is None:
        return error.pointer
    return f"/{first + index}{error.pointer[1 + len(str(index)) :]}"


def _reason(error: OutputError) -> str:
    return error.reason.removeprefix(f"{error.pointer}: ")


def _refused(
    error: OutputError,
    source: Source,
    first: int,
    line: int | None,
    cells: Mapping[str, Any] | None,
    kinds: Mapping[str, str],
) -> InputSchemaError:
    """The error for a refused row; `cells` are the texts of a row of CSV."""
    pointer = _pointer(error, first)
    reason = _reason(error) if cells is None else refused_cell(error, cells, kinds)
    where = "" if line is None else f"line {line}: "
    message = f"{source.name}: {pointer}: {where}{reason}"
    return InputSchemaError(pointer, error.rule, error.value, message, source=source.name, source_line=line)
