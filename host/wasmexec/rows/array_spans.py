"""Where the objects of a JSON array begin and end in its text, without parsing them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .json_tokens import FLAT_OBJECT, GAP, string_end
from .steps import STEP_BYTES, LookUp

_LOOKED_AT = 32 * 1024
_SPANS_AT_ONCE = 256
_BETWEEN = re.compile(rb"[ \t\r\n,]*+")


def object_spans(text: bytes, look_up: LookUp = bool) -> Iterator[tuple[int, int]]:
    """Where each object of an array begins and ends; as far as the array goes, if it is none.

    SECURITY: not a parser. What is no JSON gives some spans in linear time, whatever it is.
    """
    position = text.find(b"[") + 1
    number = 0
    while True:
        if number % _SPANS_AT_ONCE == 0:
            look_up()
        number += 1
        between = _BETWEEN.match(text, position, position + STEP_BYTES)
        assert between is not None
        position = between.end()
        if text[position : position + 1] != b"{":
            if position - between.start() == STEP_BYTES:
                continue
            return
        flat = FLAT_OBJECT.match(text, position, position + STEP_BYTES)
        end = value_end(text, position, look_up) if flat is None else flat.end()
        yield position, end
        position = end


def value_end(text: bytes, position: int, look_up: LookUp) -> int:
    """Where the object or array ends that begins there; the end of the text if it does not end."""
    depth = 1
    looked = position
    position += 1
    while position < len(text):
        if position - looked >= _LOOKED_AT:
            look_up()
            looked = position
        gap = GAP.match(text, position, position + _LOOKED_AT)
        assert gap is not None
        is_on = gap.end() == position + _LOOKED_AT
        position = gap.end()
        if is_on or position >= len(text):
            continue
        if text[position] == 0x22:
            end = string_end(text, position, len(text), look_up)
            position = end if end >= 0 else len(text)
            continue
        depth += 1 if text[position] in b"[{" else -1
        position += 1
        if depth <= 0:
            return position
    return len(text)
