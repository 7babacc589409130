"""`Draw`: where the decisions of a generator come from, a seeded source or the bytes of another fuzzer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

_T = TypeVar("_T")


class Draw(Protocol):
    """A source of whole numbers; everything else is made of them, see `choice` and `chance`."""

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1; `limit` is at least 1."""


class RandomDraw:
    """Draws from a seeded generator: the same seed gives the same inputs."""

    def __init__(self, seed: int | str) -> None:
        self._next = random.Random(seed).random

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1, which is no more than 2^53."""
        return int(self._next() * limit)


class ByteDraw:
    """Draws from bytes, so that a fuzzer that mutates bytes mutates decisions; zeros once they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1, of as many bytes as it needs."""
        size = (max(limit - 1, 1).bit_length() + 7) // 8
        part = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(part, "little") % limit


def choice(draw: Draw, items: Sequence[_T]) -> _T:
    """One of the items, of which there is at least one."""
    return items[draw.below(len(items))]


def chance(draw: Draw, percent: int) -> bool:
    """True in so many of a hundred cases. Bytes that are used up give False."""
    return draw.below(100) >= 100 - percent
