"""JSON Schema (draft 2020-12) as an output schema."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from wasmexec.errors import ConfigError, OutputError
from wasmexec.schema import Schema

ROW: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "price": {"type": ["number", "null"]},
        "a/b~c": {"type": "string", "pattern": "^x"},
    },
    "required": ["id"],
    "additionalProperties": False,
}


def refusal(definition: object, rows: object) -> OutputError:
    with pytest.raises(OutputError) as caught:
        Schema.prepare(definition).validate(rows)
    return caught.value


def config_refusal(definition: object) -> str:
    with pytest.raises(ConfigError) as caught:
        Schema.prepare(definition)
    return caught.value.message


def test_an_object_schema_is_for_each_row() -> None:
    rows = [{"id": 1, "price": 1.5}, {"id": 2, "price": None, "a/b~c": "xy"}]
    schema = Schema.prepare(ROW)
    assert schema.kind == "rows"
    assert schema.column_names == ("id", "price", "a/b~c")
    validated = schema.validate(rows)
    assert validated.rows is rows
    assert validated.warnings == []


def test_an_array_schema_is_for_the_whole_list() -> None:
    definition = {"type": "array", "items": ROW, "minItems": 1, "maxItems": 2, "uniqueItems": True}
    schema = Schema.prepare(definition)
    assert schema.kind == "list"
    assert schema.column_names == ("id", "price", "a/b~c")
    assert schema.validate([{"id": 1}]).rows == [{"id": 1}]
    error = refusal(definition, [])
    assert (error.pointer, error.rule, error.value) == ("", "minItems", "[]")
    assert error.message == "the list: the value has less than 1 item, got []"
    error = refusal(definition, [{"id": 1}, {"id": 1}])
    assert (error.pointer, error.rule) == ("", "uniqueItems")
    error = refusal(definition, [{"id": 1}, {"id": "2"}])
    assert (error.pointer, error.rule, error.value) == ("/1/id", "type", "'2'")


@pytest.mark.parametrize(
    ("row", "pointer", "rule", "value", "message"),
    [
        ({}, "/1", "required", "{}", '/1: "id" is a required property, got {}'),
        ({"id": "7"}, "/1/id", "type", "'7'", "/1/id: the value is not of type \"integer\", got '7'"),
        ({"id": True}, "/1/id", "type", "True", '/1/id: the value is not of type "integer", got True'),
        ({"id": 0}, "/1/id", "minimum", "0", "/1/id: the value is less than the minimum of 1, got 0"),
        (
            {"id": 1, "a/b~c": "y"}, "/1/a~1b~0c", "pattern", "'y'",
            "/1/a~1b~0c: the value does not match \"^x\", got 'y'",
        ),
        (
            {"id": 1, "b": 2}, "/1", "additionalProperties", "{'b': 2, 'id': 1}",
            "/1: Additional properties are not allowed ('b' was unexpected), got {'b': 2, 'id': 1}",
        ),
    ],
)  # fmt: skip
def test_a_refusal_has_pointer_rule_and_value(
    row: dict[str, object], pointer: str, rule: str, value: str, message: str
) -> None:
    error = refusal(ROW, [{"id": 1}, row])
    assert (error.pointer, error.rule, error.value, error.message) == (pointer, rule, value, message)


def test_alternatives_say_what_each_branch_wants() -> None:
    definition = {"properties": {"v": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    error = refusal(definition, [{"v": 1}])
    assert (error.pointer, error.rule) == ("/0/v", "anyOf")
    assert error.message == (
        "/0/v: the value fits no branch of 'anyOf' (the value is not of type \"string\"; the value is not of type"
        ' "null"), got 1'
    )


def test_no_keys_at_all_may_be_forbidden() -> None:
    error = refusal({"additionalProperties": False}, [{"a": 1}])
    assert (error.pointer, error.rule) == ("/0", "additionalProperties")
    error = refusal({"properties": {"a": False}}, [{"a": 1}])
    assert (error.pointer, error.rule, error.message) == ("/0/a", "false", "/0/a: the value is not allowed, got 1")


def test_the_whole_float_is_an_integer_as_the_standard_says() -> None:
    assert Schema.prepare(ROW).validate([{"id": 1.0}]).rows == [{"id": 1.0}]


def test_references_inside_the_schema_keep_their_meaning() -> None:
    definition = {
        "$defs": {"money": {"type": "number"}, "node": {"$ref": "#"}},
        "type": "object",
        "properties": {"price": {"$ref": "#/$defs/money"}, "child": {"$ref": "#/$defs/node"}},
    }
    for extra in (
        {},
        {"$id": "https://example.com/row"},
        {"$id": ""},
        {"$schema": "https://json-schema.org/draft/2020-12/schema"},
    ):
        schema = {**definition, **extra}
        Schema.prepare(schema).validate([{"price": 1, "child": {"price": 2}}])
        assert refusal(schema, [{"price": 1, "child": {"price": "2"}}]).pointer == "/0/child/price"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", "2036-10-16T09:22:33Z", "soon"),
        ("date-time", "2036-10-16T09:22:33", "2036-10-16x09:22:33"),
        ("date", "2036-10-16", "2036-13-16"),
        ("email", "a@example.com", "a"),
        ("uuid", "c9bf9e57-1685-4c89-bafb-ff5af830be8a", "c9bf"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
    ],
)
def test_formats_are_asserted(name: str, good: str, bad: str) -> None:
    definition = {"properties": {"v": {"type": "string", "format": name}}}
    Schema.prepare(definition).validate([{"v": good}])
    error = refusal(definition, [{"v": bad}])
    assert (error.pointer, error.rule, error.value) == ("/0/v", "format", repr(bad))


def test_unknown_formats_are_ignored() -> None:
    assert Schema.prepare({"properties": {"v": {"format": "colour"}}}).validate([{"v": "?"}]).rows == [{"v": "?"}]


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"type": "strin"}, "at /type: 'strin': the value fits no branch of 'anyOf' ("),
        ({"type": "array", "items": {"properties": {"a": 1}}}, "at /items/properties/a: 1: the value is not of types"),
        ({"properties": {"a": {"minimum": "3"}}}, "at /properties/a/minimum: '3': the value is not of type \"number\""),
        ({"required": "id"}, "at /required: 'id': the value is not of type \"array\""),
        (
            {"properties": {"a": {"pattern": "(a"}}},
            ("at /properties/a/pattern: '(a' is no regular expression of the linear-time kind (no look-around, no"
            " back-references)"),
        ),
        ({"properties": {"a": {"pattern": "(?=a)b"}}}, "at /properties/a/pattern: '(?=a)b' is no regular expression"),
        ({"properties": {"a": {"pattern": "(a)\\1"}}}, "at /properties/a/pattern: '(a)\\\\1' is no regular expression"),
        ({"patternProperties": {"(a": {}}}, "at /patternProperties"),
        ({"type": "string"}, 'at /type: "type" must be "object" (the schema is for one row) or "array"'),
        ({"type": ["array", "null"]}, 'at /type: "type" must be "object"'),
        (
            {"id": {"type": "integer"}},
            ("at /id: 'id' is no keyword of JSON Schema, so this schema would accept everything: write"
            ' {"type": "object", "properties": {...}} or a list of columns'),
        ),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#"},
            ("at /$schema: rows are checked by draft 2020-12 (https://json-schema.org/draft/2020-12/schema), not by"
            " http://json-schema.org/draft-07/schema#"),
        ),
        ({"$schema": 3}, "at /$schema: "),
        ({"properties": {"a": {"$ref": "#/$defs/x"}}}, "at /properties/a/$ref: '#/$defs/x' leads nowhere"),
        ({"type": "array", "items": {"$ref": "#x"}}, "at /items/$ref: '#x' leads nowhere"),
    ],
)  # fmt: skip
def test_an_invalid_schema_is_refused_with_the_place_of_the_mistake(definition: object, message: str) -> None:
    assert config_refusal(definition)[len("output schema, ") :].startswith(message)


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:9/row.json", "file:///etc/hostname", "other.json", "//127.0.0.1:9/x"]
)
def test_references_to_outside_are_refused_and_nothing_is_fetched(target: str) -> None:
    message = config_refusal({"properties": {"a": {"$ref": target}}})
    assert message == (
        f"output schema, at /properties/a/$ref: {target!r} lies outside this schema, and nothing is fetched: put it"
        " under $defs"
    )


def test_a_schema_that_is_not_json_or_too_deep_is_refused() -> None:
    assert config_refusal({"properties": {1: {}}}).startswith("output schema: it is not JSON: ")
    cycle: dict[str, object] = {"type": "object"}
    cycle["properties"] = {"a": cycle}
    assert config_refusal(cycle).startswith("output schema: it is not JSON: ")


def test_lenient_mode_is_for_column_lists() -> None:
    with pytest.raises(ConfigError) as caught:
        Schema.prepare(ROW, mode="lenient")
    assert caught.value.message.startswith("output schema: lenient mode is for column lists")


def test_self_references_and_deep_rows_end_in_an_answer() -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"a": deep}
    for definition in ({"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, {"properties": {"a": {"$ref": "#"}}}):
        assert Schema.prepare(definition).validate([deep]).rows == [deep]
    error = refusal({"type": "array", "uniqueItems": True}, [deep, deep])
    assert error.rule == "depth"
    assert error.message == "the output cannot be checked: Recursion limit reached"


@pytest.mark.timing
def test_a_pattern_that_kills_backtracking_engines_is_quick() -> None:
    started = time.perf_counter()
    error = refusal({"properties": {"v": {"pattern": "^(a+)+$"}}}, [{"v": "a" * 50_000 + "!"}])
    assert error.rule == "pattern"
    assert len(error.message) < 400
    assert time.perf_counter() - started < 2


def test_keys_of_a_hostile_guest_stay_out_of_the_messages() -> None:
    error = refusal({"additionalProperties": {"type": "string"}}, [{"k" * 1_000_000: 1}])
    assert (len(error.pointer), len(error.message) < 2000) == (1000, True)
    error = refusal({"properties": {"a": {}}, "additionalProperties": False}, [{"k" * 1_000_000: 1}])
    assert (error.pointer, error.rule, len(error.message) < 2000) == ("/0", "additionalProperties", True)


def test_the_first_failing_row_is_reported() -> None:
    rows = [{"id": 1} for _ in range(10_000)]
    rows[9_000] = {"id": 0}
    rows[9_500] = {}
    assert refusal(ROW, rows).pointer == "/9000/id"


def test_importing_the_package_does_not_import_the_library() -> None:
    script = (
        "import sys; from wasmexec.schema import Schema; Schema.prepare([{'name': 'a', 'type': 'text'}]);"
        "print('jsonschema_rs' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_one_schema_serves_many_threads() -> None:
    schemas = [Schema.prepare(ROW), Schema.prepare([{"name": "id", "type": "integer"}])]
    outcomes: list[bool] = []

    def work() -> None:
        for number in range(200):
            schema = schemas[number % 2]
            schema.validate([{"id": 1}] * 50)
            try:
                schema.validate([{"id": 1}, {"id": "x"}])
            except OutputError as error:
                outcomes.append(error.pointer == "/1/id")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 800
