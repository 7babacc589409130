"""The one JSON codec of the host: strict and exact whatever the numbers, linear, the same depth both ways."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import re
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wasmexec.rows.json_text import MAX_DEPTH, decode, encode, encode_lines

BIG = b"1" + b"0" * 29
CONTROL: list[Any] = [0, -(2**63), 2**64 - 1, 1.5, -0.0, "1" * 5000, "\U0001f600\0", None, True, [], {}, {"a": [{}]}]

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
big_integers = st.integers(min_value=2**64) | st.integers(max_value=-(2**63) - 1)


def refusal(data: bytes, max_depth: int = MAX_DEPTH) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        decode(data, max_depth=max_depth)
    return str(caught.value)


def not_written(value: Any) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        encode(value)
    return str(caught.value)


@pytest.mark.parametrize("value", CONTROL)
def test_what_json_has_reads_back_equal(value: Any) -> None:
    for wrapped in (value, [value], [value, 10**30]):
        assert repr(decode(encode(wrapped))) == repr(wrapped)


@settings(deadline=None)
@given(values)
def test_any_value_reads_back_equal(value: Any) -> None:
    assert repr(decode(encode(value))) == repr(value)


@pytest.mark.parametrize(
    "digits",
    ["18446744073709551616", "-9223372036854775809", "1" * 19, "-" + "1" * 19, "7" * 308, "9" * 4300, "-" + "9" * 4300],
)
def test_integers_are_exact(digits: str) -> None:
    assert str(decode(digits.encode())) == digits
    assert encode(decode(digits.encode())) == digits.encode()


NO_JSON: dict[str, bytes] = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "overflow": b"1e400",
    "overflow below zero": b"-1e309",
    "overflow of many digits": b"9" * 400 + b".5",
    "overflow by exponent of many digits": b"1e" + b"9" * 500,
    "overflow by many digits and an exponent": b"1" * 305 + b"e5",
    "half a pair": b'"\\ud800"',
    "half a pair and text": b'"\\udc00x"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "not UTF-8": b'"\xff"',
    "UTF-16": "[1]".encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf1",
    "two values": b"1 2",
    "trailing comma": b"[1,]",
    "leading zero": b"01",
    "many leading zeros": b"0" * 400,
    "plus": b"+1",
    "point at the end": b"1.",
    "line feed in a string": b'"a\nb"',
    "single quotes": b"'a'",
    "comment": b"1 // one",
    "nothing": b"",
    "spaces": b" " * 1000,
    "key without quotes": b"{a:1}",
    "other digits": "\N{ARABIC-INDIC DIGIT ONE}".encode(),
}


@pytest.mark.parametrize("name", NO_JSON)
def test_what_is_no_json_is_refused_whatever_stands_beside_it(name: str) -> None:
    data = NO_JSON[name]
    assert refusal(data)
    for beside in (b"1", BIG, b"9" * 400):
        assert decode(b"[1," + beside + b"]") == [1, int(beside)]
        assert refusal(b"[" + data + b"," + beside + b"]")
        assert refusal(b'{"a":' + beside + b',"b":' + data + b"}")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='[]{},:"\\u0123456789eE+-. truefalsn', max_size=60).map(str.encode))
def test_any_text_has_the_verdict_of_orjson_with_or_without_a_big_integer(data: bytes) -> None:
    assume(not re.search(rb"[0-9]{19}", data))

    def verdict(read: Callable[[bytes], Any], text: bytes) -> str:
        try:
            return repr(read(text))
        except ValueError:
            return "refused"

    assert verdict(decode, data) == verdict(orjson.loads, data)
    beside = verdict(orjson.loads, b"[%b,7777777]" % data).replace("7777777", BIG.decode())
    assert verdict(decode, b"[%b,%b]" % (data, BIG)) == beside


@settings(deadline=None)
@given(st.integers(0, 2000), st.sampled_from([b"1", BIG, b"null"]), st.integers(1, 1000))
def test_the_depth_is_bounded_alike(depth: int, inner: bytes, bound: int) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        text = opening * depth + inner + closing * depth
        if depth > bound:
            assert "nested deeper" in refusal(text, max_depth=bound) or "stack" in refusal(text, max_depth=bound)
        elif depth < 350 or (depth <= MAX_DEPTH and inner != BIG):
            # Deeper ones are as deep as the stack of the standard module lets them be.
            assert encode(decode(text, max_depth=bound)) == text


@pytest.mark.parametrize("text", [b"1],[2", b"1" + b"]" * 770 + b"," + b"[" * 770 + b"2", b"]" * 770 + b"[" * 770])
def test_text_that_closes_other_brackets_than_its_own_is_refused(text: bytes) -> None:
    padded = b" " * 1000 + text
    assert refusal(padded)
    assert refusal(padded + BIG)


def test_what_is_refused_says_where() -> None:
    assert refusal(b'[1,\n{"a": NaN}]') == "unexpected character, expected a JSON value: line 2 column 7 (char 10)"
    assert refusal(b"[" * 601 + b"]" * 601) == "nested deeper than 600 levels at character 601"
    assert refusal(b"[" + b"1" * 4301 + b"]") == (
        "integer of 4,301 digits, at most 4,300 are read: 11111111111111111111..."
    )


@pytest.mark.timing
def test_hostile_text_takes_linear_time() -> None:
    started = time.process_time()
    for text in (b"9" * 10**6, b"[" * 10**6, b'{"a":' * 10**5, b"1" * 10**6 + b"e5", b"-" * 10**6, b"0" * 10**6):
        assert refusal(text)
    assert decode(b"0." + b"1" * 10**6) == 1 / 9
    assert len(decode(b"[" + b",".join([b"9" * 299] * 10_000) + b"]")) == 10_000
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "the value is nan, which JSON does not have"),
        ([None, {"a/b": [1, math.inf]}], "/1/a~1b/1 is inf, which JSON does not have"),
        ([10**30, -math.inf], "/1 is -inf, which JSON does not have"),
        ([10**4300], "/0 is an integer of more than 4,300 digits"),
        ({1: 2}, "Dict key must be str"),
        ([{1: 2}, 10**30], "Dict key must be str"),
        ({1, 2}, "Type is not JSON serializable: set"),
        ([10**30, {1}], "Type is not JSON serializable: set"),
        (["\ud800"], "str is not valid UTF-8: surrogates not allowed"),
        (["\ud800", 10**30], "str is not valid UTF-8: surrogates not allowed"),
        ({"\udfff": 10**30}, "str is not valid UTF-8: surrogates not allowed"),
    ],
)
def test_what_json_does_not_have_is_not_written(value: Any, message: str) -> None:
    assert not_written(value) == message


def test_a_value_inside_itself_is_not_written() -> None:
    value: list[Any] = [1]
    value.append(value)
    assert not_written(value) == "Recursion limit reached: nested deeper than 600 levels, or in itself"
    value[0] = 10**30
    assert not_written(value) == "Recursion limit reached: nested deeper than 600 levels, or in itself"


class Colour(enum.Enum):
    RED = 1.5
    LARGE = 10**30


@dataclasses.dataclass
class Point:
    x: Any


def test_other_types_are_written_alike_beside_a_big_integer() -> None:
    value = [datetime.date(2024, 2, 29), datetime.time(1, 2), Colour.RED, Point(3), (1, None)]
    expected = ["2024-02-29", "01:02:00", 1.5, {"x": 3}, [1, None]]
    assert json.loads(encode(value)) == expected
    assert json.loads(encode([*value, 10**30])) == [*expected, 10**30]
    assert json.loads(encode([Point(Colour.LARGE)])) == [{"x": 10**30}]
    assert not_written([Point([math.nan])]) == "/0/x/0 is nan, which JSON does not have"


def test_what_default_makes_is_looked_at_too() -> None:
    assert encode([Decimal(3)], default=int) == b"[3]"
    assert encode([Decimal(10) ** 30], default=int) == b"[1" + b"0" * 30 + b"]"
    with pytest.raises(ValueError, match="nan of a Decimal, which JSON does not have"):
        encode([Decimal("nan")], default=float)
    with pytest.raises(ValueError, match=r"Type is not JSON serializable: decimal\.Decimal"):
        encode([Decimal(3)], default=lambda item: {}[item])


@settings(deadline=None)
@given(st.lists(values, max_size=5), big_integers)
def test_values_pass_the_same_beside_a_big_integer(rows: list[Any], big: int) -> None:
    alone, beside = decode(encode(rows)), decode(encode([*rows, big]))
    assert repr(beside) == repr([*alone, big])


@settings(deadline=None)
@given(st.text(st.characters(codec=None), max_size=20), st.booleans())
def test_half_surrogate_pairs_are_kept_where_they_are_asked_for_only(text: str, big: bool) -> None:
    value = [text, "\\ud800", 10**30 if big else 1]
    assert decode(encode(value, half_pairs=True), half_pairs=True) == value
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        assert not_written(value) == "str is not valid UTF-8: surrogates not allowed"
        assert "surrogate" in refusal(encode(value, half_pairs=True))
    for wrong in (b'["\\ud800", NaN]', b'["\\ud800", 1e400]', b'["\\ud800" 1]', b'["\\ud800\xff"]'):
        with pytest.raises(ValueError, match=r"."):
            decode(wrong, half_pairs=True)


def test_what_is_nested_deeper_than_orjson_writes_is_written() -> None:
    for depth in (254, 255, 512, 600):
        value = orjson.loads(b"[" * depth + b"1e16" + b"]" * depth)
        assert decode(encode(value)) == value
        assert encode(value, indent=True).count(b"\n") == 2 * depth
    assert "nested deeper than 600 levels" in not_written(orjson.loads(b"[" * 601 + b"]" * 601))


def nested(levels: int) -> Any:
    return orjson.loads(b"[" * levels + b"]" * levels)


row_lists = st.lists(st.dictionaries(st.text(alphabet='ab,\n\\"[{\u2028'), values, max_size=4), max_size=6)


@settings(deadline=None)
@given(row_lists)
def test_many_rows_at_once_are_written_as_each_by_itself(found: list[dict[str, Any]]) -> None:
    expected = b"".join([encode(row) + b"\n" for row in found])
    assert encode_lines(found) == encode_lines(found, may_have_nan=False) == encode_lines(tuple(found)) == expected
    assert [decode(line) for line in expected.split(b"\n")[:-1]] == found


@pytest.mark.parametrize(
    "odd",
    [
        {"a": math.nan}, {"a": [-math.inf]}, {"a": "\ud800"}, {1: 2}, {"a": {1, 2}}, {"a": 10**4300},
        nested(MAX_DEPTH + 1),
    ],
    ids=["NaN", "infinity", "half a pair", "key", "set", "digits", "depth"],
)  # fmt: skip
def test_a_row_that_has_no_json_is_refused_among_others_as_by_itself(odd: Any) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        encode_lines([{"a": None}, odd, {"b": 1}])
    assert str(caught.value) == not_written(odd)


def test_deep_rows_and_long_integers_are_written_among_others() -> None:
    found = [{"a": 1e-5}, {"deep": nested(MAX_DEPTH - 1)}, {}, {"big": 2**70}, {"b": None}]
    assert [decode(line) for line in encode_lines(found).splitlines()] == found
    assert b'{"a":0.00001}\n' in encode_lines(found)
