"""Whether the items of a list differ, in linear time.

SECURITY: jsonschema-rs takes quadratic time where there are integers of more than 64 bits: eight seconds for 4000. So
does a set where hashes collide, which a guest can have of such integers and of floats, not of texts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

_PIECE: Final = 1000
_PLAIN: Final = frozenset((str, int, type(None)))
_LARGEST: Final = 2**63


def all_differ(items: list[Any], look: Callable[[], object]) -> bool:
    """Whether no two are equal, as JSON compares them: 1 and 1.0 are, 1 and true are not.

    `look` is called every few thousand values; what it raises ends this. Raises: RecursionError: they are too deep.
    """
    types = set(map(type, items))
    if types <= _PLAIN and (int not in types or _are_small([item for item in items if type(item) is int])):
        return len(set(items)) == len(items)
    seen: set[Hashable] = set()
    for index, item in enumerate(items):
        if index % _PIECE == 0:
            look()
        seen.add(_key(item, look))
        if len(seen) <= index:
            return False
    return True


def _key(value: Any, look: Callable[[], object]) -> Hashable:
    if isinstance(value, list):
        if len(value) >= _PIECE:
            look()
        return ("list", *(_key(item, look) for item in value))
    if isinstance(value, dict):
        if len(value) >= _PIECE:
            look()
        return ("object", frozenset((name, _key(item, look)) for name, item in value.items()))
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return ("number", repr(value)) if isinstance(value, (int, float)) else value


def _are_small(numbers: list[int]) -> bool:
    return min(numbers) >= -_LARGEST and max(numbers) < _LARGEST
