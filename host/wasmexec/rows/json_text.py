"""JSON as RFC 8259 has it, with exact integers of any size: the one place where the host reads and writes it.

orjson decides what JSON is, in both directions, whatever the numbers: no NaN, no infinity, no number that overflows to
one, no half surrogate pairs, nothing after the value; of two equal keys the last counts. It has no integers beyond
64 bits (it reads them as floats and does not write them): only those are read by the standard module, after orjson has
accepted the text, and written, as is what is nested deeper than the 254 levels that orjson writes.

SECURITY: reading is linear in the text. Depth and digits are bounded here, on both ways alike, so that whatever is
read can be walked and written again.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

import orjson

MAX_DEPTH = 600
"""Levels of lists and objects, both ways: those of rows (512) and of whatever is put around them."""
ROWS_DEPTH = 512
"""Levels of an input or output, the list of its rows counted: guest and host take the same."""
MAX_DIGITS = 4300
"""Digits of an integer, as in Python itself: more take quadratic time."""
_ORJSON_DEPTH = 1024
_TO_ZEROS = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))
_RUN = re.compile(rb"[0-9]+")
_LONG_RUN = 300
_STEP_BYTES = 256 * 1024
_KEPT_DIGITS = 8
_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_FIRST_TOO_LONG = 10**MAX_DIGITS
_BEYOND_ORJSON = ("64-bit", "Recursion limit")
_HALF_A_PAIR = "str is not valid UTF-8: surrogates not allowed"
_LEAVES = {str, int, float, bool, type(None)}
_NEWLINE = orjson.Fragment(b"\n")

Default: TypeAlias = "Callable[[Any], Any]"
# A place inside a value: the place of its container, and the key or index.
_Place: TypeAlias = "tuple[_Place, object] | None"


def decode(data: bytes | bytearray | memoryview, *, max_depth: int = MAX_DEPTH, half_pairs: bool = False) -> Any:
    """The value of JSON text in UTF-8; integers are exact.

    Args:
        max_depth: levels of lists and objects, at most 1,024.
        half_pairs: take the escape of half a surrogate pair, as only the run store does.

    Raises:
        ValueError: it is not JSON, is nested deeper than `max_depth` levels, or has an integer of more than 4,300
            digits. The text says where.
    """
    data = bytes(data)
    try:
        return _decode(data, max_depth)
    except ValueError as error:
        if half_pairs and "surrogate" in str(error):
            # The escapes of other characters in their place; for the text itself the standard module will do.
            _decode(_HALF_PAIR.sub(rb"\\ufffd", data), max_depth)
            return _exact(data, _integer, _finite)
        raise


def _decode(data: bytes, max_depth: int) -> Any:
    zeros = data.translate(_TO_ZEROS)
    if not _has_long_integer(zeros):
        return _loads(data, max_depth)
    if b"0" * _LONG_RUN not in zeros:
        _loads(data, max_depth)
        return _exact(data, None, None)
    # orjson takes integers of 309 digits for infinite: it sees them shortened, and they are looked at here.
    _loads(_RUN.sub(_shortened, data), max_depth)
    return _exact(data, _integer, _finite)


def _has_long_integer(zeros: bytes) -> bool:
    """Whether there may be an integer that orjson makes a float of, in text whose digits are all zeros.

    The smallest have 20 digits, below zero 19. Digits of fractions are none, but those of texts may be.
    """
    at = zeros.find(b"0" * 19)
    while at >= 0:
        run = _RUN.match(zeros, at)
        assert run is not None
        before = zeros[at - 1 : at] if at else b""
        if before != b"." and run.end() - at >= (19 if before == b"-" else 20):
            return True
        at = zeros.find(b"0" * 19, run.end())
    return False


def _shortened(run: re.Match[bytes]) -> bytes:
    return run[0] if len(run[0]) < _LONG_RUN else run[0][:_KEPT_DIGITS]


def encode(
    value: Any,
    default: Default | None = None,
    *,
    indent: bool = False,
    half_pairs: bool = False,
    may_have_nan: bool = True,
) -> bytes:
    """JSON text that reads back equal; dates, times, UUIDs, enumerations and dataclasses are written as orjson does.

    Args:
        default: makes something of what JSON does not have.
        indent: on many lines, by two columns.
        half_pairs: write half a surrogate pair as its escape, as only the run store does.
        may_have_nan: look for numbers that are not finite, which may take most of the time; False for what was read as
            JSON, which has none.

    Raises:
        ValueError: there is something in it that JSON does not have (NaN, an infinite number, half a surrogate pair, a
            key that is no string, another type), an integer of more than 4,300 digits, more than 600 levels, or itself.
    """
    try:
        data = orjson.dumps(value, default=default and _checked(default), option=orjson.OPT_INDENT_2 if indent else 0)
    except orjson.JSONEncodeError as error:
        is_for_orjson = not any(reason in str(error) for reason in _BEYOND_ORJSON)
        if is_for_orjson and not (half_pairs and _HALF_A_PAIR in str(error)):
            raise ValueError(str(error.__cause__ if isinstance(error.__cause__, ValueError) else error)) from None
    else:
        # orjson writes null for what is no finite number.
        if not may_have_nan or not _has_null(data) or _is_finite(value):
            return data
    return _written(value, default, indent=indent, half_pairs=half_pairs)


def encode_lines(rows: Sequence[Any], *, may_have_nan: bool = True) -> bytes:
    """JSON Lines: each row as `encode` writes it, a newline behind it and none inside.

    All in one go, which takes a fifth of the time that it takes row by row.

    Raises:
        ValueError: as `encode` does.
    """
    if not rows:
        return b""
    between = [_NEWLINE] * (2 * len(rows))
    between[::2] = rows
    try:
        data = orjson.dumps(between)
        is_whole = not may_have_nan or not _has_null(data) or _is_finite(rows)
    except orjson.JSONEncodeError:
        is_whole = False
    if not is_whole:
        return b"".join([encode(row, may_have_nan=may_have_nan) + b"\n" for row in rows])
    # SECURITY: a row has no newline, whatever is in it: within texts it is escaped, and orjson sets none between.
    return data[1:-3].replace(b",\n,", b"\n") + b"\n"


def _has_null(data: bytes) -> bool:
    """In steps: a long text without one is searched for tens of milliseconds."""
    return any(data.find(b"null", at, at + _STEP_BYTES + 3) >= 0 for at in range(0, len(data), _STEP_BYTES))


def _written(value: Any, default: Default | None, *, indent: bool, half_pairs: bool) -> bytes:
    """As the standard module writes it, which knows long integers, deep nesting and half surrogate pairs."""
    import json

    try:
        write = partial(
            json.dumps, _plain(value, default, None, 0), allow_nan=False, indent=2 if indent else None,
            separators=(",", ": " if indent else ":"),
        )  # fmt: skip
        text = write(ensure_ascii=False)
        try:
            return text.encode()
        except UnicodeEncodeError:
            if half_pairs:
                return write(ensure_ascii=True).encode()
            raise ValueError(_HALF_A_PAIR) from None
    except RecursionError:
        raise ValueError("nested too deeply for the stack it is written on") from None


def _loads(data: bytes, max_depth: int) -> Any:
    """As orjson reads it. The bound of the depth is its own: the text is read inside so many lists more."""
    if len(data) <= 2 * max_depth or data.count(b"[") + data.count(b"{") <= max_depth:
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
    import json

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


def _checked(default: Default) -> Default:
    def checked(item: Any) -> Any:
        made = default(item)
        if not _is_finite(made):
            raise ValueError(f"{made!r} of a {type(item).__name__}, which JSON does not have")
        return made

    return checked


def _is_finite(value: Any) -> bool:
    """Whether every number in a value that orjson has written is finite."""
    containers: list[Any] = [(value,)]
    while containers:
        item = containers.pop()
        for child in item.values() if item.__class__ is dict else _children(item):
            kind = child.__class__
            if kind is float:
                if not math.isfinite(child):
                    return False
            elif kind not in _LEAVES:
                containers.append(child)
    return True


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, (list, tuple)):
        return value
    inner = _inner(value)
    return () if inner is None else (inner,)


def _plain(value: Any, default: Default | None, place: _Place, depth: int) -> Any:
    """The value in the types that the standard module writes, under orjson's rules.

    Raises:
        ValueError: something in it has no JSON.
    """
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) >= _FIRST_TOO_LONG:
            raise ValueError(f"{_pointer(place)} is an integer of more than {MAX_DIGITS:,} digits")
        return value
    if type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{_pointer(place)} is {value!r}, which JSON does not have")
        return value
    if depth == MAX_DEPTH:
        raise ValueError(f"Recursion limit reached: nested deeper than {MAX_DEPTH} levels, or in itself")
    if isinstance(value, dict):
        fields: dict[str, Any] = {}
        for key, child in value.items():
            if not isinstance(key, str):
                raise ValueError("Dict key must be str")
            fields[key] = _plain(child, default, (place, key), depth + 1)
        return fields
    if isinstance(value, list) or type(value) is tuple:
        items = []
        for index, child in enumerate(value):
            items.append(_plain(child, default, (place, index), depth + 1))
        return items
    inner = _inner(value)
    if inner is None:
        try:
            return orjson.loads(orjson.dumps(value))
        except orjson.JSONEncodeError as error:
            if default is None:
                raise ValueError(str(error)) from None
        inner = default(value)
    return _plain(inner, default, place, depth + 1)


def _inner(value: Any) -> Any:
    """What orjson writes of an enumeration or a dataclass; None of anything else."""
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    return None


def _pointer(place: _Place) -> str:
    keys: list[str] = []
    while place is not None:
        place, key = place
        keys.append(str(key).replace("~", "~0").replace("/", "~1")[:100])
    return "".join(f"/{key}" for key in reversed(keys)) or "the value"
