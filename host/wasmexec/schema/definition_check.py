"""Everything that is wrong with a JSON Schema, each mistake with its place."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
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
    declared_dialect,
    expected_schemas,
    find_dialect,
    is_metaschema,
    patterns_of,
    reference_target,
    root_uri,
    shallow,
)  # fmt: skip
from .ecma import NotAPatternError
from .explanations import VALUE, explain, innermost
from .patterns import compile_pattern
from .values import pointer, short_repr, shorten

_MOST: Final = 300
_MOST_AT_ONCE: Final = 1000
_MOST_PATTERNS: Final = 2000
_MOST_OTHER_PATTERNS: Final = 500
_PATTERN_CHARACTERS: Final = 30_000
_PATTERN_SECONDS: Final = 0.5
_REFERENCE_SECONDS: Final = 1.0
_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")


def find_mistakes(definition: dict[str, Any], dialect: Dialect, nodes: list[Subschema]) -> list[SchemaMistake]:
    """Every violation of the draft, pattern that is none and reference that leads nowhere, in the schema's order.

    Of each kind the first few hundred. `nodes` are the schemas in it (`subschemas`).
    """
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
            own = declared_dialect(node) or own
        children = list(expected_schemas(node, own))
        # SECURITY: each schema by itself. The library gathers the errors of a branch with all that is below it.
        for where, reason in _metaschema_errors(node, shallow(node, children), own):
            yield (*path, *where), reason
        stack += [((*path, *below), child, own) for below, child in reversed(children)]


def _metaschema_errors(
    node: dict[str, Any], without_children: dict[str, Any], dialect: Dialect
) -> Iterator[tuple[Path, str]]:
    errors = _draft_03_errors if dialect.validator is None else partial(_errors, _metaschema(dialect))
    pieces = 0
    wrong: set[Path] = set()
    # SECURITY: a library gathers every error of what it is given before it tells the first.
    for at, first, piece in _pieces(without_children):
        pieces += 1
        for path, reason in () if at in wrong else errors(piece):
            where = (path[0], path[1] + first, *path[2:]) if len(path) > 1 and isinstance(path[1], int) else path
            wrong.add(where)
            value = _at(node, where)
            yield where, f"{short_repr(value)}: {reason}{_hint(where[-1:], value)}"
    if pieces > 1 and not wrong:
        # Items of different pieces may be the same.
        yield from ((path, f"{short_repr(_at(node, path))}: {reason}") for path, reason in errors(without_children))


def _pieces(node: dict[str, Any]) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """A schema in parts of bounded length, each with the keyword that it is a part of, and the index of its first item.

    Keywords that are short are one part.
    """
    long = [key for key, value in node.items() if isinstance(value, (list, dict)) and len(value) > _MOST_AT_ONCE]
    yield (), 0, {key: value for key, value in node.items() if key not in long}
    for key in long:
        value = node[key]
        for first in range(0, len(value), _MOST_AT_ONCE):
            if isinstance(value, list):
                yield (key,), first, {key: value[first : first + _MOST_AT_ONCE]}
            else:
                yield (key,), 0, {key: dict(islice(value.items(), first, first + _MOST_AT_ONCE))}


def _errors(metaschema: jsonschema_rs.Validator, node: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    if metaschema.is_valid(node):
        return
    for whole in metaschema.iter_errors(node):
        for error in innermost(whole):
            yield tuple(error.instance_path), explain(error)


def _draft_03_errors(node: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    from .reference_engine import draft_03_errors

    return draft_03_errors(node)


def _at(node: Any, path: Iterable[str | int]) -> Any:
    for key in path:
        node = node[key]
    return node


def _hint(last: Path, value: object) -> str:
    """What the author may have meant, for what people know from another draft."""
    if last == ("items",) and isinstance(value, list):
        return '; since draft 2020-12 a list of schemas is called "prefixItems"'
    if last in (("exclusiveMinimum",), ("exclusiveMaximum",)):
        return "; since draft-06 it is the limit itself, in draft-04 true or false beside the limit"
    return did_you_mean(value, _TYPES) if isinstance(value, str) else ""


@lru_cache
def _metaschema(dialect: Dialect) -> jsonschema_rs.Validator:
    assert dialect.validator is not None
    # Patterns are looked at by `_bad_patterns`, which knows more of them.
    return dialect.validator({"$ref": dialect.uri}, validate_formats=False, offline=True, mask=VALUE)


def _bad_patterns(nodes: list[Subschema]) -> Iterator[tuple[Path, str]]:
    seen: set[str] = set()
    others = characters = 0
    seconds = 0.0
    for path, node in nodes:
        for at, text in patterns_of(node):
            if text in seen:
                continue
            seen.add(text)
            characters += len(text)
            if len(seen) > _MOST_PATTERNS or characters > _PATTERN_CHARACTERS:
                most = f"{_MOST_PATTERNS:,} different patterns with {_PATTERN_CHARACTERS:,} characters together"
                yield (*path, *at), f"a schema may have up to {most}"
                return
            try:
                pattern = compile_pattern(text)
            except NotAPatternError as error:
                yield (*path, *at), f"{short_repr(text)} is no regular expression: {shorten(str(error), 200)}"
                continue
            others += not pattern.is_linear
            seconds += pattern.seconds
            if others > _MOST_OTHER_PATTERNS:
                most = f"{_MOST_OTHER_PATTERNS:,} different patterns that are not of the linear-time kind"
                yield (*path, *at), f"a schema may have up to {most}"
                return
            if seconds > _PATTERN_SECONDS:
                yield (*path, *at), "this pattern and those before it take too long to compile"
                return


class _Base:
    """What the references of a schema are relative to: a resource, and where it is."""

    def __init__(self, node: dict[str, Any], resolver: jsonschema_rs.Resolver) -> None:
        self._node = node
        self.resolver = resolver
        self.known: dict[str, str | None] = {}

    def has(self, target: str) -> bool:
        """Whether a path leads to a schema in it; of anything else that says nothing."""
        return target == "#" or reference_target(self._node, target) is not None


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
    bases: dict[Path, _Base] = {(): _Base(definition, root)}
    started = time.thread_time()
    for path, node in nodes:
        base = bases[path] = _nearest(bases, path)
        name = node.get(dialect.id_key)
        if path and isinstance(name, str) and not ("$ref" in node and dialect.number <= jsonschema_rs.Draft7):
            try:
                base = bases[path] = _Base(node, base.resolver.lookup(name).resolver)
            except (ValueError, jsonschema_rs.ReferencingError):
                yield (*path, dialect.id_key), f"{short_repr(name)} is no name that references could use"
        for key in REFERENCES:
            target = node.get(key)
            if not isinstance(target, str) or is_metaschema(target) or base.has(target):
                continue
            if target not in base.known:
                # SECURITY: each makes a copy of what it leads to.
                if time.thread_time() - started > _REFERENCE_SECONDS:
                    yield (*path, key), "this reference and those before it take too long to follow"
                    return
                base.known[target] = None if _leads_somewhere(base.resolver, target, outside) else _lost(target)
            if (lost := base.known[target]) is not None:
                yield (*path, key), lost


def _nearest(bases: dict[Path, _Base], path: Path) -> _Base:
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
