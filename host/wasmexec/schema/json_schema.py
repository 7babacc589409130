"""JSON Schema for rows: the draft that a schema declares, its mistakes, and the engine that checks by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from ..errors import SchemaError, SchemaMistake
from .burden import MOST_APPLIED, Burden, burden_of, unevaluated_burden
from .checker import PieceCheck
from .definition_check import find_mistakes
from .dialects import Dialect, find_dialect, has_keyword, patterns_of, subschemas
from .patterns import Budget, compile_pattern
from .rust_engine import RustEngine
from .values import PROMPT_BYTES, pointer, short_repr, shorten

Row: TypeAlias = "dict[str, Any]"

# The reference needs more than linear time for these; see reference_engine.
_UNBOUNDED: Final = ("unevaluatedItems", "unevaluatedProperties")


_MOST_INTERRUPTIBLE: Final = 1000
_UNINTERRUPTED_BYTES: Final = 16 * 1024
_MOST_BREADTH: Final = 16
_MOST_STEPS: Final = 8 * PROMPT_BYTES
_SAYS_NOTHING_OF_THE_LIST: Final = {
    "type", "items", "$schema", "$id", "id", "$comment", "title", "description", "examples", "default", "$defs",
    "definitions",
}  # fmt: skip


class Engine(Protocol):
    """What checks rows."""

    def budget(self) -> Budget:
        """What the rows of one list may take."""

    def check(self, rows: list[Row], first: int, budget: Budget) -> None:
        """Raises: OutputError: for the first value that is refused; `first` is the index of the first row."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """A JSON Schema ready for use: for each row, or for the list when its "type" is "array".

    `in_pieces` says that parts of the list can be checked by themselves: all but schemas for a list that count or
    compare its items. `slower` says why it is checked by the slower engine, "" if it is not. `interruptible` says that
    no call takes long, but for a long row: not for a whole list, nor where patterns are not of the linear-time kind or
    have many places that a text may be at, or references multiply. A text of `prompt_bytes` is checked in some
    milliseconds.
    """

    whole_list: bool
    in_pieces: bool
    names: tuple[str, ...] | None
    slower: str
    interruptible: bool
    prompt_bytes: int
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
                pointer((key,)),
                f"{short_repr(key)} is not a keyword of JSON Schema, so this schema would accept everything: {fix}",
            )
        dialect = find_dialect(definition)
        kind = definition.get("type", "object")
        nodes = list(subschemas(definition))
        mistakes = find_mistakes(definition, dialect, nodes)
        if not mistakes and kind != "array" and not any(name in (kind, *kind) for name in ("object", "any")):
            reason = '"type" must be "object" (the schema is for one row) or "array" (for the list of rows)'
            mistakes.append(SchemaMistake("/type", reason))
        if mistakes:
            raise SchemaError.of(mistakes)
        burden = burden_of(definition, dialect, nodes)
        if burden.applied > MOST_APPLIED:
            many = f"{burden.applied:,} schemas would look at one value, at most {MOST_APPLIED:,} may"
            raise SchemaError(pointer(burden.at), f"its references multiply: {many}")
        unevaluated = unevaluated_burden(definition, dialect, nodes)
        if unevaluated is not None:
            raise SchemaError(pointer(unevaluated[0]), unevaluated[1])
        whole_list = kind == "array"
        names = _names(definition.get("items") if whole_list else definition)
        in_pieces = not whole_list or (
            definition.keys() <= _SAYS_NOTHING_OF_THE_LIST and isinstance(definition.get("items", {}), (dict, bool))
        )
        engine, slower = _engine(
            definition, dialect, whole_list=whole_list, in_pieces=in_pieces, names=names or (), burden=burden
        )
        in_pieces = in_pieces and not (slower and whole_list)
        patterns = [compile_pattern(text) for _, node in nodes for _, text in patterns_of(node)]
        breadth = max((pattern.breadth for pattern in patterns), default=1)
        light = all(pattern.is_linear for pattern in patterns) and breadth <= _MOST_BREADTH
        light = light and in_pieces and burden.applied <= _MOST_INTERRUPTIBLE and burden.growth <= 1
        prompt = min(_MOST_STEPS // breadth, PROMPT_BYTES if light else _UNINTERRUPTED_BYTES)
        return JsonSchema(whole_list, in_pieces, names, slower, light, prompt, engine)

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
    definition: dict[str, Any], dialect: Dialect, *, whole_list: bool, in_pieces: bool, names: tuple[str, ...],
    burden: Burden,
) -> tuple[Engine, str]:  # fmt: skip
    if dialect.validator is None:
        reason = f"jsonschema-rs does not know {dialect.name}"
    else:
        try:
            engine = RustEngine(
                definition, dialect, is_list=whole_list, in_pieces=in_pieces, names=names,
                applied=burden.applied, growth=burden.growth,
            )  # fmt: skip
            return engine, ""
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
