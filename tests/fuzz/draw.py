"""`Draw`: structured values out of bytes, so that whatever changes bytes changes values and keeps their structure.

Everything is read from the front; where the bytes end, zeros follow. The first choice of each list is therefore the
plainest, and shorter data makes simpler values.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
EDGES = (
    0, 1, 2, 3, 5, 7, 8, 15, 16, 63, 64, 100, 127, 128, 255, 256, 1023, 1024, 4095, 4096, 65535, 65536, 0x7FFFFF,
    2**31 - 1, 2**31, 2**32 - 1, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip
_LETTERS = "abcxyz019 _-./:;,\"'\\{}[]()<>=&%#?@+*\t\n\r\0é€😀\u2028\ufeff\x7f"
ODD_JSON = (
    "null", "true", "false", "0", "-0.0", "-1", "1", "3", "1.5", "1e308", "-1e308", "1e400", "NaN", "-Infinity",
    "9" * 400, "9" * 5000, *map(str, (2**31, 2**53, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1)),
    '""', '"x"', '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"' + "x" * 3000 + '"', "[]", "{}", "[0,0]", "[-1,2]",
    "[null]", "[[[]]]", '["a","b"]', '[["a","b"]]', "[1,2,3,4,5]", '{"a":1,"a":"x"}', "[" * 900 + "]" * 900,
    "[" * 2000 + "]" * 2000, '{"":null}', "1.0", "1E2", " 1", "01", "'a'", "",
)  # fmt: skip


class Draw:
    """Reads values from `data`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        """Whether only zeros are left."""
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        """So many bytes."""
        piece = self._data[self._at : self._at + count]
        self._at += count
        return piece.ljust(count, b"\0")

    def rest(self) -> bytes:
        """Whatever is left, without zeros."""
        piece = self._data[self._at :]
        self._at = len(self._data)
        return piece

    def byte(self) -> int:
        """0 to 255."""
        return self.take(1)[0]

    def below(self, end: int) -> int:
        """0 to `end` - 1."""
        count = 1 if end <= 256 else 2 if end <= 65536 else 4 if end <= 2**32 else 8
        return int.from_bytes(self.take(count), "little") % end

    def chance(self, one_in: int) -> bool:
        """True once in so many; False when the data is over."""
        return self.below(one_in) == one_in - 1

    def choose(self, items: Sequence[Item]) -> Item:
        """One of them."""
        return items[self.below(len(items))]

    def integer(self) -> int:
        """A whole number, mostly near those at which something changes."""
        kind = self.below(4)
        if kind == 0:
            return self.byte()
        edge = self.choose(EDGES)
        if kind == 3:
            return int.from_bytes(self.take(4), "little")
        return edge if kind == 1 else edge + self.below(7) - 3

    def binary(self, most: int) -> bytes:
        """Up to so many bytes."""
        return self.take(self.below(most + 1))

    def text(self, most: int) -> str:
        """Up to so many characters, many of them awkward, none of them half a pair."""
        return "".join(_LETTERS[byte % len(_LETTERS)] for byte in self.binary(most))

    def name(self) -> str:
        """A short name in lower case."""
        return "".join(chr(97 + byte % 26) for byte in self.take(1 + self.below(4)))

    def value(self, depth: int = 3) -> Any:
        """A JSON value that can be written and read again."""
        kind = self.below(9 if depth else 7)
        if kind == 7:
            return [self.value(depth - 1) for _ in range(self.below(4))]
        if kind == 8:
            return {self.text(4): self.value(depth - 1) for _ in range(self.below(4))}
        if kind == 6:
            return self.below(2**16) / 2 ** self.below(20)
        plain: tuple[Any, ...] = (None, True, False, self.integer(), -self.integer(), self.text(6))
        return plain[kind]

    def json(self, *usual: str) -> str:
        """A JSON text, one of the usual ones most of the time, else an odd one, now and then none at all."""
        kind = self.below(8)
        if usual and kind < 6:
            return self.choose(usual)
        return self.choose(ODD_JSON) if kind < 7 else json.dumps(self.value(), ensure_ascii=False)

    def object(self, **fields: Sequence[str]) -> str:
        """The text of an object with some of the fields; each has its usual texts."""
        pairs = [f'"{name}":{self.json(*usual)}' for name, usual in fields.items() if not self.chance(5)]
        if self.chance(12):
            pairs.append(f"{json.dumps(self.text(5))}:{self.json()}")
        return "{" + ",".join(pairs) + "}"


def mutated_json(draw: Draw, value: Any) -> Any:
    """A JSON value with a few of its parts replaced, dropped or doubled."""
    for _ in range(1 + draw.below(3)):
        value = _mutated(draw, value)
    return value


def _mutated(draw: Draw, value: Any) -> Any:
    if isinstance(value, dict) and value and not draw.chance(6):
        key = draw.choose(list(value))
        kind = draw.below(8)
        if kind == 6:
            return {name: item for name, item in value.items() if name != key}
        if kind == 7:
            return {**value, draw.text(5): value[key]}
        return {**value, key: _mutated(draw, value[key])}
    if isinstance(value, list) and value and not draw.chance(6):
        at = draw.below(len(value))
        kind = draw.below(8)
        if kind == 6:
            return value[:at] + value[at + 1 :]
        if kind == 7:
            return [*value, value[at]]
        return [*value[:at], _mutated(draw, value[at]), *value[at + 1 :]]
    return draw.choose([0, None, "", [], {}, -1, True, 2**70, -0.5, "x", draw.value(2), draw.integer()])
