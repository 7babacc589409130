"""Rows that come in pieces are checked as the whole list is, and whoever waits can stop it."""

from __future__ import annotations

from typing import Any

import pytest

from wasmexec.errors import OutputError
from wasmexec.schema import Schema
from wasmexec.schema.interruption import interrupted_by

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "integer"},
    {"name": "note", "type": "text", "allow_null": True},
]
ROW: dict[str, Any] = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
DRAFT_03: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-03/schema#",
    "properties": {"id": {"type": "integer", "required": True}},
}
LOOK_AHEAD: dict[str, Any] = {**ROW, "patternProperties": {"^(?!id)": {"type": "string"}}}
DEFINITIONS = pytest.mark.parametrize("definition", [COLUMNS, ROW, DRAFT_03, LOOK_AHEAD], ids=str)


class Stopped(Exception):
    """The caller has had enough."""


def test_pieces_give_the_rows_and_warnings_of_the_whole() -> None:
    rows: list[Any] = [{"id": number, f"extra{number // 10}": 1} for number in range(1000)]
    schema = Schema.prepare(COLUMNS, mode="lenient")
    whole = schema.validate(rows)
    assert whole.rows == [{"id": number, "note": None} for number in range(1000)]
    for size in (1, 7, 1000):
        checker = schema.checker()
        found: list[Any] = []
        for first in range(0, len(rows), size):
            found += checker.rows(rows[first : first + size], first)
        assert (found, checker.warnings()) == (whole.rows, whole.warnings)


@DEFINITIONS
def test_the_pointer_has_the_index_in_the_whole_list(definition: Any) -> None:
    for bad, rest in (({"id": "x"}, "/id"), (7, ""), ({"id": None}, "/id")):
        checker = Schema.prepare(definition).checker()
        good: list[Any] = [{"id": 1}] * 10
        assert [set(row) >= {"id"} for row in checker.rows(good, 100)] == [True] * 10
        with pytest.raises(OutputError) as caught:
            checker.rows([*good, bad, {}], 110)
        assert caught.value.pointer == f"/120{rest}"
        assert caught.value.message.startswith(f"/120{rest}: ")


@DEFINITIONS
def test_the_first_refused_row_is_reported_whatever_is_wrong_with_the_next(definition: Any) -> None:
    rows: list[Any] = [{"id": 1}] * 3 + [{"id": "x"}, 5]
    with pytest.raises(OutputError) as caught:
        Schema.prepare(definition).validate(rows)
    assert caught.value.pointer == "/3/id"


@DEFINITIONS
def test_rows_that_need_no_change_are_not_copied(definition: Any) -> None:
    rows: list[Any] = [{"id": 1, "note": "x"}] * 10_000
    assert Schema.prepare(definition).validate(rows).rows is rows


@DEFINITIONS
def test_the_caller_stops_a_check_between_pieces(definition: Any) -> None:
    rows: list[Any] = [{"id": 1, "note": "x"}] * 50_000
    asked = 0

    def ask() -> None:
        nonlocal asked
        asked += 1
        if asked == 5:
            raise Stopped

    schema = Schema.prepare(definition)
    with interrupted_by(ask), pytest.raises(Stopped):
        schema.validate(rows)
    assert asked == 5
    assert schema.validate(rows).rows is rows


def test_a_schema_says_whether_its_check_can_be_stopped() -> None:
    assert Schema.prepare(None).interruptible
    assert Schema.prepare(COLUMNS).interruptible
    assert Schema.prepare(ROW).interruptible
    assert not Schema.prepare(LOOK_AHEAD).interruptible
    counting: list[dict[str, Any]] = [
        {"minItems": 1}, {"uniqueItems": True}, {"contains": ROW}, {"prefixItems": [ROW]}, {"anyOf": [{}]},
    ]  # fmt: skip
    for counted in counting:
        whole = Schema.prepare({"type": "array", "items": ROW, **counted})
        assert not whole.interruptible
        assert whole.checker().whole_list
    # A list of which only the items are told can be checked in parts.
    parts = Schema.prepare({"type": "array", "title": "rows", "items": ROW})
    assert parts.interruptible
    assert not parts.checker().whole_list


def test_a_list_in_parts_is_refused_as_the_whole_is() -> None:
    definition = {"type": "array", "items": {"properties": {"id": {"anyOf": [{"maximum": 7999}, {"type": "string"}]}}}}
    rows = [{"id": number} for number in range(8001)]
    parts, whole = Schema.prepare(definition), Schema.prepare({**definition, "minItems": 0})
    assert parts.validate(rows[:8000]).rows == whole.validate(rows[:8000]).rows == rows[:8000]
    found = []
    for schema in (parts, whole):
        with pytest.raises(OutputError) as caught:
            schema.validate(rows)
        found.append({**vars(caught.value), "text": str(caught.value)})
    assert found[0] == found[1]
    assert found[0]["pointer"] == "/8000/id"


def test_the_caller_hears_how_many_values_are_made_before_they_are() -> None:
    columns: list[dict[str, Any]] = [
        {"name": f"c{number}", "type": "text", "allow_null": True} for number in range(100)
    ]
    nested = [{"name": "t", "type": "table", "columns": columns}]
    made = 0

    def on_values(count: int) -> None:
        nonlocal made
        made += count
        if made > 1_000_000:
            raise Stopped

    for definition, rows in ((columns, [{}] * 100_000), (nested, [{"t": [{}] * 100_000}])):
        made = 0
        with interrupted_by(lambda: None, on_values), pytest.raises(Stopped):
            Schema.prepare(definition).validate(rows)
        assert made < 1_100_000
    made = 0
    with interrupted_by(lambda: None, on_values):
        Schema.prepare(columns).validate([dict.fromkeys(column["name"] for column in columns)] * 100_000)
    assert made == 0


def test_nested_tables_in_many_rows_are_checked_in_lots() -> None:
    columns = [{"name": "t", "type": "table", "allow_null": True, "columns": COLUMNS}]
    sizes = [0, 1, 700, 0, 3, 1500, 1]
    rows: list[Any] = [{"t": [{"id": number} for number in range(size)]} for size in sizes]
    rows.insert(2, {"t": None})
    before = [None if row["t"] is None else row["t"].copy() for row in rows]
    found = Schema.prepare(columns).validate(rows).rows
    assert [row["t"] for row in rows] == before, "the argument is not changed"
    assert found == [
        {"t": None if table is None else [{"id": number, "note": None} for number in range(len(table))]}
        for table in before
    ]
    for outer, inner in ((1, 0), (3, 699), (6, 0), (6, 511), (6, 1499), (7, 0)):
        for bad, rule, rest in (({"id": "x"}, "type", "/id"), ([], "object", ""), ({"ID": 1}, "missing", "/id")):
            table = rows[outer]["t"]
            good, table[inner] = table[inner], bad
            with pytest.raises(OutputError) as caught:
                Schema.prepare(columns).validate(rows)
            assert (caught.value.pointer, caught.value.rule) == (f"/{outer}/t/{inner}{rest}", rule)
            table[inner] = good


def test_the_text_of_a_large_value_is_bounded() -> None:
    row = {f"k{number}": number for number in range(5000, 0, -1)}
    with pytest.raises(OutputError) as caught:
        Schema.prepare({"properties": {"v": {"type": "string"}}}).validate([{"v": row}])
    assert caught.value.value == "{'k4997': 4997, 'k4998': 4998, 'k4999': 4999, ...}"


@pytest.mark.parametrize("length", [4, 1 << 18, (1 << 18) + 4, (1 << 20)])
def test_long_base64_is_checked_in_pieces(length: int) -> None:
    schema = Schema.prepare([{"name": "v", "type": "base64"}])
    schema.validate([{"v": "A" * (length - 2) + "=="}])
    for bad in ("A" * (length - 1), "A" * (length - 2) + "=A", "A==A" + "A" * length, "A" * length + "\n"):
        with pytest.raises(OutputError):
            schema.validate([{"v": bad}])


def test_no_long_text_is_a_date() -> None:
    schema = Schema.prepare([{"name": "v", "type": "datetime"}])
    longest = "2036-10-16T09:22:33." + "1" * 80
    schema.validate([{"v": longest}])
    with pytest.raises(OutputError) as caught:
        schema.validate([{"v": longest + "1"}])
    assert caught.value.rule == "datetime"
