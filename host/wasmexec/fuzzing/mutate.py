"""Changing inputs: rows are dropped, doubled, moved and mixed, values become others of their kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import values
from .draw import Draw, chance, choice
from .generate import Generator
from .inputs import FuzzInput
from .words import Words

_MOST_ROWS = 300


class Mutator:
    """Makes new inputs of those that have shown something new."""

    def __init__(self, generator: Generator, words: Words) -> None:
        self._generator = generator
        self._words = words

    def mutate(self, draw: Draw, corpus: Sequence[FuzzInput]) -> FuzzInput:
        """One to four changes of an input of the corpus."""
        made = choice(draw, corpus)
        for _ in range(1 + draw.below(4)):
            made = self._change(draw, made, choice(draw, corpus))
        return made

    def _change(self, draw: Draw, item: FuzzInput, other: FuzzInput) -> FuzzInput:
        index = draw.below(len(item.inputs))
        inputs = list(item.inputs)
        fresh = self._generator.make(draw)
        rows = list(inputs[index] or ())
        is_one = self._generator.one_row and index == 0
        inputs[index] = self._rows(draw, rows, other.inputs, fresh.inputs[index % len(fresh.inputs)] or [], is_one)
        return FuzzInput(inputs=inputs, checkpoint=item.checkpoint, local_variables=item.local_variables)

    def _rows(
        self, draw: Draw, rows: list[Any], others: Sequence[list[Any] | None], fresh: list[Any], is_one: bool
    ) -> list[Any]:  # fmt: skip
        if not rows:
            return list(fresh)
        at = draw.below(len(rows))
        what = draw.below(3 if is_one else 9)
        if what == 0 and fresh:
            rows[at] = self._crossed(draw, rows[at], choice(draw, fresh))
        elif what <= 2:
            rows[at] = self._value(draw, rows[at], 0)
        elif what == 3:
            del rows[at]
        elif what == 4:
            rows.insert(draw.below(len(rows) + 1), rows[at])
        elif what == 5:
            other = draw.below(len(rows))
            rows[at], rows[other] = rows[other], rows[at]
        elif what == 6:
            rows = rows[at:] + rows[:at]
        elif what == 7:
            rows += choice(draw, [part for part in others if part] or [fresh])
        else:
            rows[at] = self._crossed(draw, rows[at], choice(draw, rows))
        return rows[:_MOST_ROWS]

    def _crossed(self, draw: Draw, row: Any, other: Any) -> Any:
        """A row with one value of another."""
        shared = [key for key in row if key in other] if isinstance(row, dict) and isinstance(other, dict) else []
        if not shared:
            return other
        key = choice(draw, shared)
        return {**row, key: other[key]}

    def _value(self, draw: Draw, value: Any, depth: int) -> Any:
        if isinstance(value, dict) and value:
            key = choice(draw, list(value))
            if depth and chance(draw, 5):
                return {name: item for name, item in value.items() if name != key}
            return {**value, key: self._value(draw, value[key], depth + 1)}
        if isinstance(value, list):
            if not value or chance(draw, 20):
                return []
            at = draw.below(len(value))
            return [*value[:at], self._value(draw, value[at], depth + 1), *value[at + 1 :]]
        if chance(draw, 10):
            return None
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return choice(draw, (value + 1, value - 1, -value, value * 2, self._words.value(draw, "integer", 60)))
        if isinstance(value, float):
            return choice(
                draw, (value + 1, -value, value / 2, float(int(value)), self._words.value(draw, "double", 60))
            )
        if isinstance(value, str):
            return self._text(draw, value)
        return choice(draw, values.JSON)

    def _text(self, draw: Draw, text: str) -> str:
        at = draw.below(len(text) + 1)
        what = draw.below(6)
        if what == 0:
            return text[:at]
        if what == 1:
            return text[:at] + choice(draw, values.TEXTS) + text[at:]
        if what == 2:
            return text[:at] + text[at + 1 :]
        if what == 3:
            return choice(draw, values.DATETIMES)
        return self._words.text(draw, 60) if what == 4 else (text * 2)[:10_000]
