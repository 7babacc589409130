"""The drafts of JSON Schema: how each is named, and where schemas stand inside a schema."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import jsonschema_rs

from ..errors import SchemaError
from .columns import did_you_mean
from .values import short_repr

Path: TypeAlias = "tuple[str | int, ...]"

ROOT_URI: Final = "wasmexec:///schema"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One draft: `number` as jsonschema-rs counts them, `validator` its class there, None if it has none."""

    name: str
    uri: str
    id_key: str
    number: int
    validator: type[jsonschema_rs.Validator] | None


_OLD: Final = "http://json-schema.org/draft-{}/schema#"
_NEW: Final = "https://json-schema.org/draft/{}/schema"
DEFAULT: Final = Dialect(
    "draft 2020-12", _NEW.format("2020-12"), "$id", jsonschema_rs.Draft202012, jsonschema_rs.Draft202012Validator
)
# References of draft-03 work as those of draft-04 do.
DRAFT_03: Final = Dialect("draft-03", _OLD.format("03"), "id", jsonschema_rs.Draft4, None)
_DIALECTS: Final = (
    DRAFT_03,
    Dialect("draft-04", _OLD.format("04"), "id", jsonschema_rs.Draft4, jsonschema_rs.Draft4Validator),
    Dialect("draft-06", _OLD.format("06"), "$id", jsonschema_rs.Draft6, jsonschema_rs.Draft6Validator),
    Dialect("draft-07", _OLD.format("07"), "$id", jsonschema_rs.Draft7, jsonschema_rs.Draft7Validator),
    Dialect(
        "draft 2019-09", _NEW.format("2019-09"), "$id", jsonschema_rs.Draft201909, jsonschema_rs.Draft201909Validator
    ),
    DEFAULT,
)


def _plain(uri: str) -> str:
    return uri.removesuffix("#").removeprefix("https://").removeprefix("http://")


_BY_URI: Final = {_plain(dialect.uri): dialect for dialect in _DIALECTS}


def find_dialect(definition: dict[str, Any], at: str = "") -> Dialect:
    """The draft that a schema declares by `$schema`; draft 2020-12 without it. `at` is the pointer of the schema.

    Raises:
        SchemaError: it declares something else.
    """
    dialect = declared_dialect(definition)
    if dialect is not None:
        return dialect
    uri = definition["$schema"]
    hint = did_you_mean(uri, (dialect.uri for dialect in _DIALECTS)) if isinstance(uri, str) else ""
    known = ", ".join(dialect.uri for dialect in _DIALECTS)
    reason = f"{short_repr(uri)} is no known draft of JSON Schema{hint or ';'} known are {known}"
    raise SchemaError(f"{at}/$schema", f"{reason}; without $schema it is {DEFAULT.name}")


def declared_dialect(definition: dict[str, Any]) -> Dialect | None:
    """The same; None if it declares something else."""
    uri = definition.get("$schema", DEFAULT.uri)
    return _BY_URI.get(_plain(uri)) if isinstance(uri, str) else None


def is_metaschema(uri: str) -> bool:
    """Whether this is the URI of one of the drafts themselves, which are at hand without fetching anything."""
    return _plain(uri) in _BY_URI


# Their values are schemas, or lists in which the objects are schemas.
_SCHEMA_KEYS: Final = (
    "items", "prefixItems", "additionalItems", "unevaluatedItems", "contains", "additionalProperties",
    "unevaluatedProperties", "propertyNames", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "contentSchema",
    "extends", "disallow", "type",
)  # fmt: skip
# Their values are objects whose values are schemas; in `dependencies`, lists of names too.
_MAP_KEYS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
_KEYWORDS: Final = {
    *_SCHEMA_KEYS, *_MAP_KEYS, "$schema", "$id", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef",
    "$recursiveAnchor", "$vocabulary", "$comment", "dependentRequired", "enum", "const", "multipleOf", "maximum",
    "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems",
    "uniqueItems", "maxContains", "minContains", "maxProperties", "minProperties", "required", "format",
    "contentEncoding", "contentMediaType", "title", "description", "default", "deprecated", "readOnly", "writeOnly",
    "examples", "divisibleBy",
}  # fmt: skip
# As jsonschema-rs reads them.
_INDEX: Final = re.compile(r"\+?0*[0-9]{1,9}")
REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")


def has_keyword(definition: dict[str, Any]) -> bool:
    """Whether any key means something to any draft ("id" does not count: a column is often called so)."""
    return not _KEYWORDS.isdisjoint(definition)


class Subschema(NamedTuple):
    """A schema inside a schema, or the whole, with the way to it."""

    path: Path
    node: dict[str, Any]


def subschemas(definition: dict[str, Any]) -> Iterator[Subschema]:
    """Every schema of a definition that keywords or local references lead to, each once; wrong types are skipped."""
    stack = [Subschema((), definition)]
    seen: set[Path] = set()
    while stack:
        subschema = stack.pop()
        path, node = subschema
        if path in seen:
            continue
        seen.add(path)
        yield subschema
        found = [
            *_below(subschema),
            *(target for key in REFERENCES if (target := reference_target(definition, node.get(key)))),
        ]
        stack.extend(reversed(found))


def _below(subschema: Subschema) -> Iterator[Subschema]:
    path, node = subschema
    for key, value in node.items():
        if key in _SCHEMA_KEYS and isinstance(value, dict):
            yield Subschema((*path, key), value)
        elif key in _SCHEMA_KEYS and isinstance(value, list):
            yield from (Subschema((*path, key, i), item) for i, item in enumerate(value) if isinstance(item, dict))
        elif key in _MAP_KEYS and isinstance(value, dict):
            yield from (Subschema((*path, key, name), item) for name, item in value.items() if isinstance(item, dict))


def reference_target(definition: dict[str, Any], reference: object) -> Subschema | None:
    """Where a reference such as "#/components/schemas/Row" leads, as keywords alone may not lead there."""
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    from urllib.parse import unquote

    node: Any = definition
    path: list[str | int] = []
    for token in unquote(reference[2:]).split("/"):
        key: str | int = token.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            # -1 is an index in Python only.
            if _INDEX.fullmatch(token) is None:
                return None
            key = int(token)
        try:
            node = node[key]
        except (LookupError, TypeError):
            return None
        path.append(key)
    return Subschema(tuple(path), node) if isinstance(node, dict) else None


# Where each draft's own schema expects schemas.
_FOR_03: Final = frozenset(
    ("additionalItems", "additionalProperties", "dependencies", "disallow", "extends", "items", "patternProperties",
     "properties", "type")
)  # fmt: skip
_FOR_04: Final = (_FOR_03 - {"disallow", "extends", "type"}) | {"allOf", "anyOf", "oneOf", "not", "definitions"}
_FOR_07: Final = _FOR_04 | {"contains", "propertyNames", "if", "then", "else"}
_FOR_2019: Final = _FOR_07 | {"$defs", "contentSchema", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties"}
_EXPECTED: Final = {
    "draft-03": _FOR_03, "draft-04": _FOR_04, "draft-06": _FOR_07 - {"if", "then", "else"}, "draft-07": _FOR_07,
    "draft 2019-09": _FOR_2019, "draft 2020-12": (_FOR_2019 - {"additionalItems"}) | {"prefixItems"},
}  # fmt: skip
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems", "type", "disallow")
_LISTS_OR_NOT: Final = ("items", "extends")


def expected_schemas(node: dict[str, Any], dialect: Dialect) -> Iterator[Subschema]:
    """The schemas directly in a schema, with their paths in it, where its draft expects some."""
    keys = _EXPECTED[dialect.name]
    for path, child in _below(Subschema((), node)):
        key = path[0]
        if key not in keys:
            continue
        if isinstance(node[key], dict) and key in _LISTS:
            continue
        if isinstance(node[key], list) and not _takes_list(key, dialect):
            continue
        yield Subschema(path, child)


def _takes_list(key: object, dialect: Dialect) -> bool:
    return key in _LISTS or (key in _LISTS_OR_NOT and (key != "items" or dialect is not DEFAULT))


def shallow(node: dict[str, Any], children: Iterable[Subschema]) -> dict[str, Any]:
    """A schema with nothing in the schemas in it, which are looked at by themselves."""
    found = dict(node)
    for path, _ in children:
        key = str(path[0])
        if len(path) == 1:
            found[key] = {}
            continue
        if found[key] is node[key]:
            found[key] = found[key].copy()
        # Draft-03 wants those of a union to differ.
        found[key][path[1]] = {"title": str(path[1])}
    return found


def root_uri(definition: dict[str, Any], dialect: Dialect) -> str:
    """Under which URI a schema is to be registered."""
    name = definition.get(dialect.id_key)
    # Until draft-07 a name may be nothing but an anchor: "#row".
    return (name.partition("#")[0] if isinstance(name, str) else "") or ROOT_URI


def patterns_of(node: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """The patterns of one schema, without those of schemas in it."""
    if isinstance(node.get("pattern"), str):
        yield ("pattern",), node["pattern"]
    if isinstance(node.get("patternProperties"), dict):
        yield from ((("patternProperties", text), text) for text in node["patternProperties"])
