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
    assert not Schema.prepare({"type": "array", "items": ROW}).interruptible
    assert Schema.prepare({"type": "array", "items": ROW}).checker().whole_list
