"""What the caller gives is checked and encoded before any guest exists."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from wasmexec import ConfigError, InputError, Limits, StatementSyntaxError
from wasmexec._execution.request import check_request, run_start


def request(statement: str = "return []", *inputs: object, **options: Any) -> tuple[dict[str, Any], list[Any]]:
    """Head and inputs as the guest would read them."""
    checkpoint = options.pop("checkpoint", None)
    conditions: dict[str, Any] = {"local_variables": None, "secrets": None, "limits": Limits(), **options}
    built = run_start(statement, **conditions).request(inputs or (None,), checkpoint)
    head = json.loads(built.with_text().head)
    blob = b"".join(built.blobs)
    return head, [None if place is None else json.loads(blob[place[0] : sum(place)]) for place in head["inputs"]]


def test_a_run_request_carries_everything() -> None:
    head, inputs = request(
        "return INPUT_DATA", [{"a": 1}], None, {"b": "ž"}, checkpoint={"c": 1}, local_variables={"X": 1},
        secrets={"KEY": "s"}, limits=Limits(output_bytes=99, output_rows=98, output_keys=97, output_depth=96),
    )  # fmt: skip
    assert inputs == [[{"a": 1}], None, {"b": "ž"}]
    del head["inputs"]
    assert head == {
        "kind": "run", "statement": "return INPUT_DATA", "checkpoint": {"c": 1}, "locals": {"X": 1, "KEY": "s"},
        "max_output_bytes": 99, "max_output_rows": 98, "max_output_keys": 97, "max_output_depth": 96,
    }  # fmt: skip


def test_a_check_request_carries_the_statement() -> None:
    built = check_request('return "\n"')
    assert json.loads(built.head) == {"kind": "check", "statement": 'return "\n"'}


@pytest.mark.parametrize("value", [10**30, {"a": [-(10**20)]}, 2**64 - 1, 1.5, "text", True, [], {}])
def test_any_json_value_is_an_input(value: object) -> None:
    assert request("", value)[1] == [value]


def test_dates_become_text() -> None:
    assert request("", [datetime.date(2024, 2, 29)])[1] == [["2024-02-29"]]


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_bytes_are_taken_as_json_text(make: Any) -> None:
    assert request("", make(b'[{"a": 1}]'))[1] == [[{"a": 1}]]


MISSING = "; write None for a missing value (df.astype(object).where(df.notna(), None))"
REFUSED_INPUTS: list[tuple[object, str]] = [
    (b"[\xff]", "INPUT_DATA is not UTF-8: byte 0xff at position 1"),
    ("\ud800", "INPUT_DATA is not JSON: str is not valid UTF-8: surrogates not allowed"),
    ({1: 2}, "INPUT_DATA is not JSON: Dict key must be str"),
    ({1, 2}, "INPUT_DATA is not JSON: Type is not JSON serializable: set"),
    ([{"a": float("inf")}], "INPUT_DATA is not JSON: /0/a is inf, which JSON does not have"),
    ([{"a": None}, {"a": float("nan")}], f"INPUT_DATA is not JSON: /1/a is nan, which JSON does not have{MISSING}"),
    ([10**30, float("nan")], "INPUT_DATA is not JSON: /1 is nan, which JSON does not have" + MISSING),
]


@pytest.mark.parametrize(("value", "message"), REFUSED_INPUTS)
def test_an_input_that_is_no_json_is_refused(value: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        request("", value)
    assert caught.value.message == message


def test_the_second_input_is_named() -> None:
    with pytest.raises(InputError, match=r"^INPUT_DATA2 is not UTF-8"):
        request("", None, b"\xff")


def test_a_cycle_in_an_input_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(InputError, match=r"^INPUT_DATA is not JSON: Recursion limit reached"):
        request("", loop)


def test_inputs_may_be_as_large_as_the_limit_together_and_no_larger() -> None:
    limits = Limits(input_bytes=20)
    request("", "x" * 8, "y" * 8, limits=limits)
    with pytest.raises(InputError) as caught:
        request("", "x" * 8, "y" * 9, limits=limits)
    assert caught.value.message == "the input has 21 bytes of JSON; at most 20 are allowed (limit input_bytes)"


def test_a_statement_that_is_no_text_is_a_syntax_error_with_its_place() -> None:
    with pytest.raises(StatementSyntaxError) as caught:
        request("a = 1\nb = '\udfff'")
    assert (caught.value.line, caught.value.column, caught.value.rule) == (2, 6, "syntax")
    assert caught.value.message == "the statement is not valid text: lone surrogate U+DFFF"


def test_a_statement_that_is_no_str_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"^the statement must be a str, not bytes$"):
        request(b"return []")  # type: ignore[arg-type]


NAME_RULE = "the name must be an identifier without leading `__`"
REFUSED_OPTIONS: list[tuple[dict[str, object], str]] = [
    ({"checkpoint": {1: 2}}, "checkpoint: Dict key must be str"),
    ({"local_variables": {"X": []}}, "local variable X: expected a primitive value, got list"),
    ({"local_variables": {"a b": 1}}, f"local variable 'a b': {NAME_RULE}"),
    ({"local_variables": {"__class__": 1}}, f"local variable '__class__': {NAME_RULE}"),
    ({"local_variables": {1: 1}}, f"local variable 1: {NAME_RULE}"),
    ({"local_variables": {"X": "\ud800"}}, "local variables: str is not valid UTF-8: surrogates not allowed"),
    ({"secrets": {"X": 1}}, "secret X: expected a str or a Secret, got int"),
    ({"secrets": {"X": "a"}, "local_variables": {"X": 1}}, "secret X: a local variable has the same name"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), REFUSED_OPTIONS)
def test_an_option_that_makes_no_sense_is_refused_by_name(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        request("", **options)
    assert caught.value.message == message
