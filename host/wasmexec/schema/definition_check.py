"""Everything that is wrong with a JSON Schema, each mistake with its place."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

from ..errors import SchemaError, SchemaMistake
from .columns import did_you_mean
from .dialects import REFERENCES, Dialect, Path, find_dialect, is_metaschema, patterns_of, root_uri, subschemas
from .ecma import NotAPatternError
from .explanations import VALUE, explain, innermost
from .patterns import compile_pattern
from .values import pointer, short_repr

_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
# Relative references of a schema that has no name of its own are resolved against this.


def find_mistakes(definition: dict[str, Any], dialect: Dialect) -> list[SchemaMistake]:
    """Every violation of the draft, pattern that is none and reference that leads nowhere, in the schema's order."""
    found = {*_violations(definition, dialect), *_bad_patterns(definition), *_bad_references(definition, dialect)}
    ordered = sorted(found, key=lambda item: (_position(definition, item[0]), item[1]))
    return [SchemaMistake(pointer(path), reason) for path, reason in ordered]


def _violations(definition: dict[str, Any], dialect: Dialect) -> Iterator[tuple[Path, str]]:
    # A schema within a schema may declare a draft of its own.
    resources: dict[Path, tuple[dict[str, Any], Dialect]] = {(): (definition, dialect)}
    for path, node in subschemas(definition):
        if path and "$schema" in node and isinstance(node.get("$id"), str):
            try:
                resources[path] = node, find_dialect(node, pointer(path))
            except SchemaError as error:
                yield (*path, "$schema"), error.reason
    for top, (node, own) in resources.items():
        for path, reason in _metaschema_errors(node, own):
            whole = (*top, *path)
            if not any(whole[: len(other)] == other for other in resources if len(other) > len(top)):
                yield whole, reason


def _metaschema_errors(definition: dict[str, Any], dialect: Dialect) -> Iterator[tuple[Path, str]]:
    if dialect.validator is None:
        from .reference_engine import draft_03_errors

        yield from draft_03_errors(definition)
        return
    for whole in _metaschema(dialect).iter_errors(definition):
        for error in innermost(whole):
            hint = _hint(error.instance_path[-1:], error.instance)
            yield tuple(error.instance_path), f"{short_repr(error.instance)}: {explain(error)}{hint}"


def _hint(last: list[str | int], value: object) -> str:
    """What the author may have meant, for what people know from another draft."""
    if last == ["items"] and isinstance(value, list):
        return '; since draft 2020-12 a list of schemas is called "prefixItems"'
    if last in (["exclusiveMinimum"], ["exclusiveMaximum"]):
        return "; since draft-06 it is the limit itself, in draft-04 true or false beside the limit"
    return did_you_mean(value, _TYPES) if isinstance(value, str) else ""


@lru_cache
def _metaschema(dialect: Dialect) -> jsonschema_rs.Validator:
    assert dialect.validator is not None
    # Patterns are looked at by `_bad_patterns`, which knows more of them.
    return dialect.validator({"$ref": dialect.uri}, validate_formats=False, offline=True, mask=VALUE)


def _bad_patterns(definition: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    for path, node in subschemas(definition):
        for at, text in patterns_of(node):
            try:
                compile_pattern(text)
            except NotAPatternError as error:
                yield (*path, *at), f"{short_repr(text)} is no regular expression: {error}"


def _bad_references(definition: dict[str, Any], dialect: Dialect) -> Iterator[tuple[Path, str]]:
    bad_names = list(_bad_names(definition, dialect))
    yield from bad_names
    if bad_names:
        return
    uri = root_uri(definition, dialect)
    outside: set[str] = set()

    def note(asked: str) -> dict[str, Any]:
        outside.add(asked)
        return {}

    try:
        root = jsonschema_rs.Registry([(uri, definition)], draft=dialect.number, retriever=note).resolver(uri)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        yield (), f"its references cannot be read: {error}"
        return
    bases: dict[Path, jsonschema_rs.Resolver] = {(): root}
    for path, node in subschemas(definition):
        length = max(length for length in range(len(path) + 1) if path[:length] in bases)
        base = bases[path[:length]]
        name = node.get(dialect.id_key)
        if path and isinstance(name, str) and not ("$ref" in node and dialect.number <= jsonschema_rs.Draft7):
            try:
                base = bases[path] = base.lookup(name).resolver
            except (ValueError, jsonschema_rs.ReferencingError):
                yield (*path, dialect.id_key), f"{name!r} is no name that references could use"
        for key in REFERENCES:
            target = node.get(key)
            if isinstance(target, str) and not is_metaschema(target) and not _leads_somewhere(base, target, outside):
                yield (*path, key), _lost(target)


def _leads_somewhere(base: jsonschema_rs.Resolver, target: str, outside: set[str]) -> bool:
    try:
        return base.lookup(target).resolver.base_uri not in outside
    except (ValueError, jsonschema_rs.ReferencingError):
        return False


def _lost(target: str) -> str:
    if target.startswith("#"):
        return f"{target!r} leads nowhere"
    return f"{target!r} lies outside this schema, and nothing is fetched: put it under $defs"


def _bad_names(definition: dict[str, Any], dialect: Dialect) -> Iterator[tuple[Path, str]]:
    for path, node in subschemas(definition):
        name = node.get(dialect.id_key)
        if isinstance(name, str) and name:
            try:
                jsonschema_rs.Registry([(name, {})])
            except (ValueError, jsonschema_rs.ReferencingError):
                yield (*path, dialect.id_key), f"{name!r} is no URI reference"


def _position(definition: Any, path: Path) -> list[int]:
    """Where something stands in the text, as numbers to sort by."""
    found: list[int] = []
    node = definition
    for key in path:
        keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        found.append(keys.index(key) if key in keys else -1)
        node = node[key] if key in keys else None
    return found
