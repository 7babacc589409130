"""Checking a file's tree by one of our own schemas: every mistake at its place, in words.

Of JSON Schema this reads what `vocabulary` makes and no more. A whole number is one that is written as one: 4.0 is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from ...schema.columns import did_you_mean
from .document import Node
from .mistakes import Collector
from .vocabulary import Schema

_KINDS: dict[type, str] = {
    dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null",
}  # fmt: skip
_WORDS_OF_YAML_1_1 = ("yes", "no", "on", "off", "y", "n")
_NOUNS = {
    "string": "a text", "boolean": "true or false", "integer": "a whole number", "number": "a number",
    "array": "a list", "object": "a mapping",
}  # fmt: skip


def check(root: Node, schema: Schema, mistakes: Collector) -> None:
    """Note everything in a file that its schema refuses, and mark the nodes (`Node.is_refused`, `Node.is_right`)."""
    _Checker(schema.get("$defs", {}), mistakes).check(root, schema, "")


class _Checker:
    def __init__(self, defs: Schema, mistakes: Collector) -> None:
        self._defs = defs
        self._mistakes = mistakes

    def check(self, node: Node, schema: Schema, label: str) -> bool:
        """Whether a value and all below it is right; `label` names it in messages."""
        schema = self._resolved(schema)
        if "anyOf" in schema:
            fitting = [option for option in schema["anyOf"] if _kind(node) in self._kinds(option)]
            if fitting:
                option = self._resolved(fitting[0])
                if "x-expected" in schema:
                    option = {**option, "x-expected": schema["x-expected"]}
                return self.check(node, option, label)
        if "anyOf" in schema or not _accepts(schema, node.value):
            self._refuse(node, schema, label)
            return False
        is_right = True
        if not schema.get("x-type-only"):
            if isinstance(node.value, list):
                is_right = self._check_items(node, node.value, schema, label)
            elif isinstance(node.value, dict) and "properties" in schema:
                is_right = self._check_keys(node, node.value, schema)
            elif isinstance(node.value, dict) and "additionalProperties" in schema:
                is_right = self._check_entries(node, node.value, schema)
        node.is_right = is_right
        return is_right

    def _resolved(self, schema: Schema) -> Schema:
        name = schema.get("$ref", "").removeprefix("#/$defs/")
        return {**self._defs[name], **schema} if name in self._defs else schema

    def _kinds(self, schema: Schema) -> set[str]:
        """The types of the values that a branch has something to say about."""
        schema = self._resolved(schema)
        return {_KINDS[type(value)] for value in schema["enum"]} if "enum" in schema else {*_accepted(schema)}

    def _refuse(self, node: Node, schema: Schema, label: str) -> None:
        node.is_refused, node.is_right = True, False
        if "x-what" in schema and not isinstance(node.value, dict):
            keys = ", ".join(schema["properties"])
            expected = f"{schema['x-what']} as a mapping with the keys {keys}"
        elif "x-what" in schema:
            expected = f"at least one of {', '.join(schema['properties'])}"
            self._mistakes.add(node.place, f"{schema['x-what']}: expected {expected}")
            return
        else:
            expected = expected_text(schema)
        hint = ""
        if isinstance(node.value, str):
            if schema.get("type") == "boolean" and node.value.lower() in _WORDS_OF_YAML_1_1:
                hint = " (YAML 1.2 has true and false only)"
            hint = did_you_mean(node.value, map(str, schema.get("enum", ()))) or hint
        prefix = f"{label}: " if label and "x-what" not in schema else ""
        self._mistakes.add(node.place, f"{prefix}expected {expected}, got {node.describe()}{hint}")

    def _check_items(self, node: Node, values: list[Node], schema: Schema, label: str) -> bool:
        is_right = True
        most = schema.get("maxItems")
        if most is not None and len(values) > most:
            self._mistakes.add(values[most].place, f"{label}: at most {most:,} are possible")
            is_right = False
        for item in values if "items" in schema else ():
            is_right &= self.check(item, schema["items"], label)
        return is_right

    def _check_entries(self, node: Node, fields: dict[str, Node], schema: Schema) -> bool:
        is_right = True
        names = schema.get("propertyNames")
        for name, value in fields.items():
            if names is not None and not _accepts(names, name):
                self._mistakes.add(node.keys[name], f"{name!r}: expected {names['x-expected']}")
                is_right = False
            is_right &= self.check(value, schema["additionalProperties"], f"{schema['x-entry']} {name}")
        return is_right

    def _check_keys(self, node: Node, fields: dict[str, Node], schema: Schema) -> bool:
        properties: Schema = schema["properties"]
        what = schema["x-what"]
        before = self._mistakes.count
        for key in fields:
            if key not in properties:
                hint = did_you_mean(key, properties) or f"; {what} has {', '.join(properties)}"
                self._mistakes.add(node.keys[key], f"unknown key {key!r}{hint}")
        for key in schema["required"]:
            if key not in fields:
                self._mistakes.add(node.place, f"{what} needs {key!r}: {self._expected(properties[key])}")
        self._check_combinations(node, fields, schema)
        parts = [self.check(value, properties[key], key) for key, value in fields.items() if key in properties]
        return all(parts) and self._mistakes.count == before

    def _check_combinations(self, node: Node, fields: dict[str, Node], schema: Schema) -> None:
        what = schema["x-what"]
        options = [option["required"][0] for option in schema.get("oneOf", ())]
        if options and not any(key in fields for key in options):
            wanted = ", or ".join(f"{key!r}: {self._expected(schema['properties'][key])}" for key in options)
            self._mistakes.add(node.place, f"{what} needs {wanted}")
        pairs = [rule["not"]["required"] for rule in schema.get("allOf", ())]
        for first, second in [options, *pairs] if options else pairs:
            if first in fields and second in fields:
                self._mistakes.add(node.keys[second], f"{what} has either {first} or {second}, not both")
        for key, others in schema.get("dependentRequired", {}).items():
            for other in others if key in fields else ():
                if other not in fields:
                    wanted = self._expected(schema["properties"][other])
                    self._mistakes.add(node.keys[key], f"{what} with {key} needs {other!r}: {wanted}")
        conditions = schema.get("if", {}).get("properties", {})
        if conditions and all(key in fields and _accepts(rule, fields[key].value) for key, rule in conditions.items()):
            for key, rule in schema["then"]["properties"].items():
                if key in fields:
                    self._mistakes.add(node.keys[key], f"{key}: {rule['x-reason']}")

    def _expected(self, schema: Schema) -> str:
        return expected_text(self._resolved(schema))


def expected_text(schema: Schema) -> str:
    """What must stand somewhere, for "expected ..."."""
    if "x-expected" in schema:
        return str(schema["x-expected"])
    if "x-what" in schema:
        return f"a mapping with {', '.join(schema['properties'])}"
    if "enum" in schema:
        words = [str(value) for value in schema["enum"]]
        return " or ".join(words) if len(words) < 3 else f"one of {', '.join(words)}"
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    bounds = "" if lowest is None else f" from {lowest:,}" + ("" if highest is None else f" to {highest:,}")
    return " or ".join(_NOUNS[kind] for kind in _types(schema) if kind in _NOUNS) + bounds


def _kind(node: Node) -> str:
    return _KINDS[type(node.value)]


def _types(schema: Schema) -> list[str]:
    found = schema.get("type", list(_KINDS.values()))
    return [found] if isinstance(found, str) else found


def _accepted(schema: Schema) -> list[str]:
    types = _types(schema)
    return [*types, "integer"] if "number" in types else types


def _accepts(schema: Schema, value: Any) -> bool:
    """Whether a schema takes a value, what is inside of it left aside."""
    kind = _KINDS[type(value)]
    if kind not in _accepted(schema):
        return False
    if schema.get("x-type-only"):
        return True
    if "enum" in schema:
        return (kind, value) in _with_kinds(schema["enum"])
    if isinstance(value, str):
        return (
            schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
            and _pattern(schema.get("pattern", "")).search(value) is not None
        )
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    if isinstance(value, list):
        return len(value) >= int(schema.get("minItems", 0))
    return not isinstance(value, dict) or len(value) >= int(schema.get("minProperties", 0))


def _with_kinds(values: Iterable[object]) -> list[tuple[str, object]]:
    """With their types: in Python, true equals 1."""
    return [(_KINDS[type(value)], value) for value in values]


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    # In JSON Schema, $ is the end of the text and nothing before it.
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))
