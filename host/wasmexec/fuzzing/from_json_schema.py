"""Values that a JSON Schema takes, most of the time: made from its canonical form, with a bounded depth.

The schema itself decides in the end (`InputPlan.accepts`), so that what is not understood here costs runs, not truth.
"""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from ..schema.dialects import subschemas
from . import values
from .draw import Draw, chance, choice
from .patterns import text_for
from .words import Words

_DEPTH = 6
_FORMATS = {
    "date-time": ("2026-11-02T10:00:00Z", "2026-10-25T02:30:00+02:00", "2024-02-29T23:59:59.999Z"),
    "date": ("2026-11-02", "2024-02-29", "1970-01-01", "9999-12-31"),
    "time": ("10:00:00Z", "23:59:59+02:00"),
    "email": ("a@b.example", "a.b+c@example.com"),
    "uri": ("https://example.com/", "https://example.com/?q=1"),
    "uuid": ("00000000-0000-4000-8000-000000000000", "123e4567-e89b-12d3-a456-426614174000"),
    "ipv4": ("127.0.0.1", "0.0.0.0"),
    "ipv6": ("::1", "2001:db8::1"),
}  # fmt: skip


class JsonSchemaMaker:
    """Makes values for one schema."""

    def __init__(self, definition: dict[str, Any], words: Words) -> None:
        self._root = _canonical(definition)
        self._words = words

    def value(self, draw: Draw) -> Any:
        """A value for the whole schema."""
        return self._make(draw, self._root, _DEPTH, choice(draw, (10, 30, 60)))

    def whole(self, draw: Draw, size: int) -> list[Any]:
        """A list of about so many rows, for a schema of the whole list."""
        return self._list(draw, self._root, _DEPTH, 30, size)

    def _make(self, draw: Draw, schema: Any, depth: int, wild: int) -> Any:
        if not isinstance(schema, dict):
            return choice(draw, values.JSON)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return choice(draw, schema["enum"])
        if "$ref" in schema:
            return self._make(draw, self._target(schema["$ref"]), depth - 1, wild) if depth > 0 else None
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                branch = choice(draw, schema[key])
                rest = {name: item for name, item in schema.items() if name != key}
                return self._make(draw, _merged(rest, branch), depth, wild)
        if schema.get("allOf"):
            merged = {name: item for name, item in schema.items() if name != "allOf"}
            for branch in schema["allOf"]:
                merged = _merged(merged, self._resolved(branch))
            return self._make(draw, merged, depth, wild)
        return self._of_type(draw, schema, _types(schema), depth, wild)

    def _of_type(self, draw: Draw, schema: dict[str, Any], types: list[str], depth: int, wild: int) -> Any:
        kind = choice(draw, [item for item in types if item != "null"] or ["null"])
        if "null" in types and chance(draw, 20):
            kind = "null"
        match kind:
            case "object":
                return self._object(draw, schema, depth, wild)
            case "array":
                return self._list(draw, schema, depth, wild, choice(draw, (0, 1, 1, 2, 3)))
            case "integer" | "number":
                return self._number(draw, schema, kind, wild)
            case "boolean":
                return draw.below(2) == 1
            case "string":
                return self._text(draw, schema, wild)
            case _:
                return None

    def _object(self, draw: Draw, schema: dict[str, Any], depth: int, wild: int) -> dict[str, Any]:
        required = schema.get("required", ())
        made = {}
        for name, inner in schema.get("properties", {}).items():
            if name in required or (depth > 0 and chance(draw, 75)):
                made[name] = self._make(draw, inner, depth - 1, wild)
        for name in required:
            if name not in made:
                made[name] = self._make(draw, schema.get("additionalProperties", True), depth - 1, wild)
        return made

    def _list(self, draw: Draw, schema: Any, depth: int, wild: int, size: int) -> list[Any]:
        schema = self._resolved(schema)
        prefix = schema.get("prefixItems", [])
        size = min(max(size, schema.get("minItems", 0)), schema.get("maxItems", 1000), 200)
        size = size if depth > 0 else int(schema.get("minItems", 0))
        items = schema.get("items", True)
        if items is False:
            size = min(size, len(prefix))
        return [
            self._make(draw, prefix[index] if index < len(prefix) else items, depth - 1, wild) for index in range(size)
        ]

    def _number(self, draw: Draw, schema: dict[str, Any], kind: str, wild: int) -> float:
        lowest, highest = schema.get("minimum"), schema.get("maximum")
        lowest = schema.get("exclusiveMinimum") if lowest is None else lowest
        highest = schema.get("exclusiveMaximum") if highest is None else highest
        made: float = self._words.value(draw, "integer" if kind == "integer" else "double", wild)
        if lowest is not None and (made < lowest or chance(draw, 10)):
            made = lowest + choice(draw, (0, 1, 1, 2, 10))
        if highest is not None and (made > highest or chance(draw, 10)):
            made = highest - choice(draw, (0, 1, 1, 2))
        step = schema.get("multipleOf")
        if step:
            made = made // step * step
        return int(made) if kind == "integer" else made

    def _text(self, draw: Draw, schema: dict[str, Any], wild: int) -> str:
        if "pattern" in schema:
            return text_for(draw, schema["pattern"])
        if schema.get("format") in _FORMATS:
            return choice(draw, _FORMATS[schema["format"]])
        made = self._words.text(draw, wild)
        made = made.ljust(schema.get("minLength", 0), "a")
        return made[: schema["maxLength"]] if "maxLength" in schema else made

    def _resolved(self, schema: Any) -> dict[str, Any]:
        for _ in range(_DEPTH):
            if not isinstance(schema, dict):
                return {}
            if "$ref" not in schema:
                return schema
            schema = self._target(schema["$ref"])
        return {}

    def _target(self, reference: object) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            return True
        found: Any = self._root
        for token in reference[1:].split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            found = found.get(name, True) if isinstance(found, dict) else True
        return found


def _canonical(definition: dict[str, Any]) -> dict[str, Any]:
    """The schema with `allOf` merged and what contradicts itself left out; itself where that is not possible."""
    try:
        made = jsonschema_rs.canonicalize(definition).to_json_schema()
    except (ValueError, jsonschema_rs.canonical.CanonicalizationError):
        return definition
    # Formats only annotate, so that the canonical form may leave them out; they are good examples all the same.
    has_format = any("format" in subschema.node for subschema in subschemas(definition))
    return made if isinstance(made, dict) and not has_format else definition


def _merged(first: dict[str, Any], second: Any) -> dict[str, Any]:
    """Both of two schemas, as far as that is said by their own keys."""
    if not isinstance(second, dict):
        return first
    made = {**first, **second}
    if "properties" in first and "properties" in second:
        made["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        made["required"] = list(dict.fromkeys([*first["required"], *second["required"]]))
    return made


def _types(schema: dict[str, Any]) -> list[str]:
    named = schema.get("type")
    if isinstance(named, str):
        return [named]
    if named:
        return list(named)
    if "properties" in schema or "required" in schema:
        return ["object"]
    if "items" in schema or "prefixItems" in schema:
        return ["array"]
    if "pattern" in schema or "maxLength" in schema or "minLength" in schema or "format" in schema:
        return ["string"]
    return ["number"] if "minimum" in schema or "maximum" in schema else ["string", "integer", "boolean", "null"]
