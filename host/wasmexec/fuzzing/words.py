"""Scalars of a kind: plain ones, those at which statements break, and the constants that the statement names."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from . import values
from .draw import Draw, chance, choice

_MOST = 500


class Words:
    """The values that a generator draws from, for each kind of column."""

    def __init__(self, statement: str = "") -> None:
        named = list(dict.fromkeys(_constants(statement)))[:_MOST]
        self.texts = [item for item in named if isinstance(item, str)]
        self.numbers = [item for item in named if not isinstance(item, str)]

    def value(self, draw: Draw, kind: str, wild: int) -> Any:
        """A value of a column type that is no object, table or json; unusual in `wild` of a hundred cases."""
        match kind:
            case "integer":
                return self._integer(draw, wild)
            case "double":
                return self._double(draw, wild)
            case "boolean":
                return draw.below(2) == 1
            case "datetime":
                return choice(draw, values.DATETIMES if chance(draw, wild) else values.PLAIN_DATETIMES)
            case "base64":
                return choice(draw, values.BASE64)
            case _:
                return self.text(draw, wild)

    def text(self, draw: Draw, wild: int) -> str:
        """A text, perhaps one that the statement compares with, perhaps made of two."""
        if self.texts and chance(draw, 25):
            word = choice(draw, self.texts)
            return word if chance(draw, 70) else _changed(draw, word)
        if not chance(draw, wild):
            return choice(draw, values.PLAIN_TEXTS)
        if chance(draw, 8):
            return choice(draw, values.LONG_TEXTS)
        text = choice(draw, values.TEXTS)
        return text + choice(draw, values.TEXTS) if chance(draw, 15) else text

    def _integer(self, draw: Draw, wild: int) -> int:
        if self.numbers and chance(draw, 25):
            return int(choice(draw, self.numbers)) + choice(draw, (0, 0, 0, 1, -1))
        if chance(draw, wild):
            return choice(draw, values.INTEGERS)
        return draw.below(values.PLAIN_INTEGERS)

    def _double(self, draw: Draw, wild: int) -> float:
        if self.numbers and chance(draw, 20):
            return float(choice(draw, self.numbers)) + choice(draw, (0, 0, 0, 1, -1, 0.5))
        if chance(draw, wild):
            return choice(draw, values.DOUBLES)
        return draw.below(10_000) / 100


def _changed(draw: Draw, word: str) -> str:
    """A text that is nearly the same."""
    at = draw.below(len(word) + 1)
    return choice(
        draw, (word.upper(), word.lower(), f" {word}", f"{word} ", word[:at], word[:at] + "a" + word[at:], word * 2)
    )  # fmt: skip


def _constants(statement: str) -> Iterator[str | int | float]:
    """Constants that the statement names; a key that it looks up is one too, which does no harm."""
    try:
        tree = ast.parse(statement)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Constant) else None
        is_word = isinstance(value, str) and len(value) <= 200 and _is_encodable(value)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 2**64
        if isinstance(value, (str, int, float)) and (is_word or is_number):
            yield value


def _is_encodable(text: str) -> bool:
    """Whether it is Unicode: a Python text may have half a surrogate pair in it."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def kind_of(examples: Sequence[object]) -> str:
    """The column type that values have in common; text if there is none."""
    kinds = {type(item) for item in examples if item is not None}
    if kinds and kinds <= {int}:
        return "integer"
    if kinds and kinds <= {int, float}:
        return "double"
    return "boolean" if kinds == {bool} else "json" if kinds & {list, dict} else "text"
