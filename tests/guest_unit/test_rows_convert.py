"""rows.py: a value has one JSON form that can be read back, or is refused with what to write instead (contract C5)."""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import re
import types
import uuid
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wasmexec_guest import rows
from wasmexec_guest.rows import OutputRefused, convert, plain

_DURATION = re.compile(r"P(-?\d+)DT(\d+)H(\d+)M(\d+)(?:\.(\d{1,9}))?S")


def encoded(value: object) -> Any:
    """A value as the rows have it."""
    return json.loads(bytes(rows.encode([{"v": value}], has_returned=True, max_bytes=10**6).text))[0]["v"]


@given(st.decimals())
@example(decimal.Decimal("0.1"))
@example(decimal.Decimal("1e400"))
@example(decimal.Decimal("9007199254740993"))
@example(decimal.Decimal("18446744073709551616"))
@example(decimal.Decimal("-0"))
@example(decimal.Decimal("sNaN"))
@example(decimal.Decimal("1E+999999"))
def test_a_decimal_is_a_number_only_if_none_of_it_is_lost(value: decimal.Decimal) -> None:
    found = convert(value)
    if value.is_nan():
        assert found is None
    elif value.is_infinite():
        assert found == float(value)
    elif isinstance(found, str):
        assert decimal.Decimal(found) == value
        assert not math.isfinite(float(value)) or decimal.Decimal(float(value)) != value
    else:
        assert isinstance(found, int | float)
        assert decimal.Decimal(found) == value


@given(st.timedeltas())
def test_a_duration_can_be_read_back(value: datetime.timedelta) -> None:
    match = _DURATION.fullmatch(str(convert(value)))
    assert match is not None
    days, hours, minutes, seconds = map(int, match.groups()[:4])
    assert (hours // 24, minutes // 60, seconds // 60) == (0, 0, 0)
    nanoseconds = int((match[5] or "0").ljust(9, "0"))
    assert datetime.timedelta(days, seconds, nanoseconds // 1000, 0, minutes, hours) == value


@given(st.datetimes(timezones=st.none() | st.just(datetime.UTC)) | st.dates() | st.times())
def test_a_date_or_time_can_be_read_back(value: Any) -> None:
    assert type(value).fromisoformat(convert(value)) == value


@given(st.binary(), st.sampled_from([bytes, bytearray, memoryview]))
def test_bytes_are_base64(value: bytes, kind: Any) -> None:
    assert base64.b64decode(str(convert(kind(value))), validate=True) == value


class Colour(enum.Enum):
    """Members of every kind."""

    TEXT = "red"
    NUMBER = 1
    NOTHING = None
    MANY = ("a", 1)
    DAY = datetime.date(2024, 1, 2)


class Right(enum.IntFlag):
    """Flags."""

    READ = 1
    WRITE = 2


class Number(int):
    """An int of a class of its own."""


class Name(str):
    """A str of a class of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "not asked"


class Share(float):
    """A float of a class of its own."""


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (Colour.TEXT, "red"),
        (Colour.NUMBER, 1),
        (Colour.NOTHING, None),
        (Colour.MANY, ["a", 1]),
        (Colour.DAY, "2024-01-02"),
        (Right.READ | Right.WRITE, 3),
        (Number(7), 7),
        (Number(2**70), 2**70),
        (Name("n"), "n"),
        (Share(0.5), 0.5),
        (Share("nan"), None),
        (Point(1, 2), [1, 2]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.defaultdict(int, a=1), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime.datetime(2024, 1, 2, 3, 4, 5, 6), "2024-01-02T03:04:05.000006"),
        ([datetime.date(2024, 1, 2), {"k": b"a"}], ["2024-01-02", {"k": "YQ=="}]),
    ],
)
def test_a_value_becomes_this(value: object, form: object) -> None:
    assert encoded(value) == form
    assert type(encoded(value)) is type(form)


@dataclasses.dataclass
class Record:
    """A dataclass."""

    x: int = 1


class Odd:
    """Its repr breaks."""

    def __repr__(self) -> str:
        raise RuntimeError


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ({1, 2}, "sorted(...)"),
        (frozenset(), "sorted(...)"),
        (1j, "str(...)"),
        (fractions.Fraction(1, 3), "float(...)"),
        (iter([]), "list(...)"),
        (range(3), "list(...)"),
        (collections.deque(), "list(...)"),
        (len, "call it"),
        (coroutine, "call it"),
        (Record(), "a dict of its fields"),
        (object(), "text, a number"),
        (Odd(), "text, a number"),
    ],
)
def test_a_value_without_a_form_is_refused_with_its_place_and_advice(value: object, advice: str) -> None:
    with pytest.raises(OutputRefused) as caught:
        rows.encode([{"a": 1}, {"b": [0, value]}], has_returned=True, max_bytes=1000)
    record = caught.value.as_error()
    assert (record["kind"], record["pointer"], record["rule"]) == ("output", "/1/b/1", "unsupported")
    assert advice in str(record["message"])


@pytest.mark.parametrize(
    "value",
    [None, {}, {"a": 1}, (), ({},), "[]", b"[]", 1, iter([]), range(3), object(), coroutine, Odd(), {1}, Record()],
)
def test_an_output_that_is_no_list_is_refused_and_its_type_named(value: object) -> None:
    with pytest.raises(OutputRefused) as caught:
        rows.encode(value, has_returned=True, max_bytes=1000)
    assert caught.value.rule == "list"
    assert len(caught.value.value) <= 80
    assert ("None" if value is None else type(value).__name__) in str(caught.value)


def test_a_statement_that_fell_off_its_end_is_told_so() -> None:
    with pytest.raises(OutputRefused, match="return") as caught:
        rows.encode(None, has_returned=False, max_bytes=1000)
    assert caught.value.rule == "missing-return"


@given(st.recursive(st.none() | st.integers() | st.text() | st.binary() | st.floats(), st.lists, max_leaves=8))
def test_a_short_repr_is_short_and_never_fails(value: object) -> None:
    assert len(rows.short_repr(value)) <= 80


@given(
    st.lists(st.dictionaries(st.sampled_from('aä"\0'), st.none() | st.booleans() | st.integers() | st.text(max_size=5)))
)
def test_plain_rows_come_out_as_they_are(value: list[dict[str, Any]]) -> None:
    found = rows.encode(value, has_returned=True, max_bytes=10**6)
    assert (json.loads(bytes(found.text)), found.row_count) == (value, len(value))


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([]) | st.just({}) | st.just(()))
def test_what_is_plain_is_not_converted(value: object) -> None:
    assert plain(value) is value
