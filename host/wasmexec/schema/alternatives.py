"""`anyOf` and `oneOf` for an engine that would gather every error of every branch before it says that none fits.

SECURITY: for a value of a hostile guest that is a tree of gigabytes, and with references to itself one that doubles
with every level. So the schema that explains a refusal asks only whether they fit; each branch is explained by itself.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote

import jsonschema_rs

from .dialects import REFERENCES, Dialect, Path, is_metaschema, subschemas
from .values import pointer

_KEYWORDS: Final = ("anyOf", "oneOf")
_Ways: TypeAlias = "dict[int, dict[str, Path]]"


@dataclass(frozen=True, slots=True)
class Alternatives:
    """The branches of one `keyword`: the path of their list in the changed schema, and of what refuses for them."""

    keyword: str
    at: Path
    count: int
    refusing: Path


def without_trees(definition: dict[str, Any], dialect: Dialect) -> tuple[dict[str, Any], list[Alternatives], bool]:
    """The definition with the same verdicts, where alternatives only say that none fits.

    Last comes whether these are all alternatives that it could lead to.
    """
    changed = copy.deepcopy(definition)
    nodes = {id(node): (path, node) for path, node in subschemas(changed)}
    # Before draft-07 there is no "if", but nothing either that asks what a branch has looked at.
    asking: Path = ("not", "not") if dialect.number < jsonschema_rs.Draft7 else ("if",)
    ways: _Ways = {}
    for identity, (_, node) in nodes.items():
        first = len(node.get("allOf", ()))
        found = [keyword for keyword in _KEYWORDS if isinstance(node.get(keyword), list)]
        ways[identity] = {keyword: ("allOf", index, *asking) for index, keyword in enumerate(found, first)}
    alternatives = []
    for identity, (path, node) in nodes.items():
        for keyword, way in ways[identity].items():
            moved = _moved(changed, path, ways)
            refusing = (*moved, *way[:2], "else" if asking == ("if",) else "not")
            alternatives.append(Alternatives(keyword, (*moved, *way, keyword), len(node[keyword]), refusing))
    references = [
        (node, key, _moved_reference(changed, node[key], ways))
        for _, node in nodes.values()
        for key in REFERENCES
        if isinstance(node.get(key), str)
    ]
    for identity, (_, node) in nodes.items():
        for keyword in ways[identity]:
            fitting = {keyword: node.pop(keyword)}
            asked = {"if": fitting, "else": False} if asking == ("if",) else {"not": {"not": fitting}}
            node["allOf"] = [*node.get("allOf", ()), asked]
    for node, key, reference in references:
        node[key] = reference
    return (
        changed,
        alternatives,
        _lists_in(definition) <= len(alternatives)
        and not any(is_metaschema(reference) for _, _, reference in references),
    )


def reference_to(uri: str, path: Path) -> str:
    """The URI reference of a place in the schema that is registered as `uri`."""
    return f"{uri}#{quote(pointer(path), safe='/~')}"


def _lists_in(definition: Any) -> int:
    """How many lists there are under a name of alternatives, in schemas or elsewhere."""
    found = 0
    nodes = [definition]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            found += sum(isinstance(node.get(keyword), list) for keyword in _KEYWORDS)
            nodes.extend(node.values())
        elif isinstance(node, list):
            nodes.extend(node)
    return found


def _moved(root: Any, path: Path, ways: _Ways) -> Path:
    """The path after the alternatives have moved."""
    found: list[str | int] = []
    node = root
    for key in path:
        found += _way(ways, node, key)
        found.append(key)
        node = node[key]
    return tuple(found)


def _moved_reference(root: Any, reference: str, ways: _Ways) -> str:
    """A reference such as "#/properties/a/anyOf/0" after the alternatives have moved; any other as it is."""
    if not reference.startswith("#/"):
        return reference
    path: list[str | int] = []
    node = root
    for token in unquote(reference[2:]).split("/"):
        key: str | int = token.replace("~1", "/").replace("~0", "~")
        try:
            key = int(key) if isinstance(node, list) else key
            node = node[key]
        except (LookupError, TypeError, ValueError):
            return reference
        path.append(key)
    moved = _moved(root, tuple(path), ways)
    return reference if len(moved) == len(path) else reference_to("", moved)


def _way(ways: Mapping[int, Mapping[str, Path]], node: object, key: object) -> Path:
    return ways.get(id(node), {}).get(key, ()) if isinstance(key, str) else ()
