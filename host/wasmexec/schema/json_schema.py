"""JSON Schema for rows: the draft that a schema declares, its mistakes, and the engine that checks by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from ..errors import SchemaError, SchemaMistake
from .definition_check import find_mistakes
from .dialects import Dialect, find_dialect, has_keyword, subschemas
from .rust_engine import RustEngine
from .values import shorten

Row: TypeAlias = "dict[str, Any]"

# The reference needs more than linear time for these; see reference_engine.
_UNBOUNDED: Final = ("unevaluatedItems", "unevaluatedProperties")


class Engine(Protocol):
    """What checks rows."""

    def check(self, rows: list[Row]) -> None:
        """Raises: OutputError: for the first value that is refused."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """A JSON Schema ready for use: for each row, or for the whole list when its "type" is "array".

    `slower` says why it is checked by the slower engine, "" if it is not.
    """

    whole_list: bool
    names: tuple[str, ...] | None
    slower: str
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
        return JsonSchema(whole_list, names, slower, engine)

    def check(self, rows: list[Row]) -> list[Row]:
        """The rows as they are.

        Raises:
            OutputError: for the first value that is refused.
        """
        self._engine.check(rows)
        return rows


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
