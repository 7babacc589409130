"""What Python values become in JSON: contract C5, for inputs and for `step debug`; for rows of a statement the guest.

Dates and times become ISO 8601, durations ISO 8601 durations, `Decimal` a number when a double (or a 64-bit integer)
holds it exactly and else a string, bytes Base64, NaN, NaT and NA null, an Enum its value, a UUID its text, an array of
numpy a list. Sets, iterators, Series and frames are refused with the fix. The guest's half of this rule is
`wasmexec_guest/rows.py`; a test compares the two. Needs nothing but the standard library: `step debug` writes this
module into the files that it makes.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import math
import sys
import types
import uuid
from collections.abc import Callable
from typing import Any

MAX_DEPTH = 511
"""Levels of a row: with the list of rows around it as many as a statement may return."""
_NULLS = ("NaTType", "NAType")
_FIXES: dict[str, str] = {
    "set": "a set has no order: sorted(...) or list(...) of it",
    "frozenset": "a set has no order: sorted(...) or list(...) of it",
    "complex": "JSON has no complex numbers: its parts or str(...)",
    "Fraction": "float(...) or str(...) of it",
    "coroutine": "await it first",
    "function": "call it, or leave it out",
    "builtin_function_or_method": "call it, or leave it out",
    "method": "call it, or leave it out",
    "DataFrame": 'df.to_dict("records") of it',
    "Series": "series.tolist() or series.to_dict() of it",
    "Index": "index.tolist() of it",
    "Interval": "str(...) or its two ends",
}


class NotJson(ValueError):
    """A value has no JSON form: where, by its JSON pointer, and why."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{pointer}: {reason}" if pointer else reason)
        self.pointer = pointer
        self.reason = reason

    def below(self, key: object) -> NotJson:
        """The same, seen from the container that has it under a key or index."""
        return NotJson("/" + str(key).replace("~", "~0").replace("/", "~1") + self.pointer, self.reason)


def to_json(value: object, note_nan: Callable[[], object] | None = None, depth: int = 0) -> Any:
    """The value with nothing in it but what JSON has; `note_nan` is called for each NaN, which becomes null.

    Raises:
        NotJson: something in it has no JSON form.
    """
    kind = type(value)
    if kind in (str, int, bool, types.NoneType):
        return value
    if kind is float:
        return _number(value, note_nan)
    if depth >= MAX_DEPTH:
        raise NotJson("", f"nested deeper than {MAX_DEPTH} levels, or it contains itself")
    # Loops, not comprehensions or helpers: one frame a level leaves most of the stack to the caller.
    if isinstance(value, (dict, types.MappingProxyType)):
        fields: dict[str, Any] = {}
        for key, item in value.items():
            name = _key(key)
            try:
                fields[name] = to_json(item, note_nan, depth + 1)
            except NotJson as error:
                raise error.below(key) from None
        return fields
    if isinstance(value, (list, tuple)):
        items: list[Any] = []
        for index, item in enumerate(value):
            try:
                items.append(to_json(item, note_nan, depth + 1))
            except NotJson as error:
                raise error.below(index) from None
        return items
    return to_json(_plain(value, note_nan), note_nan, depth + 1)


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise NotJson(f"/{key!s:.100}", f"a key must be a str, not {type(key).__name__}")
    return str.__str__(key)


def _number(value: Any, note_nan: Callable[[], object] | None) -> float | None:
    if math.isnan(value):
        if note_nan is not None:
            note_nan()
        return None
    if math.isinf(value):
        raise NotJson("", f"{value} is not a finite number")
    return float.__float__(value)


def duration(days: int, seconds: int, nanoseconds: int) -> str:
    """An ISO 8601 duration, as pandas writes it; only the days can be negative."""
    fraction = f".{nanoseconds:09}".rstrip("0").rstrip(".")
    return f"P{days}DT{seconds // 3600}H{seconds // 60 % 60}M{seconds % 60}{fraction}S"


def from_decimal(value: decimal.Decimal, note_nan: Callable[[], object] | None = None) -> int | float | str | None:
    """A number if that is exact, else its text.

    Raises:
        NotJson: it is infinite.
    """
    if value.is_nan():
        return _number(math.nan, note_nan)
    if value.is_infinite():
        return _number(float(value), note_nan)
    if value.adjusted() < 20 and value == value.to_integral_value() and -(2**63) <= value < 2**63:
        return int(value)
    number = float(value)
    return number if decimal.Decimal(number) == value else str(value)


def _plain(value: Any, note_nan: Callable[[], object] | None) -> object:
    """The value as one that JSON has or that is nearer to it."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return _number(value, note_nan)
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, decimal.Decimal):
        return from_decimal(value, note_nan)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, uuid.UUID):
        return str(value)
    if type(value).__module__.partition(".")[0] in ("numpy", "pandas"):
        return _of_numpy(value, note_nan)
    if isinstance(value, datetime.timedelta):
        return duration(value.days, value.seconds, value.microseconds * 1000)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    raise _refused(value)


def _of_numpy(value: Any, note_nan: Callable[[], object] | None) -> object:
    """What numpy and pandas have, neither of which needs to be there."""
    numpy: Any = sys.modules.get("numpy")
    name = type(value).__name__
    if name in _NULLS:
        return None
    if name in ("Timestamp", "Timedelta"):
        return value.isoformat()
    if name == "Period":
        return str(value)
    if numpy is None or not isinstance(value, (numpy.generic, numpy.ndarray)):
        raise _refused(value)
    if isinstance(value, numpy.ndarray):
        return value.tolist()
    if isinstance(value, (numpy.complexfloating, numpy.void)):
        raise _refused(value)
    if isinstance(value, (numpy.datetime64, numpy.timedelta64)) and numpy.isnat(value):
        return None
    if isinstance(value, numpy.datetime64):
        moment = value.item()
        return str(value) if isinstance(moment, int) else moment
    if isinstance(value, numpy.timedelta64):
        unit = numpy.datetime_data(value.dtype)[0]
        if unit in ("generic", "Y", "M"):
            raise NotJson("", f"numpy.timedelta64 of unit {unit!r} has no fixed length: int(...) of it")
        days, rest = divmod(int(value.astype("timedelta64[ns]").astype("int64")), 86_400 * 10**9)
        return duration(days, *divmod(rest, 10**9))
    if isinstance(value, numpy.longdouble):
        return _number(float(value), note_nan)
    return value.item()


def _refused(value: object) -> NotJson:
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    name = kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"
    fix = next((_FIXES[base.__name__] for base in kind.__mro__ if base.__name__ in _FIXES), None)
    if fix is None:
        is_series = hasattr(kind, "__next__") or hasattr(kind, "__iter__")
        fix = "list(...) of it" if is_series else "text, a number, a list or a dict instead"
    return NotJson("", f"{name:.100} has no JSON form: {fix}")
