"""A value that fits no branch of `anyOf` or `oneOf`: what is said of it, and that the verdict is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from wasmexec.errors import OutputError
from wasmexec.schema import Schema
from wasmexec.schema.values import pointer

CASES = [
    case
    for line in Path(__file__).with_name("schema_cases.jsonl").read_text().splitlines()
    if "anyOf" in line or "oneOf" in line
    for case in [json.loads(line)]
]
CLASSES: dict[str, Any] = {
    "4": jsonschema_rs.Draft4Validator,
    "6": jsonschema_rs.Draft6Validator,
    "7": jsonschema_rs.Draft7Validator,
    "2019": jsonschema_rs.Draft201909Validator,
    "2020": jsonschema_rs.Draft202012Validator,
}
URIS = {
    "4": "http://json-schema.org/draft-04/schema#",
    "6": "http://json-schema.org/draft-06/schema#",
    "7": "http://json-schema.org/draft-07/schema#",
    "2019": "https://json-schema.org/draft/2019-09/schema",
    "2020": "https://json-schema.org/draft/2020-12/schema",
}
PAIRS = [
    pytest.param(case, draft, id=f"{case['title']}, {draft}")
    for case in CASES
    for draft in case["drafts"].split()
    if draft in CLASSES
]


def refusal(definition: object, row: object) -> OutputError:
    with pytest.raises(OutputError) as caught:
        Schema.prepare(definition).validate([row])
    return caught.value


@pytest.mark.parametrize(("case", "draft"), PAIRS)
def test_the_first_error_is_that_of_the_library(case: dict[str, Any], draft: str) -> None:
    definition = {"$schema": URIS[draft], "properties": {"v": case.get("column", {})}, **case.get("beside", {})}
    if "row" in case:
        definition = {"$schema": URIS[draft], **case["row"]}
    library = CLASSES[draft](definition, validate_formats=True)
    rows = case.get("rows") or [{"v": value} for value in case["values"]]
    errors = [next(library.iter_errors(row), None) for row in rows]
    assert any(errors)
    for row, error in zip(rows, errors, strict=True):
        if error is None:
            Schema.prepare(definition).validate([row])
        else:
            found = refusal(definition, row)
            rule = "false" if error.kind.name == "falseSchema" else error.kind.name
            assert (found.pointer, found.rule) == ("/0" + pointer(error.instance_path), rule)


SHAPES = {
    "oneOf": [
        {"properties": {"kind": {"const": "circle"}, "radius": {"type": "number"}}, "required": ["kind"]},
        {"properties": {"kind": {"const": "square"}, "side": {"type": "number"}}, "required": ["kind"]},
        {"type": "null"},
    ]
}


def test_the_branch_that_comes_nearest_is_named_with_the_place() -> None:
    error = refusal({"properties": {"shape": SHAPES}}, {"shape": {"kind": "square", "side": "3"}})
    assert (error.pointer, error.rule) == ("/0/shape", "oneOf")
    assert error.message == (
        "/0/shape: the value fits no branch of 'oneOf', 1 comes nearest: /side the value is not of type \"number\""
        ' ("circle" was expected; the value is not of type "number"; the value is not of type "null"),'
        " got {'kind': 'square', 'side': '3'}"
    )


def test_the_deepest_error_is_the_nearest() -> None:
    branches = [
        {"properties": {"a": {"type": "string"}}},
        {"properties": {"a": {"properties": {"b": {"type": "string"}}}}},
        {"type": "array"},
    ]
    error = refusal({"properties": {"v": {"anyOf": branches}}}, {"v": {"a": {"b": 1}}})
    assert "'anyOf', 1 comes nearest: /a/b the value is not of type \"string\" (" in error.message


def test_several_that_are_as_near_are_told_without_a_choice() -> None:
    error = refusal({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, {})
    assert error.message == (
        '/0: the value fits no branch of \'anyOf\' ("a" is a required property; "b" is a required property), got {}'
    )


def test_more_than_one_branch_of_one_of_is_said_so() -> None:
    error = refusal({"oneOf": [{"type": "object"}, {"required": ["a"]}, {"minProperties": 1}]}, {"b": 1})
    assert error.message == (
        "/0: the value is valid under more than one of the schemas listed in the 'oneOf' keyword, got {'b': 1}"
    )


def test_many_branches_are_counted() -> None:
    error = refusal({"anyOf": [{"required": [f"k{number}"]} for number in range(200)]}, {})
    assert '"k3" is a required property; and 196 more), got {}' in error.message


def test_alternatives_within_alternatives_are_told_in_short() -> None:
    error = refusal({"anyOf": [{"anyOf": [{"type": "array"}]}, {"oneOf": [{"type": "null"}]}]}, {})
    assert error.message == (
        "/0: the value fits no branch of 'anyOf' (the value is not valid under any of the schemas listed in the"
        " 'anyOf' keyword; the value is not valid under any of the schemas listed in the 'oneOf' keyword), got {}"
    )


def test_references_into_branches_keep_their_meaning() -> None:
    definition = {
        "properties": {
            "é %/~": {"anyOf": [{"oneOf": [{"type": "integer"}]}, {"type": "null"}]},
            "b": {"$ref": "#/properties/%C3%A9%20%25~1~0/anyOf/0/oneOf/0"},
            "c": {"$ref": "#/properties/%C3%A9%20%25~1~0/anyOf/0"},
        }
    }
    Schema.prepare(definition).validate([{"é %/~": 1, "b": 2, "c": 3}])
    assert (refusal(definition, {"b": "x"}).pointer, refusal(definition, {"b": "x"}).rule) == ("/0/b", "type")
    assert (refusal(definition, {"c": "x"}).pointer, refusal(definition, {"c": "x"}).rule) == ("/0/c", "oneOf")
    error = refusal(definition, {"é %/~": "x"})
    assert (error.pointer, error.rule) == ("/0/é %~1~0", "anyOf")


def test_what_a_branch_has_looked_at_is_evaluated() -> None:
    definition = {
        "anyOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"required": ["b"]}],
        "properties": {"b": {}},
        "unevaluatedProperties": False,
    }
    Schema.prepare(definition).validate([{"a": 1}, {"b": 1}, {"a": 1, "b": 2}])
    error = refusal(definition, {"a": 1, "c": 2})
    assert (error.rule, error.message) == (
        "unevaluatedProperties",
        "/0: Unevaluated properties are not allowed ('c' was unexpected), got {'a': 1, 'c': 2}",
    )
    assert refusal(definition, {"c": 2}).rule == "anyOf"


def test_a_whole_list_may_have_alternatives() -> None:
    definition = {"type": "array", "items": {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}}
    with pytest.raises(OutputError) as caught:
        Schema.prepare(definition).validate([{"a": 1}, {"c": 1}])
    assert (caught.value.pointer, caught.value.rule) == ("/1", "anyOf")


def test_where_the_alternatives_are_not_all_known_large_values_are_refused_in_general() -> None:
    definition = {"properties": {"v": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}}
    assert refusal(definition, {"v": {"type": 5}}).pointer == "/0/v/type"
    error = refusal(definition, {"v": {"type": 5, "required": ["x"] * 100}})
    assert (error.pointer, error.rule) == ("/0", "schema")
    assert error.message == "/0: the value does not fit the schema, got {'v': {'required': [...], 'type': 5}}"


def test_no_schema_can_use_the_engines_own_keywords() -> None:
    definition = {"wasmexec:alternatives": 7, "wasmexec:pattern": 5, "anyOf": [{"required": ["a"]}]}
    Schema.prepare(definition).validate([{"a": 1}])
    assert refusal(definition, {}).rule == "anyOf"
