"""JSON as RFC 8259 has it, with exact integers of any size: the one place where the host reads and writes it.

orjson decides what JSON is, in both directions, whatever the numbers: no NaN, no infinity, no number that overflows to
one, no half surrogate pairs, nothing after the value; of two equal keys the last counts. It has no integers beyond
64 bits (it reads them as floats and does not write them): only those are read by the standard module, after orjson has
accepted the text, and written digit by digit.

SECURITY: reading is linear in the text. Depth and digits are bounded here, on both ways alike, so that whatever is
read can be walked and written again.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import orjson

MAX_DEPTH = 254
"""Levels of lists and objects: what orjson writes. It reads 1,024."""
MAX_DIGITS = 4300
"""Digits of an integer, as in Python itself: more take quadratic time."""
_ORJSON_DEPTH = 1024
_TO_ZEROS = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))
_LONG_RUN = re.compile(rb"(?<![0-9])[0-9]{300,}")
_KEPT_DIGITS = 8
_FIRST_TOO_LONG = 10**MAX_DIGITS
_LEAVES = {str, int, float, bool, type(None)}

Default: TypeAlias = "Callable[[Any], Any]"
# A place inside a value: the place of its container, and the key or index.
_Place: TypeAlias = "tuple[_Place, object] | None"


def decode(data: bytes | bytearray | memoryview, *, max_depth: int = MAX_DEPTH) -> Any:
    """The value of JSON text in UTF-8; integers are exact.

    Raises:
        ValueError: it is not JSON, is nested deeper than `max_depth` levels (at most 1,024), or has an integer of more
            than 4,300 digits. The text says where.
    """
    data = bytes(data)
    zeros = data.translate(_TO_ZEROS)
    # The smallest integers that orjson makes floats of have 20 digits, below zero 19.
    if b"0" * 19 not in zeros or (b"0" * 20 not in zeros and b"-" + b"0" * 19 not in zeros):
        return _loads(data, max_depth)
    del zeros
    if not _LONG_RUN.search(data):
        _loads(data, max_depth)
        return _exact(data, None, None)
    # orjson takes integers of 309 digits for infinite: it sees them shortened, and they are looked at here.
    _loads(_LONG_RUN.sub(lambda run: run[0][:_KEPT_DIGITS], data), max_depth)
    return _exact(data, _integer, _finite)


def encode(value: Any, default: Default | None = None) -> bytes:
    """JSON text that reads back equal; dates, times, UUIDs, enumerations and dataclasses are written as orjson does.

    Args:
        default: makes something of what JSON does not have.

    Raises:
        ValueError: there is something in it that JSON does not have (NaN, an infinite number, half a surrogate pair, a
            key that is no string, another type), an integer of more than 4,300 digits, more than 254 levels, or itself.
    """
    try:
        data = orjson.dumps(value, default=default)
    except orjson.JSONEncodeError as error:
        if "64-bit" not in str(error):
            raise ValueError(str(error)) from None
    else:
        # orjson writes null for what is no finite number.
        if b"null" not in data or (default is None and _is_finite(value)):
            return data
    try:
        return orjson.dumps(_spelt(value), default=default and (lambda item: _spelt(default(item))))
    except orjson.JSONEncodeError as error:
        raise ValueError(str(error.__cause__ if isinstance(error.__cause__, ValueError) else error)) from None
    except RecursionError:
        raise ValueError("Recursion limit reached") from None


def _loads(data: bytes, max_depth: int) -> Any:
    """As orjson reads it. The bound of the depth is its own: the text is read inside so many lists more."""
    if len(data) <= 2 * max_depth:
        return orjson.loads(data)
    more = _ORJSON_DEPTH - max_depth
    try:
        value = orjson.loads(b"".join((b"[" * more, data, b"]" * more)))
        for _ in range(more):
            (value,) = value
    except ValueError as error:
        if isinstance(error, orjson.JSONDecodeError) and "depth limit" in error.msg:
            raise ValueError(f"nested deeper than {max_depth} levels at character {error.pos - more:,}") from None
        # It fails again and says where; so does a text that closes our lists and opens others.
        return orjson.loads(data)
    return value


def _exact(data: bytes, parse_int: Callable[[str], int] | None, parse_float: Callable[[str], float] | None) -> Any:
    try:
        return json.loads(data.decode(), parse_int=parse_int, parse_float=parse_float)
    except RecursionError:
        raise ValueError("nested too deeply for the stack it is read on") from None


def _integer(text: str) -> int:
    digits = len(text.lstrip("-"))
    if digits > MAX_DIGITS:
        raise ValueError(f"integer of {digits:,} digits, at most {MAX_DIGITS:,} are read: {text[:20]}...")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"number is infinity when parsed as double: {text[:20]}...")
    return value


def _is_finite(value: Any) -> bool:
    """Whether every number in a value that orjson has written is finite."""
    level = [value]
    while level:
        has_floats = any(issubclass(kind, float) for kind in set(map(type, level)))
        if has_floats and not all(math.isfinite(item) for item in level if isinstance(item, float)):
            return False
        level = [child for item in level if type(item) not in _LEAVES for _, child in _children(item)]
    return True


def _spelt(value: Any, place: _Place = None) -> Any:
    """The value with its long integers as text for orjson.

    Raises:
        ValueError: a number in it has no JSON.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{_pointer(place)} is {value!r}, which JSON does not have")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        if abs(value) >= _FIRST_TOO_LONG:
            raise ValueError(f"{_pointer(place)} is an integer of more than {MAX_DIGITS:,} digits")
        return orjson.Fragment(int.__repr__(value))
    if type(value) in _LEAVES:
        return value
    pairs = [(key, _spelt(child, (place, key))) for key, child in _children(value)]
    if isinstance(value, (list, tuple)):
        return [child for _, child in pairs]
    if isinstance(value, enum.Enum):
        return pairs[0][1]
    return dict(pairs) if pairs else value


def _children(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, (list, tuple)):
        return enumerate(value)
    if isinstance(value, enum.Enum):
        return [("value", value.value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(item.name, getattr(value, item.name)) for item in dataclasses.fields(value)]
    return ()


def _pointer(place: _Place) -> str:
    keys: list[str] = []
    while place is not None:
        place, key = place
        keys.append(str(key).replace("~", "~0").replace("/", "~1")[:100])
    return "".join(f"/{key}" for key in reversed(keys)) or "the value"
