"""From the returned value to the JSON of the rows (contract C5), and what to say when that is not possible.

The C encoder knows exact str, int, float, bool, None, dict, list and tuple; every other value comes through `convert`.
What it decides: dates and times become ISO 8601, durations ISO 8601 durations, `Decimal` a number when a double (or a
64-bit integer) holds it exactly and else a string, bytes Base64, NaT and NA null, an Enum its value, a UUID its text, a
nested numpy array a list. Sets, iterators, Series and frames are refused with the fix: order and shape are the user's
choice.
"""

from __future__ import annotations

import ast
import base64
import dataclasses
import datetime
import decimal
import enum
import fractions
import reprlib
import sys
import types
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import _wasmexec

from . import errors, origin, rowadvice, scopehints, texts
from .origin import Origin

Converter = Callable[[Any], object]

MAX_SHOWN_CHARS = 200
MAX_DEPTH = 512
"""Levels of lists and objects, the list of rows included; `DEPTH_MAX` in `rows.c`."""

_MISSING_RETURN_MESSAGE = (
    "the statement ended without a return: its last line must return a list of objects, [] when there are no rows"
)


class OutputRefused(Exception):
    """The returned value cannot become rows; the fields are those of the done frame's error."""

    def __init__(self, pointer: str, rule: str, value: str, message: str) -> None:
        super().__init__(message)
        self.pointer = pointer
        self.rule = rule
        self.value = value

    def as_error(self) -> dict[str, object]:
        """The error record of the done frame."""
        return {
            "kind": "output", "pointer": self.pointer, "rule": self.rule, "value": self.value, "message": str(self),
        }  # fmt: skip


class TooManyRows(Exception):
    """More rows were returned than the limit allows; `used` says how many."""

    def __init__(self, used: int, limit: int) -> None:
        super().__init__(f"{used} rows, at most {limit}")
        self.used = used
        self.limit = limit


def _duration(days: int, seconds: int, nanoseconds: int) -> str:
    """An ISO 8601 duration, as pandas writes it; only the days can be negative."""
    fraction = f".{nanoseconds:09}".rstrip("0").rstrip(".")
    return f"P{days}DT{seconds // 3600}H{seconds // 60 % 60}M{seconds % 60}{fraction}S"


def _from_timedelta(value: datetime.timedelta) -> str:
    return _duration(value.days, value.seconds, value.microseconds * 1000)


def _from_decimal(value: decimal.Decimal) -> object:
    if value.is_nan():
        return None
    if value.is_infinite():
        return float(value)
    if value.adjusted() < 20 and value == value.to_integral_value() and -(2**63) <= value < 2**63:
        return int(value)
    number = float(value)
    return number if decimal.Decimal(number) == value else str(value)


def _from_bytes(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(value).decode("ascii")


def _to_null(value: object) -> None:
    return None


def _isoformat(value: Any) -> object:
    return value.isoformat()


_converters: dict[type, Converter] = {
    datetime.datetime: _isoformat,
    datetime.date: _isoformat,
    datetime.time: _isoformat,
    datetime.timedelta: _from_timedelta,
    decimal.Decimal: _from_decimal,
    bytes: _from_bytes,
    bytearray: _from_bytes,
    memoryview: _from_bytes,
    uuid.UUID: str,
    enum.Enum: lambda member: plain(member.value),
    str: str.__str__,
    float: float.__float__,
    int: int.__index__,
    dict: dict,
    list: list,
    tuple: list,
    types.MappingProxyType: dict,
}

_fixes: dict[type, str] = {
    set: "a set has no order: return sorted(...) or list(...) of it",
    frozenset: "a set has no order: return sorted(...) or list(...) of it",
    complex: "JSON has no complex numbers: return its parts or str(...)",
    fractions.Fraction: "return float(...) or str(...) of it",
    types.CoroutineType: "await it first",
    types.FunctionType: "call it, or leave it out",
    types.BuiltinFunctionType: "call it, or leave it out",
    types.MethodType: "call it, or leave it out",
}


class _Repr(reprlib.Repr):
    """Masks each text before it is cut."""

    def repr_str(self, text: str, level: int) -> str:
        return super().repr_str(texts.for_cut(text, self.maxstring), level)

    def repr_int(self, number: int, level: int) -> str:
        return self._cut(repr(number), self.maxlong)

    def repr_instance(self, value: object, level: int) -> str:
        return self._cut(repr(value), self.maxother)

    @staticmethod
    def _cut(text: str, most: int) -> str:
        text = texts.for_cut(text, most)
        if len(text) <= most:
            return text
        head = max(0, (most - 3) // 2)
        tail = max(0, most - 3 - head)
        return f"{text[:head]}...{text[len(text) - tail :]}"


_repr = _Repr()
_SHOWN_TYPES = frozenset((str, bytes, int, float, complex, bool, type(None), dict, list, tuple, set, frozenset))
_PLAIN_TYPES = frozenset((str, int, float, bool, type(None), dict, list, tuple))


def plain(value: object) -> object:
    """`value` as one of the types that the C encoder knows."""
    return value if type(value) in _PLAIN_TYPES else convert(value)


def convert(value: object) -> object:
    """The JSON-able form of a value that is none of the plain types; what it contains may need `convert` again.

    Raises: TypeError: it has none; the message says what to do instead.
    """
    kind = type(value)
    converter = _converters.get(kind)
    if converter is not None:
        return converter(value)
    for base in kind.__mro__:
        converter = _converters.get(base)
        if converter is not None:
            return converter(value)
    return _refuse(value)


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"{_name(type(value))} has no JSON form: {_fix(value)}")


def _name(kind: type) -> str:
    name = texts.guarded_text(lambda: kind.__qualname__, "object").removeprefix(f"{errors.FILENAME}.<locals>.")
    module = texts.guarded_text(lambda: kind.__module__, "")
    return name if module in ("builtins", "__main__", "") else f"{module.partition('.')[0]}.{name}"


def _fix(value: object) -> str:
    for base in type(value).__mro__:
        if base in _fixes:
            return _fixes[base]
    if hasattr(type(value), "getvalue"):
        return "return what it holds"
    if isinstance(value, Mapping):
        return "return dict(...) of it"
    if hasattr(type(value), "__next__") or hasattr(type(value), "__iter__"):
        return "return list(...) of it"
    if dataclasses.is_dataclass(value):
        return "return a dict of its fields"
    return "return text, a number, a list or a dict instead"


def prepare() -> None:
    """Learn the types of numpy and pandas, if this image has them. Called once, before the snapshot."""
    numpy: Any = sys.modules.get("numpy")
    pandas: Any = sys.modules.get("pandas")
    if numpy is not None:

        def from_nanoseconds(value: Any) -> object:
            if numpy.isnat(value):
                return None
            unit = numpy.datetime_data(value.dtype)[0]
            if unit in ("generic", "Y", "M"):
                raise TypeError(f"numpy.timedelta64 of unit {unit!r} has no fixed length: return int(...) of it")
            days, rest = divmod(int(value.astype("timedelta64[ns]").astype("int64")), 86_400 * 10**9)
            return _duration(days, *divmod(rest, 10**9))

        _converters[numpy.generic] = lambda value: plain(value.item())
        _converters[numpy.longdouble] = float

        def from_datetime(value: Any) -> object:
            moment = value.item()
            # Its own text where Python has no moment for it: finer than microseconds, before the year 1 or after 9999.
            return str(value) if isinstance(moment, int) else plain(moment)

        _converters[numpy.datetime64] = from_datetime
        _converters[numpy.timedelta64] = from_nanoseconds
        _converters[numpy.ndarray] = lambda value: plain(value.tolist())
        _converters[numpy.complexfloating] = _refuse
        _converters[numpy.void] = _refuse
        _fixes[numpy.complexfloating] = _fixes[complex]
        _fixes[numpy.void] = "return its fields as a dict"
    if pandas is not None:
        _converters[type(pandas.NaT)] = _to_null
        _converters[type(pandas.NA)] = _to_null
        _converters[pandas.Timestamp] = _isoformat
        _converters[pandas.Timedelta] = _isoformat
        _converters[pandas.Period] = str
        _fixes[pandas.DataFrame] = 'return df.to_dict("records") of it'
        _fixes[pandas.Series] = "return series.tolist() or series.to_dict() of it"
        _fixes[pandas.Index] = "return index.tolist() of it"
        _fixes[pandas.Interval] = "return str(...) or its two ends"


def _ending_hint() -> str:
    source = errors.source_text()
    more = scopehints.of_ending(ast.parse(source).body, source)
    return f"; {more}" if more else ""


def _mended(advise: Callable[[Origin], str]) -> str:
    """`: write ...`, or nothing if the statement's own classes break on the way."""
    line = texts.guarded_text(lambda: advise(origin.find(errors.source_text())), "")
    return f": write `{line}`" if line else ""


def _mend(rows: list[object], pointer: str, rule: str) -> str:
    """How to mend what the encoder refused at `pointer`, as the end of its message."""
    tokens = pointer.split("/")[1:]
    is_row = len(tokens) == 1
    match rule:
        case "object":
            return _mended(lambda origin: rowadvice.instead_of_rows(rows, int(tokens[0]), origin))
        case "key":
            return _mended(lambda origin: rowadvice.instead_of_key(_keys(rows, tokens), is_row, origin))
        case "unsupported" if len(tokens) == 2:
            return _mended(lambda origin: rowadvice.instead_of_cell(_raw(rows, tokens), _unescaped(tokens[1]), origin))
        case "finite":
            return _mended(lambda origin: rowadvice.instead_of_infinity(len(tokens) == 2, origin))
    return ""


def _raw(value: Any, tokens: list[str]) -> Any:
    """The value where a JSON pointer leads."""
    for token in tokens:
        value = plain(value)
        value = value[_unescaped(token)] if isinstance(value, dict) else value[int(token)]
    return value


def _keys(rows: list[object], tokens: list[str]) -> list[object]:
    """The keys of the dict where a JSON pointer leads."""
    found: Any = plain(_raw(rows, tokens))
    return list(found)


def _unescaped(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


def short_repr(value: object) -> str:
    """A repr of at most 80 characters; of classes that may have a slow or broken one, the name."""
    name = f"<{_name(type(value))}>"
    text = texts.guarded_text(lambda: _repr.repr(value), name) if type(value) in _SHOWN_TYPES else name
    text = texts.for_cut(text, 80)
    return text if len(text) <= 80 else text[:77] + "..."


def shown(value: object) -> str:
    """A repr of a refused value that costs little: of a large container and of a broken one, the name."""
    is_large = isinstance(value, list | tuple | dict | set | frozenset) and len(value) > 20
    name = f"<{_name(type(value))}>"
    if type(value) is str:
        value = texts.for_cut(value, MAX_SHOWN_CHARS)[:MAX_SHOWN_CHARS]
    text = name if is_large else texts.guarded_text(lambda: repr(value), name)
    text = texts.for_cut(text, MAX_SHOWN_CHARS)
    return text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "..."


class Encoded(NamedTuple):
    """Rows as JSON text; `has_wide_integers` when one of them does not fit into 64 bits."""

    text: memoryview
    row_count: int
    has_wide_integers: bool


def encode(
    value: object,
    *,
    has_returned: bool,
    max_bytes: int,
    max_rows: int = sys.maxsize,
    max_keys: int = sys.maxsize,
    max_depth: int = MAX_DEPTH,
) -> Encoded:
    """The returned value as rows. `has_returned` is False when the statement fell off its end.

    Raises:
        OutputRefused: `value` is no list of dicts, something in it has no JSON form, too many keys or too many levels.
        TooManyRows: there are more than `max_rows`.
        _wasmexec.OutputTooLarge: the JSON is longer than `max_bytes`.
    """
    if not has_returned:
        more = texts.guarded_text(_ending_hint, "")
        raise OutputRefused("", "missing-return", "None", _MISSING_RETURN_MESSAGE + more)
    if not isinstance(value, list):
        kind = "None" if value is None else _name(type(value))
        line = _mended(lambda origin: rowadvice.instead_of_value(value, origin))
        message = f"the statement returned {kind}, not a list of objects{line}"
        raise OutputRefused("", "list", short_repr(value), message)
    rows = value if type(value) is list else list(value)
    if len(rows) > max_rows:
        raise TooManyRows(len(rows), max_rows)
    try:
        text, has_wide_integers = _wasmexec.encode_rows(rows, convert, max_bytes, max_keys, max_depth)
    except _wasmexec.EncodeError as error:
        message = texts.shorten(str(error), errors.MAX_MESSAGE_CHARS) + _mend(rows, error.pointer, error.rule)
        pointer = texts.shorten(error.pointer, errors.MAX_MESSAGE_CHARS)
        raise OutputRefused(pointer, error.rule, shown(error.value), message) from None
    except RecursionError:
        raise OutputRefused("", "depth", short_repr(value), "the rows are nested too deeply") from None
    return Encoded(text, len(rows), has_wide_integers)
