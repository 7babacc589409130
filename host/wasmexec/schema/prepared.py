"""`Schema`: a schema of rows checked once and applied to those of every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from ..errors import ConfigError, OutputError, SchemaError
from ..rows.json_text import decode, encode
from .checker import Checker, PieceCheck
from .values import PROMPT_BYTES, Mask, masked_by, short_repr, type_name

Row: TypeAlias = "dict[str, Any]"
Mode: TypeAlias = Literal["strict", "lenient"]
Role: TypeAlias = Literal["output", "input"]
_MAX_DEPTH = 254
"""Levels of a definition: it is read and applied recursively."""
MAX_SCHEMA_BYTES = 16 * 1024 * 1024
"""JSON of a definition."""
Kind: TypeAlias = Literal["none", "columns", "rows", "list"]


class Validated(NamedTuple):
    """Accepted rows, and what lenient mode had to do to accept them (one line per column, with counts)."""

    rows: list[Row]
    warnings: list[str]


class Schema:
    """What the rows of a statement must look like; immutable, usable from any thread.

    `kind` is "columns" (column list), "rows" (JSON Schema for one row), "list" (JSON Schema for the whole list) or
    "none" (any list of objects); `mode` is "strict" or "lenient"; `column_names` is the order of a column list;
    `note` is what its author should know ("rows are checked by ... which is slower"), "" if there is nothing;
    `interruptible` says that a check can be stopped after each few rows (`interruption`), `prompt_bytes` how long a
    text may be to be checked within some milliseconds;
    `source` is the JSON of the definition that it was made from; `width` is how many values a row, or an object in it,
    may have once the schema has filled in what is missing, 1 if it fills in nothing, and `null_bytes` the least that
    each of those takes; `in_pieces` says that parts of a list can be checked by themselves.
    """

    __slots__ = (
        "_start",
        "column_names",
        "in_pieces",
        "interruptible",
        "kind",
        "mode",
        "note",
        "null_bytes",
        "prompt_bytes",
        "role",
        "source",
        "width",
    )

    def __init__(
        self,
        kind: Kind,
        mode: Mode,
        column_names: tuple[str, ...] | None,
        start: Callable[[], PieceCheck],
        role: Role = "output",
        note: str = "",
        interruptible: bool = True,
        prompt_bytes: int = PROMPT_BYTES,
        source: bytes = b"null",
        width: int = 1,
        in_pieces: bool = True,
        null_bytes: int = 0,
    ) -> None:
        self.kind = kind
        self.mode = mode
        self.role = role
        self.column_names = column_names
        self._start = start
        self.note = note
        self.interruptible = interruptible
        self.prompt_bytes = prompt_bytes
        self.source = source
        self.width = width
        self.in_pieces = in_pieces
        self.null_bytes = null_bytes

    @staticmethod
    def prepare(definition: object, *, mode: Mode = "strict", role: Role = "output") -> Schema:
        """Check a definition and make it ready; the same content is prepared once per process (least recently used).

        `definition` is a JSON Schema as a dict (draft-03 to 2020-12 as its "$schema" says, 2020-12 without it), for one
        row, or for the whole list when its "type" is "array"; or a list of columns, each a dict with "name", "type",
        "allow_null" (default false) and, for the types "object" and "table", "columns". None accepts any list of
        objects; a `Schema` is returned as it is.
        `mode` "lenient" is for column lists only: extra keys are dropped with a warning, base64 is not checked, a json
        column takes strings and an integer column takes floats that are whole numbers. `role` is what messages call
        the schema, and whether they advise who writes the statement or who writes the input.

        Raises:
            SchemaError: the definition is not a valid schema; `mistakes` has every mistake with its JSON pointer. Or it
                has more than 16 MiB of JSON.
            ConfigError: it is neither JSON nor of a type that could be a schema, or the mode is unknown.
        """
        if isinstance(definition, Schema):
            return definition
        if mode not in ("strict", "lenient"):
            raise ConfigError(f'{role} schema: mode must be "strict" or "lenient", not {mode!r}')
        if definition is None:
            return _ANY
        if not isinstance(definition, (dict, list, tuple)):
            raise ConfigError(
                f"{role} schema: expected a JSON Schema (an object) or a list of columns, "
                f"got {type_name(definition)}" + _fix_for(definition)
            )
        try:
            content = encode(definition)
        except ValueError as error:
            raise ConfigError(f"{role} schema: it is not JSON: {error}") from None
        if len(content) > MAX_SCHEMA_BYTES:
            reason = f"it has {len(content):,} bytes of JSON, at most {MAX_SCHEMA_BYTES:,} are taken"
            raise SchemaError("", f"{reason}: leave out what rows do not need", role=role)
        return _prepare(content, mode, role)

    def validate(self, rows: object, mask: Mask | None = None) -> Validated:
        """Check rows as a JSON parser returned them; the argument is never changed.

        Without a need to fill in missing keys, drop or convert anything, the very same list comes back. What errors and
        warnings show of the rows goes through `mask`, before it is cut.

        Raises:
            OutputError: the first value that is refused: its pointer, the rule it breaks, a short repr.
        """
        if type(rows) is not list:
            message = f"the {self.role} must be a list of objects, got {type_name(rows)}"
            with masked_by(mask):
                raise OutputError("", "list", short_repr(rows), message)
        checker = self.checker(mask)
        return Validated(checker.rows(rows), checker.warnings())

    def checker(self, mask: Mask | None = None) -> Checker:
        """For one list of rows that comes in pieces; `mask` is as in `validate`."""
        return Checker(self._start(), role=self.role, mask=mask, whole_list=not self.in_pieces)

    def __reduce__(self) -> tuple[Callable[..., Schema], tuple[bytes, Mode, Role]]:
        """Another process prepares it again."""
        return _prepared_again, (self.source, self.mode, self.role)

    def __repr__(self) -> str:
        columns = "" if self.column_names is None else f" {', '.join(self.column_names)}"
        return f"<Schema {self.kind} {self.mode}{columns}>"


@dataclass(frozen=True, slots=True)
class RowSchema:
    """A schema with what it was made from: another process makes it again from that."""

    definition: dict[str, Any] | list[dict[str, Any]]
    mode: Mode
    prepared: Schema


class _Anything:
    """Checks nothing."""

    piece_rows = 0

    def rows(self, rows: list[Row], first: int) -> list[Row]:
        return rows

    def warnings(self) -> list[str]:
        return []


_ANY = Schema("none", "strict", None, _Anything)


def _prepared_again(content: bytes, mode: Mode, role: Role) -> Schema:
    return _ANY if content == b"null" else _prepare(content, mode, role)


@lru_cache(maxsize=256)
def _prepare(content: bytes, mode: Mode, role: Role) -> Schema:
    # The content is parsed again, so that nobody can change a prepared schema through the object it was made from.
    try:
        definition = decode(content, max_depth=_MAX_DEPTH)
    except ValueError as error:
        raise ConfigError(f"output schema: {error}") from None
    if isinstance(definition, list):
        from .column_check import TableCheck
        from .columns import Table, find_mistakes

        with _named(role):
            mistakes = list(islice(find_mistakes(definition), 300))
            if mistakes:
                raise SchemaError.of(mistakes)
            table = Table.parse(definition)
        lenient = mode == "lenient"
        return Schema(
            "columns", mode, table.names, lambda: TableCheck(table, lenient=lenient, role=role), role,
            source=content, width=table.width, null_bytes=table.null_bytes,
        )  # fmt: skip
    if mode == "lenient":
        raise ConfigError(
            f"{role} schema: lenient mode is for column lists; a JSON Schema already says what it accepts"
        )
    from .json_schema import JsonSchema

    with _named(role):
        schema = JsonSchema.parse(cast("dict[str, Any]", definition))
    kind: Kind = "list" if schema.whole_list else "rows"
    return Schema(
        kind, mode, schema.names, schema.check, role, schema.slower, schema.interruptible, schema.prompt_bytes,
        source=content, in_pieces=schema.in_pieces,
    )  # fmt: skip


@contextmanager
def _named(role: Role) -> Iterator[None]:
    """Have a mistake in the schema said of what the schema is for."""
    try:
        yield
    except SchemaError as error:
        raise SchemaError.of(error.mistakes, role=role) from None
    except ConfigError as error:
        raise ConfigError(error.message.replace("output schema", f"{role} schema", 1)) from None


def _fix_for(definition: object) -> str:
    if isinstance(definition, (str, bytes)):
        return "; parse it first: json.loads(text)"
    if isinstance(definition, type):
        return "; a class is no schema, pass its JSON Schema"
    return ""
