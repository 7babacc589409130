"""Everything that is wrong with a JSON Schema, each mistake with its place."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from ..errors import SchemaError, SchemaMistake
from .columns import did_you_mean
from .dialects import (
    REFERENCES,
    Dialect,
    Path,
    Subschema,
    expected_schemas,
    find_dialect,
    is_metaschema,
    patterns_of,
    root_uri,
    shallow,
    subschemas,
)  # fmt: skip
from .ecma import NotAPatternError
from .explanations import VALUE, explain, innermost
from .patterns import compile_pattern
from .values import pointer, short_repr, shorten

_MOST: Final = 300
_PATTERN_SECONDS: Final = 2.0
_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")


def find_mistakes(definition: dict[str, Any], dialect: Dialect) -> list[SchemaMistake]:
    """Every violation of the draft, pattern that is none and reference that leads nowhere, in the schema's order.

    Of each kind the first few hundred.
    """
    nodes = list(subschemas(definition))
    kinds = (
        _violations(nodes, definition, dialect),
        _undeclared(nodes),
        _bad_patterns(nodes),
        _bad_references(nodes, definition, dialect),
    )
    found = {mistake for kind in kinds for mistake in islice(kind, _MOST)}
    positions = _Positions(definition)
    ordered = sorted(found, key=lambda item: (positions.of(item[0]), item[1]))
    return [SchemaMistake(pointer(path), reason) for path, reason in ordered]


def _undeclared(nodes: list[Subschema]) -> Iterator[tuple[Path, str]]:
    for path, node in nodes:
        if path and _is_resource(node):
            try:
                find_dialect(node)
            except SchemaError as error:
                yield (*path, "$schema"), error.reason


def _is_resource(node: dict[str, Any]) -> bool:
    """Whether a schema within a schema declares a draft of its own."""
    return "$schema" in node and isinstance(node.get("$id"), str)


def _violations(nodes: list[Subschema], definition: dict[str, Any], dialect: Dialect) -> Iterator[tuple[Path, str]]:
    # Nothing is wrong with most.
    resources = any(path and _is_resource(node) for path, node in nodes)
    if dialect.validator is not None and not resources and _metaschema(dialect).is_valid(definition):
        return
    stack: list[tuple[Path, dict[str, Any], Dialect]] = [((), definition, dialect)]
    while stack:
        path, node, own = stack.pop()
        if path and _is_resource(node):
            with suppress(SchemaError):
                own = find_dialect(node)
        children = list(expected_schemas(node, own))
        # SECURITY: each schema by itself. The library gathers the errors of a branch with all that is below it.
        for where, reason in _metaschema_errors(node, shallow(node, children), own):
            yield (*path, *where), reason
        stack += [((*path, *below), child, own) for below, child in reversed(children)]


def _metaschema_errors(
    node: dict[str, Any], without_children: dict[str, Any], dialect: Dialect
) -> Iterator[tuple[Path, str]]:
    if dialect.validator is None:
        from .reference_engine import draft_03_errors

        for where, reason in draft_03_errors(without_children):
            yield where, f"{short_repr(_at(node, where))}: {reason}"
        return
    metaschema = _metaschema(dialect)
    if metaschema.is_valid(without_children):
        return
    for whole in metaschema.iter_errors(without_children):
        for error in innermost(whole):
            path = error.instance_path
            value = _at(node, path)
            yield tuple(path), f"{short_repr(value)}: {explain(error)}{_hint(path[-1:], value)}"


def _at(node: Any, path: Iterable[str | int]) -> Any:
    for key in path:
        node = node[key]
    return node


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


def _bad_patterns(nodes: list[Subschema]) -> Iterator[tuple[Path, str]]:
    started = time.thread_time()
    for path, node in nodes:
        for at, text in patterns_of(node):
            if time.thread_time() - started > _PATTERN_SECONDS:
                yield (*path, *at), "this pattern and those before it take too long to compile"
                return
            try:
                compile_pattern(text)
            except NotAPatternError as error:
                yield (*path, *at), f"{short_repr(text)} is no regular expression: {shorten(str(error), 200)}"


def _bad_references(nodes: list[Subschema], definition: dict[str, Any], dialect: Dialect) -> Iterator[tuple[Path, str]]:
    bad_names = list(islice(_bad_names(nodes, dialect), _MOST))
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
    for path, node in nodes:
        base = root if len(bases) == 1 else _nearest(bases, path)
        name = node.get(dialect.id_key)
        if path and isinstance(name, str) and not ("$ref" in node and dialect.number <= jsonschema_rs.Draft7):
            try:
                base = bases[path] = base.lookup(name).resolver
            except (ValueError, jsonschema_rs.ReferencingError):
                yield (*path, dialect.id_key), f"{short_repr(name)} is no name that references could use"
        for key in REFERENCES:
            target = node.get(key)
            if isinstance(target, str) and not is_metaschema(target) and not _leads_somewhere(base, target, outside):
                yield (*path, key), _lost(target)


def _nearest(bases: dict[Path, jsonschema_rs.Resolver], path: Path) -> jsonschema_rs.Resolver:
    return next(bases[path[:length]] for length in range(len(path), -1, -1) if path[:length] in bases)


def _leads_somewhere(base: jsonschema_rs.Resolver, target: str, outside: set[str]) -> bool:
    try:
        return base.lookup(target).resolver.base_uri not in outside
    except (ValueError, jsonschema_rs.ReferencingError):
        return False


def _lost(target: str) -> str:
    if target.startswith("#"):
        return f"{short_repr(target)} leads nowhere"
    return f"{short_repr(target)} lies outside this schema, and nothing is fetched: put it under $defs"


def _bad_names(nodes: list[Subschema], dialect: Dialect) -> Iterator[tuple[Path, str]]:
    for path, node in nodes:
        name = node.get(dialect.id_key)
        if isinstance(name, str) and name:
            try:
                jsonschema_rs.Registry([(name, {})])
            except (ValueError, jsonschema_rs.ReferencingError):
                yield (*path, dialect.id_key), f"{short_repr(name)} is no URI reference"


class _Positions:
    """Where something stands in the text of a schema, as numbers to sort by."""

    def __init__(self, definition: dict[str, Any]) -> None:
        self._definition = definition
        self._known: dict[int, dict[str, int]] = {}

    def of(self, path: Path) -> list[int]:
        found: list[int] = []
        node: Any = self._definition
        for key in path:
            if isinstance(node, dict) and key in node:
                if id(node) not in self._known:
                    self._known[id(node)] = {name: index for index, name in enumerate(node)}
                found.append(self._known[id(node)][str(key)])
                node = node[key]
            elif isinstance(node, list) and isinstance(key, int) and key < len(node):
                found.append(key)
                node = node[key]
            else:
                found.append(-1)
                node = None
        return found
