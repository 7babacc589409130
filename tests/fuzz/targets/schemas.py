"""Schemas and rows: the verdict is that of the reference implementation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from jsonschema import validators
from jsonschema.exceptions import SchemaError as ReferenceSchemaError
from tests.fuzz.draw import Draw

from wasmexec.errors import ConfigError, OutputError
from wasmexec.schema import Schema

_TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
_NAMES = ("a", "b", "c")
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 1.0, 1.5, -0.0, 1e300, 2**53, 2**63, 2**64, 10**30, "", "a", "b", "é", "😀",
    "aaa", "1", [], [1], [1, 1], [1, 1.0], [True, 1], ["a"], {}, {"a": 1}, {"b": None}, {"a": "a", "b": 2}, [[]], [{}],
)  # fmt: skip


def json_schemas(data: bytes) -> None:
    """A row is accepted by a JSON Schema where `jsonschema` accepts it, and comes back as it was."""
    draw = Draw(data)
    definition = {"type": "object", "properties": {name: _schema(draw, 3) for name in _NAMES[: 1 + draw.below(3)]}}
    if draw.chance(3):
        definition = {**definition, **_schema(draw, 2), "type": "object"}
    row = {name: _value(draw) for name in _NAMES if not draw.chance(4)}
    reference = validators.validator_for(definition)
    try:
        reference.check_schema(definition)
        schema = Schema.prepare(definition)
    except (ReferenceSchemaError, ConfigError):
        return
    expected = reference(definition).is_valid(row)
    before = json.dumps(row)
    try:
        found = schema.validate([row])
    except OutputError as error:
        assert not expected, f"refused ({error.rule}): {before} by {json.dumps(definition)}"
        assert isinstance(error.pointer, str)
        return
    assert expected, f"accepted: {before} by {json.dumps(definition)}"
    assert json.dumps(found.rows[0]) == before == json.dumps(row)


def _value(draw: Draw) -> Any:
    return json.loads(json.dumps(draw.choose(_VALUES))) if not draw.chance(5) else draw.value(2)


def _schema(draw: Draw, depth: int) -> dict[str, Any]:
    makers = (*_LEAVES, *_NESTED) if depth else _LEAVES
    schema: dict[str, Any] = {}
    for _ in range(draw.below(3) + (depth == 3)):
        schema.update(draw.choose(makers)(draw, depth - 1))
    return schema


_LEAVES: tuple[Callable[[Draw, int], dict[str, Any]], ...] = (
    lambda draw, depth: {"type": draw.choose(_TYPES)},
    lambda draw, depth: {"type": list(dict.fromkeys([draw.choose(_TYPES), draw.choose(_TYPES)]))},
    lambda draw, depth: {"enum": [draw.choose(_VALUES)]},
    lambda draw, depth: {"const": draw.choose(_VALUES)},
    lambda draw, depth: {"minimum": draw.choose([0, 1, 1.5, -1])},
    lambda draw, depth: {"maximum": draw.choose([0, 1, 1.5, 2**53])},
    lambda draw, depth: {"exclusiveMinimum": draw.choose([0, 1, 1.5])},
    lambda draw, depth: {"exclusiveMaximum": draw.choose([0, 1, 1.5])},
    lambda draw, depth: {"minLength": draw.below(3)},
    lambda draw, depth: {"maxLength": draw.below(3)},
    lambda draw, depth: {"minItems": draw.below(3)},
    lambda draw, depth: {"maxItems": draw.below(3)},
    lambda draw, depth: {"uniqueItems": draw.chance(2)},
    lambda draw, depth: {"required": [draw.choose(_NAMES)]},
    lambda draw, depth: {"minProperties": draw.below(3)},
    lambda draw, depth: {"maxProperties": draw.below(3)},
    lambda draw, depth: {"dependentRequired": {draw.choose(_NAMES): [draw.choose(_NAMES)]}},
)
_NESTED: tuple[Callable[[Draw, int], dict[str, Any]], ...] = (
    lambda draw, depth: {draw.choose(["anyOf", "allOf", "oneOf"]): [_schema(draw, depth), _schema(draw, depth)]},
    lambda draw, depth: {"not": _schema(draw, depth)},
    lambda draw, depth: {"if": _schema(draw, depth), "then": _schema(draw, depth), "else": _schema(draw, depth)},
    lambda draw, depth: {"properties": {draw.choose(_NAMES): _schema(draw, depth)}},
    lambda draw, depth: {"additionalProperties": draw.choose([False, True, _schema(draw, depth)])},
    lambda draw, depth: {"items": _schema(draw, depth)},
    lambda draw, depth: {"prefixItems": [_schema(draw, depth)]},
    lambda draw, depth: {"contains": _schema(draw, depth)},
    lambda draw, depth: {"propertyNames": _schema(draw, depth)},
    lambda draw, depth: {"dependentSchemas": {draw.choose(_NAMES): _schema(draw, depth)}},
    lambda draw, depth: {"unevaluatedProperties": draw.choose([False, True])},
)
