"""Some members of a JSON object, without the values of all the others.

SECURITY: a row may be as long as an output. Whoever wants one column of it parses the text of this one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from .array_spans import value_end
from .json_text import decode
from .json_tokens import string_end
from .steps import LookUp, part, skip

_SHORT_BYTES = 128 * 1024
"""What is parsed as a whole in a millisecond or two."""
_LONGEST_SPELT = 6
"""Bytes that one of a character's bytes takes at most: those of an escape."""
_SCALAR_END = re.compile(rb"[^ \t\r\n,}]*+")


def members(text: bytes, start: int, end: int, names: Collection[str], look_up: LookUp = bool) -> dict[str, Any]:
    """Those members of an object that have one of the names; that part of the text must be JSON.

    Of two with the same name the last counts, as everywhere.
    """
    if end - start <= _SHORT_BYTES:
        row: dict[str, Any] = decode(text[start:end])
        return {name: row[name] for name in names if name in row}
    longest = _LONGEST_SPELT * max((len(name.encode("utf-8", "surrogatepass")) for name in names), default=0) + 2
    found: dict[str, tuple[int, int]] = {}
    for key, value in _spans(text, start, end, look_up):
        if key[1] - key[0] <= longest and (name := decode(text[slice(*key)])) in names:
            found[name] = value
    return {name: decode(part(text, *value, look_up)) for name, value in found.items()}


def _spans(text: bytes, start: int, end: int, look_up: LookUp) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where the name of each member begins and ends, and where its value does."""
    position = skip(text, text.index(b"{", start) + 1, end, look_up)
    while text[position] != 0x7D:
        key = position, string_end(text, position, end, look_up)
        at = skip(text, skip(text, key[1], end, look_up) + 1, end, look_up)
        value = at, _value_end(text, at, look_up)
        yield key, value
        position = skip(text, value[1], end, look_up)
        if text[position] == 0x2C:
            position = skip(text, position + 1, end, look_up)


def _value_end(text: bytes, start: int, look_up: LookUp) -> int:
    if text[start] in b"[{":
        return value_end(text, start, look_up)
    if text[start] == 0x22:
        return string_end(text, start, len(text), look_up)
    found = _SCALAR_END.match(text, start)
    assert found is not None
    return found.end()
