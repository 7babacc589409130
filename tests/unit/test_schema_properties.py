"""Column lists against a plain reading of contract C6, one value at a time, on generated columns and rows."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmexec.errors import OutputError
from wasmexec.schema import Schema
from wasmexec.schema.values import short_repr

NAMES = ("a", "b", "c/d")
SCALARS = ("text", "integer", "double", "boolean", "datetime", "base64", "json")
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, 1e300]),
    st.sampled_from(["", "x", "2036-10-16", "10/16/2036 09:22:33", "aGVsbG8="]),
    st.just([]),
    st.just({}),
)


def _columns(depth: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    kinds: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({"type": st.sampled_from(SCALARS)})
    if depth:
        nested = st.fixed_dictionaries({"type": st.sampled_from(("object", "table")), "columns": _columns(depth - 1)})
        kinds = st.one_of(kinds, nested)
    column = st.builds(
        lambda kind, name, allow_null: {**kind, "name": name, "allow_null": allow_null},
        kinds, st.sampled_from(NAMES), st.booleans(),
    )  # fmt: skip
    return st.lists(column, min_size=1, max_size=3, unique_by=lambda item: str(item["name"]))


def _rows(depth: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    values: st.SearchStrategy[Any] = VALUES
    if depth:
        rows = _rows(depth - 1)
        values = st.one_of(values, rows, rows.filter(bool).map(lambda some: some[0]))
    return st.lists(st.dictionaries(st.sampled_from((*NAMES, "extra")), values, max_size=4), max_size=4)


GOOD = {
    "text": "x", "integer": 1, "double": 0.5, "boolean": True, "datetime": "2036-10-16", "base64": "aGVsbG8=",
    "json": [1],
}  # fmt: skip


def _fitting(columns: list[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    def value(column: dict[str, Any]) -> st.SearchStrategy[Any]:
        if column["type"] == "table":
            good: st.SearchStrategy[Any] = _fitting(column["columns"])
        elif column["type"] == "object":
            good = _fitting(column["columns"]).map(lambda rows: rows[0])
        else:
            good = st.just(GOOD[column["type"]])
        return st.one_of(good, st.none()) if column["allow_null"] else good

    required = {column["name"]: value(column) for column in columns if not column["allow_null"]}
    optional = {column["name"]: value(column) for column in columns if column["allow_null"]}
    return st.lists(st.fixed_dictionaries(required, optional=optional), min_size=1, max_size=3)


class Refused(Exception):
    """The plain reading refuses."""


def plain_rows(columns: list[dict[str, Any]], rows: list[Any], lenient: bool) -> list[dict[str, Any]]:
    """What C6 says, row by row."""
    accepted = []
    for row in rows:
        if not isinstance(row, dict):
            raise Refused
        if not lenient and set(row) - {column["name"] for column in columns}:
            raise Refused
        accepted.append({column["name"]: plain_value(column, row.get(column["name"]), lenient) for column in columns})
    return accepted


def plain_value(column: dict[str, Any], value: Any, lenient: bool) -> Any:
    """What C6 says about one value."""
    kind = column["type"]
    if value is None:
        if not column["allow_null"]:
            raise Refused
        return None
    if kind == "object" and isinstance(value, dict):
        return plain_rows(column["columns"], [value], lenient)[0]
    if kind == "table" and isinstance(value, list):
        return plain_rows(column["columns"], value, lenient)
    if kind == "integer" and lenient and value == 1.0 and isinstance(value, float):
        return 1
    fits = {
        "text": isinstance(value, str),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "double": isinstance(value, (int, float)) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "datetime": value in ("2036-10-16", "10/16/2036 09:22:33"),
        "base64": value in ("", "aGVsbG8=") or (lenient and isinstance(value, str)),
        "json": lenient or not isinstance(value, str),
    }
    if not fits.get(kind, False):
        raise Refused
    return value


def at_pointer(rows: Any, pointer: str) -> Any:
    """The value a JSON pointer leads to; None where the last key is missing."""
    value = rows
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value.get(key)
    return value


def as_json(rows: object) -> str:
    """Text that is equal only for equal values of equal types."""
    return json.dumps(rows, sort_keys=True)


def _agree(columns: list[dict[str, Any]], rows: list[dict[str, Any]], lenient: bool) -> None:
    before = copy.deepcopy(rows)
    schema = Schema.prepare(columns, mode="lenient" if lenient else "strict")
    try:
        expected = plain_rows(columns, rows, lenient)
    except Refused:
        with pytest.raises(OutputError) as caught:
            schema.validate(rows)
        assert short_repr(at_pointer(rows, caught.value.pointer)) == caught.value.value
    else:
        # As JSON, because 1 == 1.0 == True in Python.
        assert as_json(schema.validate(rows).rows) == as_json(expected)
    assert rows == before


@settings(max_examples=150, deadline=None)
@given(_columns(2), _rows(2), st.booleans())
def test_any_rows_are_judged_as_the_contract_says(
    columns: list[dict[str, Any]], rows: list[dict[str, Any]], lenient: bool
) -> None:
    _agree(columns, rows, lenient)


@settings(max_examples=150, deadline=None)
@given(_columns(2).flatmap(lambda columns: st.tuples(st.just(columns), _fitting(columns))), st.booleans())
def test_fitting_rows_are_accepted_and_completed(
    case: tuple[list[dict[str, Any]], list[dict[str, Any]]], lenient: bool
) -> None:
    columns, rows = case
    plain_rows(columns, rows, lenient)
    _agree(columns, rows, lenient)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_one_wrong_value_among_fitting_rows_is_found(data: st.DataObject) -> None:
    columns = data.draw(_columns(1))
    rows = data.draw(_fitting(columns))
    row = rows[data.draw(st.integers(0, len(rows) - 1))]
    row[data.draw(st.sampled_from((*NAMES, "extra")))] = data.draw(VALUES)
    _agree(columns, rows, data.draw(st.booleans()))
