"""JSON Schema (draft 2020-12) for rows, evaluated by jsonschema-rs.

`format` is asserted (the standard leaves that to the implementation), with one widening: "date-time" also takes a date
and time without offset, because that is what a naive `datetime` or `Timestamp` becomes. Unknown formats are ignored.

SECURITY: nothing is ever retrieved (`offline`), and patterns run in linear time (`RegexOptions`: no look-around, no
back-references).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import jsonschema_rs

from ..errors import ConfigError, OutputError, SchemaError
from .values import Mask, is_datetime, pointer, refusal, short_repr, shorten

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_ROW_ID = "urn:wasmexec:row"
# What the library calls the value in its messages; the value itself follows in ours, shortened.
_VALUE = "the value"

_KEYWORDS = {
    "$schema", "$id", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary", "$comment", "$defs",
    "definitions", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas",
    "dependentRequired", "dependencies", "prefixItems", "items", "contains", "properties", "patternProperties",
    "additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "type", "enum",
    "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength",
    "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxContains", "minContains",
    "maxProperties", "minProperties", "required", "format", "contentEncoding", "contentMediaType",
    "contentSchema", "title", "description", "default", "deprecated", "readOnly", "writeOnly", "examples",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """A JSON Schema ready for use: for each row, or for the whole list when its "type" is "array"."""

    whole_list: bool
    names: tuple[str, ...] | None
    _validator: jsonschema_rs.Validator

    @staticmethod
    def parse(definition: dict[str, Any]) -> JsonSchema:
        """Check a JSON Schema and compile it.

        Raises:
            ConfigError: it is no valid schema, declares another draft, or refers to something outside itself.
        """
        if definition and not _KEYWORDS.intersection(definition):
            key = next(iter(definition))
            fix = 'write {"type": "object", "properties": {...}} or a list of columns'
            _refuse((key,), f"{key!r} is no keyword of JSON Schema, so this schema would accept everything: {fix}")
        if definition.get("$schema", _DRAFT) not in (_DRAFT, f"{_DRAFT}#"):
            _refuse(("$schema",), f"rows are checked by draft 2020-12 ({_DRAFT}), not by {definition['$schema']}")
        kind = definition.get("type", "object")
        whole_list = kind == "array"
        validator = _compile(definition, definition)
        if whole_list:
            return JsonSchema(True, _names(definition.get("items")), validator)
        if kind != "object" and "object" not in kind:
            _refuse(("type",), '"type" must be "object" (the schema is for one row) or "array" (for the list of rows)')
        # An `$id` makes it a resource of its own, so that its "#/$defs/..." keep their meaning inside the wrapper.
        row = {**definition, "$id": definition.get("$id") or _ROW_ID}
        return JsonSchema(False, _names(definition), _compile({"type": "array", "items": row}, definition))

    def check(self, rows: list[dict[str, Any]], mask: Mask) -> list[dict[str, Any]]:
        """The rows as they are.

        Raises:
            OutputError: for the first value that is refused.
        """
        try:
            self._validator.validate(rows)
        except jsonschema_rs.ValidationError as error:
            raise _output_error(error, rows, mask) from None
        except ValueError as error:
            # The library gives up beyond 254 levels; anything else it refuses did not come from a JSON parser.
            raise OutputError("", "depth", short_repr(rows, mask), f"the output cannot be checked: {error}") from None
        return rows


def _compile(schema: dict[str, Any], definition: dict[str, Any]) -> jsonschema_rs.Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            schema, validate_formats=True, formats={"date-time": is_datetime}, offline=True, mask=_VALUE,
            pattern_options=jsonschema_rs.RegexOptions(),
        )  # fmt: skip
    except jsonschema_rs.ValidationError as error:
        _refuse_schema(error, definition)
    except ValueError as error:
        raise ConfigError(f"output schema: {error}") from None


def _refuse_schema(error: jsonschema_rs.ValidationError, definition: dict[str, Any]) -> NoReturn:
    path = error.instance_path
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Referencing):
        for place, target in _references(definition, ()):
            if f"'{target.lstrip('#')}'" in error.message:
                if target.startswith("#"):
                    _refuse(place, f"{target!r} leads nowhere")
                _refuse(place, f"{target!r} lies outside this schema, and nothing is fetched: put it under $defs")
        _refuse((), error.message)
    value = short_repr(error.instance)
    if path[-1:] == ["pattern"] or path[-2:-1] == ["patternProperties"]:
        _refuse(path, f"{value} is no regular expression of the linear-time kind (no look-around, no back-references)")
    _refuse(path, f"{value}: {_explain(error)}")


def _references(node: object, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield (*place, key), value
            else:
                yield from _references(value, (*place, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _references(value, (*place, index))


def _output_error(error: jsonschema_rs.ValidationError, rows: list[dict[str, Any]], mask: Mask) -> OutputError:
    where = pointer(error.instance_path)
    rule = error.kind.name
    if rule == "falseSchema":
        rule = "additionalProperties" if error.schema_path[-1:] == ["additionalProperties"] else "false"
    value: object = rows
    for step in error.instance_path:
        value = value[step]  # type: ignore[index]
    return refusal(where, rule, value, f"{shorten(_explain(error), 500, mask)}, got {short_repr(value, mask)}", mask)


def _explain(error: jsonschema_rs.ValidationError) -> str:
    kind = error.kind
    if isinstance(kind, (jsonschema_rs.ValidationErrorKind.AnyOf, jsonschema_rs.ValidationErrorKind.OneOfNotValid)):
        reasons = list(dict.fromkeys(branch[0].message for branch in kind.context if branch))
        more = f"; and {len(reasons) - 4} more" if len(reasons) > 4 else ""
        return f"{_VALUE} fits no branch of {kind.name!r} ({'; '.join(reasons[:4])}{more})"
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.FalseSchema):
        return f"{_VALUE} is not allowed"
    return error.message


def _names(row_schema: object) -> tuple[str, ...] | None:
    properties = row_schema.get("properties") if isinstance(row_schema, dict) else None
    return tuple(properties) if isinstance(properties, dict) and properties else None


def _refuse(path: tuple[str | int, ...] | list[str | int], message: str) -> NoReturn:
    raise SchemaError(pointer(path), message)
