"""A value of very many values against a schema, part by part: what one call of jsonschema-rs takes stays short.

SECURITY: a call cannot be interrupted, and an error holds several copies of the value that it refuses. So the library
only says whether parts fit, which takes no copy; what is left to explain is short, or explained here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

import jsonschema_rs

from .burden import burdens_of
from .dialects import Dialect, Path, reference_target, subschemas
from .explanations import OWN, VALUE, explain
from .interruption import look
from .patterns import compile_pattern
from .values import size_of

_Node: TypeAlias = "dict[str, Any] | bool"
_MEMBERS: Final = 256
_DEEPEST: Final = 200
_MOST_COMPILED: Final = 500
# What a schema says of a list or an object itself, without another schema.
_ASSERTIONS: Final = (
    "type", "enum", "const", "required", "dependentRequired", "minProperties", "maxProperties", "minItems", "maxItems",
    "uniqueItems", f"{OWN}uniqueItems",
)  # fmt: skip
_BRANCHES: Final = ("anyOf", "oneOf")
_OF_OBJECTS: Final = ("properties", "patternProperties", "additionalProperties")
_ALONE: Final = ("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef")
# Drafts before do not know it.
_SINCE: Final = {
    "contains": jsonschema_rs.Draft6, "propertyNames": jsonschema_rs.Draft6, "if": jsonschema_rs.Draft7,
    "dependentSchemas": jsonschema_rs.Draft201909, "prefixItems": jsonschema_rs.Draft202012,
}  # fmt: skip
_SIZES: Final = {
    "minItems": ("less", "item", "items"), "maxItems": ("more", "item", "items"),
    "minProperties": ("less", "property", "properties"), "maxProperties": ("more", "property", "properties"),
}  # fmt: skip


class TooManyPartsError(Exception):
    """More parts of the schema would have to be compiled than are worth it."""


class Misfit(NamedTuple):
    """The first thing that does not fit: its path, that of the keyword in the schema, and the reason."""

    path: tuple[str | int, ...]
    at: Path
    reason: str
    kind: object = None
    """What the library says of it, if it was asked."""

    def below(self, *keys: str | int) -> Misfit:
        """The same, of something that holds the value."""
        return self._replace(path=(*keys, *self.path))


class LongValues:
    """One schema; usable from any thread. `compiled` makes a validator of a schema with absolute references.

    `reference` is the absolute reference of a place in the schema. A value is short if it has `most_values` at most,
    and no more than `most_work` times a schema is applied to one of them.
    """

    def __init__(
        self,
        definition: dict[str, Any],
        reference: Callable[[Path], str],
        compiled: Callable[[dict[str, Any]], jsonschema_rs.Validator],
        dialect: Dialect,
        *,
        most_values: int,
        most_work: int,
    ) -> None:
        self._definition = definition
        self._reference = reference
        self._compile = compiled
        self._draft = dialect.number
        self._most_values = most_values
        self._most_work = most_work
        self._burdens = burdens_of(definition, dialect)
        ids = (subschema.node.get("$id", subschema.node.get("id")) for subschema in subschemas(definition))
        self._has_resources = sum(isinstance(name, str) for name in ids) > isinstance(
            definition.get("$id", definition.get("id")), str
        )
        # Threads may make one twice.
        self._validators: dict[tuple[str, Path], jsonschema_rs.Validator] = {}

    def is_long(self, value: object, at: Path = ()) -> bool:
        """Whether it is looked at in parts, for the schema at a place."""
        return self._is_long(value, self._most(self._node(at)))

    def _is_long(self, value: object, most: int) -> bool:
        return isinstance(value, (list, dict)) and size_of(value, most + 1) > most

    def _most(self, node: _Node) -> int:
        """How many values are short for a schema."""
        return max(1, min(self._most_work // self._burdens.get(id(node), 1), self._most_values))

    def _node(self, at: Path) -> _Node:
        node: _Node = self._definition
        for key in at:
            node = node[key]  # type: ignore[index]
        return node

    def misfit(self, at: Path, value: Any, deep: int = 0) -> Misfit | None:
        """What of a value does not fit the schema at a place, None if it does.

        Raises: TooManyPartsError: that cannot be told.
        """
        look()
        node = self._node(at)
        if node is True or node == {}:
            return None
        most = self._most(node)
        if not self._is_long(value, most):
            return self._of_short(at, value)
        if node is False:
            return Misfit((), at, f"{VALUE} is not allowed")
        assert isinstance(node, dict)
        if self._draft <= jsonschema_rs.Draft7 and "$ref" in node:
            node = {"$ref": node["$ref"]}
        node = {key: wanted for key, wanted in node.items() if self._draft >= _SINCE.get(key, 0)}
        if deep > _DEEPEST:
            raise TooManyPartsError
        return (
            self._asserted(at, node, value)
            or self._in_place(at, node, value, deep)
            or (self._of_object(at, node, value, most, deep) if isinstance(value, dict) else None)
            or (self._of_list(at, node, value, deep) if isinstance(value, list) else None)
            or self._alone(at, node, value)
        )

    def fits(self, at: Path, value: Any, deep: int = 0) -> bool:
        """Whether a value fits the schema at a place."""
        return self.misfit(at, value, deep) is None

    def _of_short(self, at: Path, value: Any) -> Misfit | None:
        validator = self._whole(at)
        if _is_valid(validator, value):
            return None
        return explained(validator, value) or Misfit((), at, f"{VALUE} does not fit the schema")

    def _whole(self, at: Path) -> jsonschema_rs.Validator:
        return self._validator("", at, lambda: {"$ref": self._reference(at)})

    def _validator(self, what: str, at: Path, make: Callable[[], dict[str, Any]]) -> jsonschema_rs.Validator:
        found = self._validators.get((what, at))
        if found is None:
            if len(self._validators) >= _MOST_COMPILED:
                raise TooManyPartsError
            look()
            found = self._validators[what, at] = self._compile(make())
        return found

    def _asserted(self, at: Path, node: Mapping[str, Any], value: Any) -> Misfit | None:
        for keyword in _ASSERTIONS:
            if keyword not in node:
                continue
            asserted = {keyword: node[keyword]}
            validator = self._validator(keyword, at, lambda asserted=asserted: asserted)  # type: ignore[misc]
            if not _is_valid(validator, value):
                small = _standing_in(keyword, node[keyword], value)
                told = None if small is None else explained(self._compile(small[0]), small[1])
                reason = told.reason if told is not None else _reason(keyword, node[keyword])
                return Misfit((), (*at, keyword), reason, None if told is None else told.kind)
        dependencies = node.get("dependencies")
        for name, wanted in dependencies.items() if isinstance(dependencies, dict) and isinstance(value, dict) else ():
            missing = [key for key in wanted if key not in value] if isinstance(wanted, list) else []
            if name in value and missing:
                return Misfit((), (*at, "dependencies"), f'"{missing[0]}" is a required property')
        return None

    def _in_place(self, at: Path, node: Mapping[str, Any], value: Any, deep: int) -> Misfit | None:
        places = [(*at, "allOf", index) for index in range(len(node.get("allOf", ())))]
        target = self._target(node)
        if target is not None:
            places.append(target)
        for keyword in ("dependentSchemas", "dependencies"):
            for name, schema in node.get(keyword, {}).items() if isinstance(value, dict) else ():
                if name in value and not isinstance(schema, list):
                    places.append((*at, keyword, name))
        if "if" in node:
            then = "then" if self.fits((*at, "if"), value, deep + 1) else "else"
            if then in node:
                places.append((*at, then))
        for place in places:
            if found := self.misfit(place, value, deep + 1):
                return found
        if "not" in node and self.fits((*at, "not"), value, deep + 1):
            return Misfit((), (*at, "not"), f"{VALUE} fits what it must not")
        for keyword in _BRANCHES:
            if keyword in node:
                fitting = (self.fits((*at, keyword, i), value, deep + 1) for i in range(len(node[keyword])))
                count = sum(islice(filter(None, fitting), 2 if keyword == "oneOf" else 1))
                if count != 1:
                    return Misfit((), (*at, keyword), f"{VALUE} fits {count or 'no'} branches of {keyword!r}")
        return None

    def _of_object(
        self, at: Path, node: Mapping[str, Any], value: dict[str, Any], most: int, deep: int
    ) -> Misfit | None:
        if "propertyNames" in node:
            names = self._validator(
                "propertyNames", at, lambda: {"propertyNames": {"$ref": self._reference((*at, "propertyNames"))}}
            )
            for piece in _pieces(value, most):
                look()
                if found := explained(names, dict.fromkeys(piece)):
                    return found._replace(at=(*at, "propertyNames"))
        if node.keys().isdisjoint(_OF_OBJECTS):
            return None
        group = self._validator("members", at, lambda: self._referring(at, node))
        for piece in _pieces(value, most):
            look()
            if not self._is_long(piece, most) and _is_valid(group, piece):
                continue
            for name, member in piece.items():
                if self._is_long(member, most):
                    for place in _places(node, name):
                        if found := self.misfit((*at, *place), member, deep + 1):
                            return found.below(name)
                elif not _is_valid(group, {name: member}):
                    found = explained(group, {name: member})
                    return found or Misfit((name,), at, f"{VALUE} does not fit the schema")
        return None

    def _of_list(self, at: Path, node: Mapping[str, Any], value: list[Any], deep: int) -> Misfit | None:
        first = next((keyword for keyword in ("prefixItems", "items") if isinstance(node.get(keyword), list)), "")
        others = "additionalItems" if first == "items" else "items"
        count = len(node[first]) if first else 0
        for index in range(min(count, len(value))):
            if found := self.misfit((*at, first, index), value[index], deep + 1):
                return found.below(index)
        if others in node and (first or others == "items"):
            if others == "additionalItems" and node[others] is False and len(value) > count:
                left = len(value) - count
                return Misfit((), (*at, others), f"Additional items are not allowed ({left} item{'s' * (left > 1)})")
            if found := self._items((*at, others), value, count, deep):
                return found
        if "contains" in node:
            counted = {key: node[key] for key in ("minContains", "maxContains") if key in node}
            contains = {"contains": {"$ref": self._reference((*at, "contains"))}, **counted}
            validator = self._validator("contains", at, lambda: contains)
            # Where one is enough, it is in one of the parts.
            if not any(_is_valid(validator, part) for part in _parts(value, len(value) if counted else _MEMBERS)):
                return Misfit((), (*at, "contains"), f"None of {VALUE} are valid under the given schema")
        return None

    def _items(self, at: Path, value: list[Any], start: int, deep: int) -> Misfit | None:
        group = self._validator("items", at, lambda: {"items": {"$ref": self._reference(at)}})
        most = self._most(self._node(at))
        step = max(1, min(_MEMBERS, most - 1))
        for first in range(start, len(value), step):
            look()
            piece = value[first : first + step]
            if not self._is_long(piece, most) and _is_valid(group, piece):
                continue
            for index, item in enumerate(piece, first):
                if found := self.misfit(at, item, deep + 1):
                    return found.below(index)
        return None

    def _alone(self, at: Path, node: Mapping[str, Any], value: Any) -> Misfit | None:
        alone = (keyword for keyword in _ALONE if keyword in node)
        keyword = "$ref" if "$ref" in node and self._target(node) is None else next(alone, None)
        if keyword is None or _is_valid(self._whole(at), value):
            return None
        what = {"unevaluatedProperties": "Unevaluated properties are", "unevaluatedItems": "Unevaluated items are"}
        reason = f"{what[keyword]} not allowed" if keyword in what else f"{VALUE} does not fit the schema"
        return Misfit((), (*at, keyword), reason)

    def _target(self, node: Mapping[str, Any]) -> Path | None:
        """Where a reference leads, None if it is not a path from the root."""
        if "$ref" not in node or self._has_resources:
            return None
        if node["$ref"] == "#":
            return ()
        found = reference_target(self._definition, node["$ref"])
        return None if found is None else found.path

    def _referring(self, at: Path, node: Mapping[str, Any]) -> dict[str, Any]:
        """What an object's members have to be, by references."""
        found: dict[str, Any] = {}
        for keyword in ("properties", "patternProperties"):
            if keyword in node:
                found[keyword] = {name: {"$ref": self._reference((*at, keyword, name))} for name in node[keyword]}
        if "additionalProperties" in node:
            extra = node["additionalProperties"]
            is_schema = isinstance(extra, dict)
            found["additionalProperties"] = (
                {"$ref": self._reference((*at, "additionalProperties"))} if is_schema else extra
            )
        return found


def _parts(value: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(value), size):
        look()
        yield value[start : start + size]


def _pieces(value: dict[str, Any], most: int) -> Iterator[dict[str, Any]]:
    members = iter(value.items())
    while piece := dict(islice(members, max(1, min(_MEMBERS, most - 1)))):
        yield piece


def _places(node: Mapping[str, Any], name: str) -> list[Path]:
    """Where a schema says what the member of that name has to be."""
    found: list[Path] = [("properties", name)] if name in node.get("properties", ()) else []
    patterns = node.get("patternProperties", ())
    found += [("patternProperties", text) for text in patterns if compile_pattern(text).search(name)]
    return found if found or "additionalProperties" not in node else [("additionalProperties",)]


def _is_valid(validator: jsonschema_rs.Validator, value: Any) -> bool:
    try:
        return validator.is_valid(value)
    except ValueError:
        return False


def explained(validator: jsonschema_rs.Validator, value: Any) -> Misfit | None:
    """What the library refuses first in a value that is short, None if nothing."""
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        return Misfit(tuple(error.instance_path), tuple(error.schema_path), explain(error), error.kind)
    return None


def _standing_in(keyword: str, wanted: Any, value: Any) -> tuple[dict[str, Any], Any] | None:
    """A schema and a short value that it refuses for the same reason."""
    if keyword in ("type", "enum", "const"):
        return {keyword: wanted}, type(value)()
    if keyword == "required":
        return {keyword: [name for name in wanted if name not in value][:1]}, {}
    if keyword == "dependentRequired":
        for name, others in wanted.items():
            missing = [other for other in others if name in value and other not in value]
            if missing:
                return {keyword: {name: missing[:1]}}, {name: None}
    return None


def _reason(keyword: str, wanted: Any) -> str:
    """In the library's words."""
    if keyword in _SIZES:
        how, one, many = _SIZES[keyword]
        return f"{VALUE} has {how} than {wanted:.0f} {one if wanted == 1 else many}"
    is_unique = keyword.removeprefix(OWN) == "uniqueItems"
    return f"{VALUE} has non-unique elements" if is_unique else f"{VALUE} does not fit {keyword!r}"
