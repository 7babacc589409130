"""`Schema`: an output schema checked once and applied to the rows of every run."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast

import orjson

from ..errors import ConfigError, OutputError
from .values import Mask, short_repr, type_name, unmasked

if TYPE_CHECKING:
    from .columns import Table
    from .json_schema import JsonSchema

Row: TypeAlias = "dict[str, Any]"
Mode: TypeAlias = Literal["strict", "lenient"]
Kind: TypeAlias = Literal["none", "columns", "rows", "list"]


class Validated(NamedTuple):
    """Accepted rows, and what lenient mode had to do to accept them (one line per column, with counts)."""

    rows: list[Row]
    warnings: list[str]


class Schema:
    """What the rows of a statement must look like; immutable, usable from any thread.

    `kind` is "columns" (column list), "rows" (JSON Schema for one row), "list" (JSON Schema for the whole list) or
    "none" (any list of objects); `mode` is "strict" or "lenient"; `column_names` is the order of a column list.
    """

    __slots__ = ("_check", "column_names", "kind", "mode")

    def __init__(
        self,
        kind: Kind,
        mode: Mode,
        column_names: tuple[str, ...] | None,
        check: Callable[[list[Row], Mask], Validated],
    ) -> None:
        self.kind = kind
        self.mode = mode
        self.column_names = column_names
        self._check = check

    @staticmethod
    def prepare(definition: object, *, mode: Mode = "strict") -> Schema:
        """Check a definition and make it ready; the same content is prepared once per process (least recently used).

        `definition` is a JSON Schema (draft 2020-12) as a dict, for one row, or for the whole list when its "type" is
        "array"; or a list of columns, each a dict with "name", "type", "allow_null" (default false) and, for the types
        "object" and "table", "columns". None accepts any list of objects; a `Schema` is returned as it is.
        `mode` "lenient" is for column lists only: extra keys are dropped with a warning, base64 is not checked, a json
        column takes strings and an integer column takes floats that are whole numbers.

        Raises:
            ConfigError: the definition is not a valid schema; the message gives the JSON pointer of the mistake.
        """
        if isinstance(definition, Schema):
            return definition
        if mode not in ("strict", "lenient"):
            raise ConfigError(f'output schema: mode must be "strict" or "lenient", not {mode!r}')
        if definition is None:
            return _ANY
        if not isinstance(definition, (dict, list, tuple)):
            raise ConfigError(
                "output schema: expected a JSON Schema (an object) or a list of columns, "
                f"got {type_name(definition)}" + _fix_for(definition)
            )
        try:
            content = orjson.dumps(definition)
        except TypeError as error:
            raise ConfigError(f"output schema: it is not JSON: {error}") from None
        return _prepare(content, mode)

    def validate(self, rows: object, mask: Mask | None = None) -> Validated:
        """Check rows as a JSON parser returned them; the argument is never changed.

        `mask` takes secrets out of what an error or a warning shows, before it is shortened.

        Without a need to fill in missing keys, drop or convert anything, the very same list comes back.

        Raises:
            OutputError: the first value that is refused: its pointer, the rule it breaks, a short repr.
        """
        mask = mask or unmasked
        if type(rows) is not list:
            raise OutputError(
                "", "list", short_repr(rows, mask), f"the output must be a list of objects, got {type_name(rows)}"
            )
        if not set(map(type, rows)) <= {dict}:
            index = next(index for index, row in enumerate(rows) if type(row) is not dict)
            raise OutputError(
                f"/{index}",
                "object",
                short_repr(rows[index], mask),
                f"/{index}: every row must be an object, got {type_name(rows[index])}",
            )
        return self._check(rows, mask)

    def __repr__(self) -> str:
        columns = "" if self.column_names is None else f" {', '.join(self.column_names)}"
        return f"<Schema {self.kind} {self.mode}{columns}>"


def _accept(rows: list[Row], mask: Mask) -> Validated:
    return Validated(rows, [])


_ANY = Schema("none", "strict", None, _accept)


def _check_columns(table: Table, lenient: bool, rows: list[Row], mask: Mask) -> Validated:
    from .column_check import check_table

    return Validated(*check_table(table, rows, lenient=lenient, mask=mask))


def _check_schema(schema: JsonSchema, rows: list[Row], mask: Mask) -> Validated:
    return Validated(schema.check(rows, mask), [])


@lru_cache(maxsize=256)
def _prepare(content: bytes, mode: Mode) -> Schema:
    # The content is parsed again, so that nobody can change a prepared schema through the object it was made from.
    definition = orjson.loads(content)
    if isinstance(definition, list):
        from .columns import Table

        table = Table.parse(definition)
        lenient = mode == "lenient"
        return Schema("columns", mode, table.names, partial(_check_columns, table, lenient))
    if mode == "lenient":
        raise ConfigError("output schema: lenient mode is for column lists; a JSON Schema already says what it accepts")
    from .json_schema import JsonSchema

    schema = JsonSchema.parse(cast("dict[str, Any]", definition))
    return Schema("list" if schema.whole_list else "rows", mode, schema.names, partial(_check_schema, schema))


def _fix_for(definition: object) -> str:
    if isinstance(definition, (str, bytes)):
        return "; parse it first: json.loads(text)"
    if isinstance(definition, type):
        return "; a class is no schema, pass its JSON Schema"
    return ""
