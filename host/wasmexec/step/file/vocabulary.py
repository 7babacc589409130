"""What the schemas of our files are made of: JSON Schema (draft 2020-12), and notes in it for whoever reads the files.

A note is a key that starts with `x-`; `published` leaves them out.

- `x-what`: what a mapping is, for "a step needs ...".
- `x-expected`: what must stand there, for "expected ..."; without it the words are made of the other keys.
- `x-entry`: what an entry of a mapping with free names is, for "secret NAME: ...".
- `x-reason`: why a key may not be there.
- `x-type-only`: the code that reads the value says what is wrong with it; what is here beside its type is for editors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_NAME = {
    "pattern": r"^(?!__)[^\W\d]\w*$",
    "x-expected": "a name that Python takes after LocalVariable., without leading __",
}


def about(schema: Schema, description: str) -> Schema:
    """The schema with a text for people."""
    return {**schema, "description": description}


def text(expected: str = "a text", **more: object) -> Schema:
    """A text that is not blank."""
    return {"type": "string", "pattern": r"\S", "x-expected": expected, **more}


def file_name(expected: str = "the name of a file") -> Schema:
    """A text that a file can be called: not blank, and without NUL."""
    return text(expected, pattern=r"^(?![^\u0000]*\u0000)\s*\S")


def mapping(what: str, properties: Schema, required: Sequence[str] = (), **more: object) -> Schema:
    """A mapping with these keys and no others."""
    return {
        "type": "object", "x-what": what, "properties": properties, "required": list(required),
        "additionalProperties": False, **more,
    }  # fmt: skip


def entries(entry: str, values: Schema, expected: str, *, named: bool = True) -> Schema:
    """A mapping whose keys are free: names of `LocalVariable` if `named`."""
    names = {"propertyNames": _NAME} if named else {}
    return {"type": "object", "x-entry": entry, "x-expected": expected, "additionalProperties": values, **names}


def items(expected: str, each: Schema, **more: object) -> Schema:
    """A list."""
    return {"type": "array", "x-expected": expected, "items": each, **more}


def either(*keys: str) -> Schema:
    """For a mapping that has exactly one of some keys."""
    return {"oneOf": [{"required": [key]} for key in keys]}


def at_most_one(*keys: str) -> Schema:
    """For a mapping that has one of some keys, or none."""
    pairs = [[first, second] for number, first in enumerate(keys) for second in keys[number + 1 :]]
    return {"allOf": [{"not": {"required": pair}} for pair in pairs]}


def refused_when(key: str, values: Sequence[str], refused: str, reason: str) -> Schema:
    """For a mapping in which one key may not be there when another has one of some values."""
    return {
        "if": {"properties": {key: {"enum": list(values)}}, "required": [key]},
        "then": {"properties": {refused: {"not": {}, "x-reason": reason}}},
    }


def published(schema: Any) -> Any:
    """The schema without our notes."""
    if isinstance(schema, dict):
        return {key: published(value) for key, value in schema.items() if not key.startswith("x-")}
    return [published(item) for item in schema] if isinstance(schema, list) else schema
