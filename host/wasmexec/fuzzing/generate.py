"""Making inputs that a step's input schemas accept: for column lists and for JSON Schemas in canonical form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..schema import RowSchema
from ..schema.columns import Column, Table
from . import values
from .draw import Draw, chance, choice
from .from_json_schema import JsonSchemaMaker
from .inputs import FuzzInput
from .words import Words

_SIZES = (1, 1, 1, 2, 2, 2, 3, 4, 6, 0, 12, 40)
_MOST_NESTED = 3


@dataclass(frozen=True, slots=True)
class InputPlan:
    """One input of a step: how its rows are made, and the schema that they must match (None: whatever they are)."""

    rows: Callable[[Draw, int], list[Any]]
    schema: RowSchema | None = None

    def accepts(self, rows: list[Any]) -> bool:
        """Whether the schema takes these rows."""
        from ..errors import OutputError

        if self.schema is None:
            return True
        try:
            self.schema.prepared.validate(rows)
        except (OutputError, ValueError):
            return False
        return True


@dataclass(slots=True)
class Generator:
    """Makes inputs: of `one_row` steps INPUT_DATA is a list of one row, else of any number."""

    plans: Sequence[InputPlan]
    one_row: bool

    def make(self, draw: Draw) -> FuzzInput:
        """An input, whether the schemas take it or not."""
        return FuzzInput(
            inputs=[
                plan.rows(draw, 1 if self.one_row and index == 0 else choice(draw, _SIZES))
                for index, plan in enumerate(self.plans)
            ]
        )

    def accepts(self, made: FuzzInput) -> bool:
        """Whether every input schema takes its input."""
        if len(made.inputs) != len(self.plans):
            return False
        if self.one_row and len(made.inputs[0] or ()) != 1:
            return False
        return all(rows is None or plan.accepts(rows) for plan, rows in zip(self.plans, made.inputs, strict=True))


def plan_for(schema: RowSchema, words: Words) -> InputPlan:
    """How rows are made that a schema takes."""
    definition = schema.definition
    if isinstance(definition, list):
        maker = _ColumnMaker(words)
        table = Table.parse(definition)
        return InputPlan(lambda draw, size: maker.rows(draw, table, size, 0), schema)
    made = JsonSchemaMaker(definition, words)
    if schema.prepared.kind == "list":
        return InputPlan(made.whole, schema)
    return InputPlan(lambda draw, size: [made.value(draw) for _ in range(size)], schema)


class _ColumnMaker:
    """Rows of column lists. Within one input some columns repeat values, as keys do."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def rows(self, draw: Draw, table: Table, size: int, depth: int) -> list[dict[str, Any]]:
        wild = choice(draw, (10, 30, 60))
        repeating = {column.name for column in table.columns if chance(draw, 40)}
        rows: list[dict[str, Any]] = []
        for _ in range(size):
            row = {}
            for column in table.columns:
                if rows and column.name in repeating and chance(draw, 60):
                    row[column.name] = choice(draw, rows)[column.name]
                else:
                    row[column.name] = self.value(draw, column, wild, depth)
            rows.append(row)
        return rows

    def value(self, draw: Draw, column: Column, wild: int, depth: int) -> Any:
        if column.allow_null and chance(draw, 20):
            return None
        if column.kind in ("object", "table"):
            assert column.table is not None
            if column.kind == "table":
                size = 0 if depth >= _MOST_NESTED else choice(draw, (0, 1, 1, 2, 3))
                return self.rows(draw, column.table, size, depth + 1)
            return self.rows(draw, column.table, 1, depth + 1)[0]
        if column.kind == "json":
            return choice(draw, values.JSON)
        return self._words.value(draw, column.kind, wild)
