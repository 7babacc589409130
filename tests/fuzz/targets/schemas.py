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


_KINDS = ("text", "integer", "double", "boolean", "datetime", "base64", "json", "object", "table")
_TIMES = ("2036-10-16T09:22:33", "10/16/2036 09:22:33", "2036-10-16", "2036-13-16", "13/16/2036 09:22:33", "", "x", "1")
_CODED = ("aGk=", "aGk", "", "a", "====", "aGk=\n", "-_8=", "aGkh", "/+8=")


def column_lists(data: bytes) -> None:
    """Rows are accepted by a column list as its page says, alone and among others, and a null is never made up."""
    draw = Draw(data)
    columns = _columns(draw, 2)
    lenient = draw.chance(3)
    schema = Schema.prepare(columns, mode="lenient" if lenient else "strict")
    rows = [_row(draw, columns) for _ in range(1 + draw.below(3))]
    before = json.dumps(rows)
    expected = [_normalised(columns, row, lenient=lenient) for row in rows]
    try:
        found = schema.validate(rows).rows
    except OutputError as error:
        assert None in expected, f"refused ({error.message}): {before} by {json.dumps(columns)}"
        assert error.pointer.split("/")[1] == str(expected.index(None)), f"{error.pointer} of {before}"
        return
    finally:
        assert json.dumps(rows) == before, "the argument was changed"
    assert None not in expected, f"accepted: {before} by {json.dumps(columns)}"
    assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)
    assert [list(row) for row in found] == [[column["name"] for column in columns]] * len(rows) or not lenient


def _columns(draw: Draw, depth: int) -> list[dict[str, Any]]:
    columns = []
    for name in _NAMES[: 1 + draw.below(3)]:
        column: dict[str, Any] = {"name": name, "type": draw.choose(_KINDS if depth else _KINDS[:7])}
        if draw.chance(2):
            column["allow_null"] = draw.chance(2)
        if column["type"] in ("object", "table"):
            column["columns"] = _columns(draw, depth - 1)
        columns.append(column)
    return columns


def _row(draw: Draw, columns: list[dict[str, Any]]) -> dict[str, Any]:
    row = {column["name"]: _cell(draw, column) for column in columns if not draw.chance(10)}
    if draw.chance(10):
        row[draw.choose(["d", "a "])] = 1
    return row


def _cell(draw: Draw, column: dict[str, Any]) -> Any:
    if draw.chance(8):
        return None
    if draw.chance(10):
        return _value(draw)
    good: dict[str, Callable[[], Any]] = {
        "text": lambda: draw.text(4),
        "integer": lambda: draw.choose([0, -1, 2**63, 10**30, 1.0, 1.5, 2.0**53, 2.0**60, -0.0]),
        "double": lambda: draw.choose([0.5, 1, -0.0, 1e300, 10**30]),
        "boolean": lambda: draw.chance(2),
        "datetime": lambda: draw.choose(_TIMES),
        "base64": lambda: draw.choose(_CODED),
        "json": lambda: draw.choose([{}, [], 1, True, 0.5, "x", {"a": None}]),
        "object": lambda: _row(draw, column["columns"]),
        "table": lambda: [_row(draw, column["columns"]) for _ in range(draw.below(3))],
    }
    return good[column["type"]]()


def _normalised(columns: list[dict[str, Any]], row: Any, *, lenient: bool) -> dict[str, Any] | None:
    """The row as it must come back; None if it must be refused."""
    if type(row) is not dict or (set(row) - {column["name"] for column in columns} and not lenient):
        return None
    made: dict[str, Any] = {}
    for column in columns:
        value: Any = row.get(column["name"])
        kind = column["type"]
        if value is None:
            if not column.get("allow_null", False):
                return None
            made[column["name"]] = None
            continue
        if kind == "integer" and lenient and type(value) is float and value.is_integer() and abs(value) <= 2**53:
            value = int(value)
        if not _is_of(kind, value, lenient=lenient):
            return None
        if kind == "object":
            value = _normalised(column["columns"], value, lenient=lenient)
            if value is None:
                return None
        elif kind == "table":
            value = [_normalised(column["columns"], item, lenient=lenient) for item in value]
            if None in value:
                return None
        made[column["name"]] = value
    return made


def _is_of(kind: str, value: Any, *, lenient: bool) -> bool:
    if kind == "datetime" and type(value) is str:
        return value in _TIMES[:3]
    if kind == "base64" and type(value) is str:
        return lenient or value in ("aGk=", "", "aGkh", "/+8=")
    kinds: dict[str, tuple[type, ...]] = {
        "text": (str,), "integer": (int,), "double": (int, float), "boolean": (bool,), "object": (dict,),
        "table": (list,), "json": (bool, int, float, list, dict, *((str,) if lenient else ())),
    }  # fmt: skip
    return type(value) in kinds.get(kind, ())
