"""How much work a JSON Schema makes of one value: references let a short schema apply itself a billion times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from .dialects import REFERENCES, Dialect, Path, Subschema, reference_target, subschemas

MOST_APPLIED: Final = 100_000
MOST_ASKED: Final = 1_000_000
MOST_IN_A_CHAIN: Final = 300
_OPTIONS_LIKE_ONE: Final = 10
_FIRST_OPTIONS: Final = 10
"""Which count as much as a schema: a few of them are no light work."""
_MOST_OPTIONS: Final = 50_000
_LIKE_A_DIVISION: Final = 30
"""Of numbers with hundreds of digits."""
_DEAR: Final = 4
"""Looking for an item that fits, or at a name in other alphabets."""
_Node: TypeAlias = "dict[str, Any]"
_LISTS: Final = ("allOf", "anyOf", "oneOf", "extends", "disallow", "type")
_SINGLES: Final = ("not", "if", "then", "else", "extends")
_MAPS: Final = ("dependentSchemas", "dependencies")
_UNEVALUATED: Final = ("unevaluatedProperties", "unevaluatedItems")
_IN_PLACE: Final = frozenset((*REFERENCES, *_LISTS, *_SINGLES, *_MAPS)) - {"type"}
# Here an engine asks no more than whether a value fits, and remembers the answer.
_ASKED: Final = ("anyOf", "oneOf", "not", "if", "disallow", "type")


class Burden(NamedTuple):
    """`applied`: how many schemas look at one value of one kind, or below it along one way, and where they are most.

    `growth`: into how many of itself the schema leads from one value to one below it.
    """

    applied: int
    at: Path
    growth: int


@dataclass(slots=True)
class _Weight:
    applied: int = 1
    recursive: int = 0


def burden_of(definition: _Node, dialect: Dialect, found: list[Subschema]) -> Burden:
    """Linear in the schema; references that lead back count as one step. `found` are the schemas in it."""
    weights = _weights(definition, dialect, found)
    worst = max(found, key=lambda item: weights.get(id(item.node), _Weight()).applied)
    growth = max((weight.recursive for weight in weights.values()), default=0)
    return Burden(weights.get(id(worst.node), _Weight()).applied, worst.path, growth)


def burdens_of(definition: _Node, dialect: Dialect) -> dict[int, int]:
    """What is `applied` to a value by each schema in a definition, by its `id`."""
    found = list(subschemas(definition))
    return {identity: weight.applied for identity, weight in _weights(definition, dialect, found).items()}


def _weights(definition: _Node, dialect: Dialect, found: list[Subschema]) -> dict[int, _Weight]:
    names = _names(found, dialect)
    weights: dict[int, _Weight] = {}
    below: dict[int, list[tuple[str, _Node]]] = {}
    under_way: set[int] = set()
    stack = [definition]
    while stack:
        node = stack[-1]
        if id(node) in weights:
            stack.pop()
        elif id(node) in under_way:
            under_way.discard(id(node))
            weights[id(node)] = _weight(node, below.pop(id(node)), weights)
            stack.pop()
        else:
            under_way.add(id(node))
            below[id(node)] = list(_below(definition, node, names))
            stack += [child for _, child in below[id(node)] if id(child) not in weights and id(child) not in under_way]
    return weights


def unevaluated_burden(definition: _Node, dialect: Dialect, found: list[Subschema]) -> tuple[Path, str] | None:
    """The first "unevaluated..." that looks at too many schemas to see what they have looked at; None if there is none.

    SECURITY: jsonschema-rs compiles those anew for each that asks, and again for each among them that asks itself; it
    crashes where thousands lead from one to the next.
    """
    asking = [subschema for subschema in found if not subschema.node.keys().isdisjoint(_UNEVALUATED)]
    names = _names(found, dialect) if asking else {}
    below: dict[int, list[_Node]] = {}
    asked = 0
    for path, node in asking:
        keyword = next(name for name in _UNEVALUATED if name in node)
        seen = {id(node)}
        level = [node]
        levels = named = also_asking = 0
        while level:
            levels += 1
            named += sum(map(_named, level))
            also_asking += sum(not item.keys().isdisjoint(_UNEVALUATED) for item in level)
            if asked + named * also_asking > MOST_ASKED:
                return (*path, keyword), f"more than {MOST_ASKED:,} schemas and names would be looked at for it"
            if levels > MOST_IN_A_CHAIN:
                return (*path, keyword), f"it would look at a schema through more than {MOST_IN_A_CHAIN} others"
            above, level = level, []
            for item in above:
                if id(item) not in below:
                    below[id(item)] = [child for key, child in _below(definition, item, names) if key in _IN_PLACE]
                for child in below[id(item)]:
                    if id(child) not in seen:
                        seen.add(id(child))
                        level.append(child)
        asked += named * also_asking
    return None


def _named(node: _Node) -> int:
    return 1 + sum(len(node[key]) for key in ("properties", "patternProperties") if isinstance(node.get(key), dict))


def _weight(node: _Node, below: list[tuple[str, _Node]], weights: Mapping[int, _Weight]) -> _Weight:
    options = node.get("enum")
    sums = _Weight()
    if isinstance(options, list):
        kinds = set(map(type, options))
        # Those of one kind are found by their hash, others compared one by one.
        if not kinds.isdisjoint((dict, list)):
            sums.applied += min(len(options), _MOST_OPTIONS)
        elif len(kinds) > 1:
            sums.applied += min(len(options), _FIRST_OPTIONS) + len(options) // _OPTIONS_LIKE_ONE
    if isinstance(node.get("multipleOf"), float):
        sums.applied += _LIKE_A_DIVISION
    if "contains" in node or str(node.get("format")).startswith("idn-"):
        sums.applied += _DEAR
    # Of the properties, and of the first items, one is for a value at most; the rest of them is for what they are not.
    groups: dict[str, tuple[int, int]] = {}
    for key, child in below:
        weight = weights.get(id(child), _Weight(1, 1))
        recursive = 0 if key in _ASKED else weight.recursive
        if key in ("properties", "prefixItems", "additionalProperties", "items"):
            group = "items" if key in ("prefixItems", "items") else key
            before = groups.get(group, (0, 0))
            groups[group] = max(before[0], weight.applied), max(before[1], recursive)
        else:
            before = groups.get(f"+{key}", (0, 0))
            groups[f"+{key}"] = before[0] + weight.applied, before[1] + recursive
    extra = groups.pop("additionalProperties", (0, 0))
    named = groups.pop("properties", (0, 0))
    matched = groups.pop("+patternProperties", (0, 0))
    groups["names"] = max(extra[0], named[0] + matched[0]), max(extra[1], named[1] + matched[1])
    sums.applied += sum(applied for applied, _ in groups.values())
    sums.recursive += sum(recursive for _, recursive in groups.values())
    return sums


def _below(definition: _Node, node: _Node, names: Mapping[str, _Node]) -> Iterator[tuple[str, _Node]]:
    for key, value in node.items():
        if key in REFERENCES and isinstance(value, str):
            target = reference_target(definition, value)
            known = names.get(value) if target is None else target.node
            if known is not None:
                yield key, known
        elif isinstance(value, dict) and key in (*_MAPS, "properties", "patternProperties"):
            yield from ((key, child) for child in value.values() if isinstance(child, dict))
        elif isinstance(value, dict) and key not in ("$defs", "definitions", "const", "default"):
            yield key, value
        elif isinstance(value, list) and key in (*_LISTS, "prefixItems", "items"):
            yield from ((key, child) for child in value if isinstance(child, dict))


def _names(found: list[Any], dialect: Dialect) -> dict[str, _Node]:
    """What references that are no paths lead to."""
    names = {}
    for path, node in found:
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(node.get(key), str):
                names[f"#{node[key]}"] = node
        if isinstance(node.get(dialect.id_key), str):
            names[node[dialect.id_key]] = node
        if not path:
            names["#"] = node
    return names
