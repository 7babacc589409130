"""JSON Schema for rows: the draft that a schema declares, its mistakes, and the engine that checks by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from ..errors import SchemaError, SchemaMistake
from .checker import PieceCheck
from .definition_check import find_mistakes
from .dialects import Dialect, find_dialect, has_keyword, patterns_of, subschemas
from .patterns import Budget, compile_pattern
from .rust_engine import RustEngine
from .values import shorten

Row: TypeAlias = "dict[str, Any]"

# The reference needs more than linear time for these; see reference_engine.
_UNBOUNDED: Final = ("unevaluatedItems", "unevaluatedProperties")


class Engine(Protocol):
    """What checks rows."""

    def budget(self) -> Budget:
        """What the rows of one list may take."""

    def check(self, rows: list[Row], first: int, budget: Budget) -> None:
        """Raises: OutputError: for the first value that is refused; `first` is the index of the first row."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """A JSON Schema ready for use: for each row, or for the whole list when its "type" is "array".

    `slower` says why it is checked by the slower engine, "" if it is not. `interruptible` says that no call takes long,
    but for a long row: not for a whole list, nor for patterns that are not of the linear-time kind.
    """

    whole_list: bool
    names: tuple[str, ...] | None
    slower: str
    interruptible: bool
    _engine: Engine

    @staticmethod
    def parse(definition: dict[str, Any]) -> JsonSchema:
        """Check a JSON Schema and compile it.

        Raises:
            SchemaError: it is no valid schema, declares an unknown draft, or refers to something outside itself.
        """
        if definition and not has_keyword(definition):
            key = next(iter(definition))
            fix = 'write {"type": "object", "properties": {...}} or a list of columns'
            raise SchemaError(
                f"/{key}", f"{key!r} is not a keyword of JSON Schema, so this schema would accept everything: {fix}"
            )
        dialect = find_dialect(definition)
        kind = definition.get("type", "object")
        mistakes = find_mistakes(definition, dialect)
        if not mistakes and kind != "array" and not any(name in (kind, *kind) for name in ("object", "any")):
            reason = '"type" must be "object" (the schema is for one row) or "array" (for the list of rows)'
            mistakes.append(SchemaMistake("/type", reason))
        if mistakes:
            raise SchemaError.of(mistakes)
        whole_list = kind == "array"
        names = _names(definition.get("items") if whole_list else definition)
        engine, slower = _engine(definition, dialect, whole_list=whole_list, names=names or ())
        linear = all(
            compile_pattern(text).is_linear for _, node in subschemas(definition) for _, text in patterns_of(node)
        )
        return JsonSchema(whole_list, names, slower, linear and not whole_list, engine)

    def check(self) -> PieceCheck:
        """For one list of rows."""
        return _Check(self._engine)


class _Check:
    piece_rows = 0

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._budget = engine.budget()

    def rows(self, rows: list[Row], first: int) -> list[Row]:
        self._engine.check(rows, first, self._budget)
        return rows

    def warnings(self) -> list[str]:
        return []


def _engine(
    definition: dict[str, Any], dialect: Dialect, *, whole_list: bool, names: tuple[str, ...]
) -> tuple[Engine, str]:
    if dialect.validator is None:
        reason = f"jsonschema-rs does not know {dialect.name}"
    else:
        try:
            return RustEngine(definition, dialect, whole_list=whole_list, names=names), ""
        except SchemaError as error:
            reason = f"jsonschema-rs does not take it ({shorten(error.reason, 300)})"
            if any(key in node for _, node in subschemas(definition) for key in _UNBOUNDED):
                cannot = f"jsonschema cannot check {' and '.join(_UNBOUNDED)} in bounded time"
                raise SchemaError(error.pointer, f"{reason}, and {cannot}") from None
    from .reference_engine import ReferenceEngine

    slower = f"rows are checked by jsonschema, the reference implementation, which is some 100 times slower: {reason}"
    return ReferenceEngine(definition, dialect, whole_list=whole_list), slower


def _names(row_schema: object) -> tuple[str, ...] | None:
    properties = row_schema.get("properties") if isinstance(row_schema, dict) else None
    return tuple(properties) if isinstance(properties, dict) and properties else None
