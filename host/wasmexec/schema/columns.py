"""Column lists: `[{"name": "id", "type": "integer"}, ...]`, parsed into `Table` and `Column`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, NoReturn

from ..errors import SchemaError, SchemaMistake
from .similar import most_alike
from .values import pointer_token, short_repr, type_name

COLUMN_TYPES: Final = (
    "text", "integer", "double", "boolean", "datetime", "base64", "json", "object", "table",
)  # fmt: skip
NESTED_TYPES: Final = ("object", "table")
_KEYS: Final = ("name", "type", "allow_null", "columns")
_OTHER_NAMES: Final = {
    "str": "text", "string": "text", "int": "integer", "bigint": "integer", "float": "double", "number": "double",
    "decimal": "double", "bool": "boolean", "date": "datetime", "timestamp": "datetime", "binary": "base64",
    "bytes": "base64", "dict": "object", "list": "table", "array": "table", "any": "json",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `kind` is its column type, `table` the nested columns of an "object" or "table" column."""

    name: str
    kind: str
    allow_null: bool
    table: Table | None

    @staticmethod
    def parse(definition: object, at: str) -> Column:
        """A column from its dict; `at` is the JSON pointer of the dict within the schema.

        Raises:
            SchemaError: a key is unknown, missing or has a wrong value.
        """
        column = Column.alone(definition, at)
        if column.kind not in NESTED_TYPES:
            return column
        assert isinstance(definition, dict)
        return replace(column, table=Table.parse(definition["columns"], f"{at}/columns"))

    @staticmethod
    def alone(definition: object, at: str) -> Column:
        """The same without its nested columns.

        Raises:
            SchemaError: a key of its own is unknown, missing or has a wrong value.
        """
        if not isinstance(definition, dict):
            _refuse(at, f"a column must be an object, got {type_name(definition)}")
        for key in definition:
            if key not in _KEYS:
                _refuse(at + pointer_token(key), f"unknown key {short_repr(key)}" + did_you_mean(key, _KEYS))
        for key in ("name", "type"):
            if not isinstance(definition.get(key), str) or not definition[key]:
                _refuse(at, f'a column needs "{key}", a text')
        kind = definition["type"]
        if kind not in COLUMN_TYPES:
            meant = _OTHER_NAMES.get(kind.lower())
            hint = f", did you mean {meant!r}?" if meant else did_you_mean(kind, COLUMN_TYPES)
            _refuse(
                f"{at}/type",
                f"unknown column type {short_repr(kind)}{hint or '.'} Types are {', '.join(COLUMN_TYPES)}.",
            )
        allow_null = definition.get("allow_null", False)
        if not isinstance(allow_null, bool):
            _refuse(f"{at}/allow_null", f"must be true or false, got {type_name(allow_null)}")
        if kind in NESTED_TYPES and "columns" not in definition:
            _refuse(at, f'a column of type {kind!r} needs "columns"; for any content use the type "json"')
        if kind not in NESTED_TYPES and "columns" in definition:
            _refuse(f"{at}/columns", f'only "object" and "table" columns have "columns", not {kind!r}')
        return Column(definition["name"], kind, allow_null, None)


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of the rows, or of a nested object or table column."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in the order of the list."""
        return tuple(column.name for column in self.columns)

    @property
    def width(self) -> int:
        """How many columns there are, those of nested tables included."""
        return sum(1 + (column.table.width if column.table is not None else 0) for column in self.columns)

    @property
    def null_bytes(self) -> int:
        """The least that a null of some column takes as JSON: its name in quotes, a colon, "null" and a comma."""
        nested = (column.table.null_bytes for column in self.columns if column.table is not None)
        least = min(len(column.name.encode("utf-8", "replace")) + 8 for column in self.columns)
        return min(chain((least,), nested))

    @staticmethod
    def parse(definition: object, at: str = "") -> Table:
        """A table from its list of column dicts; `at` is the JSON pointer of the list within the schema.

        Raises:
            SchemaError: it is no list, it is empty, a column is wrong or a name is there twice.
        """
        if not isinstance(definition, list):
            _refuse(at, f"expected a list of columns, got {type_name(definition)}")
        if not definition:
            _refuse(at, "a column list needs at least one column")
        columns = tuple(Column.parse(column, f"{at}/{index}") for index, column in enumerate(definition))
        seen: set[str] = set()
        for index, column in enumerate(columns):
            if column.name in seen:
                _refuse(f"{at}/{index}/name", f"the column {short_repr(column.name)} is there twice")
            seen.add(column.name)
        return Table(columns)


def find_mistakes(definition: object, at: str = "") -> Iterator[SchemaMistake]:
    """Everything that is wrong with a column list, in its order; for each column the first thing, if it is its own."""
    if not isinstance(definition, list) or not definition:
        try:
            Table.parse(definition, at)
        except SchemaError as error:
            yield from error.mistakes
        return
    seen: set[str] = set()
    for index, column in enumerate(definition):
        here = f"{at}/{index}"
        try:
            parsed = Column.alone(column, here)
        except SchemaError as error:
            yield from error.mistakes
        else:
            if parsed.kind in NESTED_TYPES:
                yield from find_mistakes(column["columns"], f"{here}/columns")
        name = column.get("name") if isinstance(column, dict) else None
        if isinstance(name, str) and name in seen:
            yield SchemaMistake(f"{here}/name", f"the column {short_repr(name)} is there twice")
        if isinstance(name, str):
            seen.add(name)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ ", did you mean 'price'?" for the nearest known word, or nothing."""
    close = most_alike(word, known)
    return f", did you mean {close!r}?" if close is not None else ""


def _refuse(at: str, message: str) -> NoReturn:
    raise SchemaError(at, message)
