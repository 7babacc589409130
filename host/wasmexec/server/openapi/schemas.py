"""JSON schemas of the types that bodies are decoded to and answers are encoded from, with what their fields are for."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect as types

Schema: TypeAlias = dict[str, Any]
REFERENCE = "#/components/schemas/{name}"


class Schemas:
    """The schema of each of some types, and the components that they refer to.

    A `msgspec.Raw` or `Any` is any JSON value. The docstring of a struct is its description, that below a field is the
    field's.
    """

    def __init__(self, kinds: Iterable[Any]) -> None:
        self._kinds: list[Any] = []
        for kind in kinds:
            if not any(kind is known or kind == known for known in self._kinds):
                self._kinds.append(kind)
        self._schemas, self.components = msgspec.json.schema_components(self._kinds, ref_template=REFERENCE)
        for struct in _structs_of(self._kinds):
            described = self.components.get(struct.__name__)
            if described is not None:
                _describe(struct, described)

    def of(self, kind: Any) -> Schema:
        """The schema of one of the types, a reference if it has a name."""
        return self._schemas[self._kinds.index(kind)]

    def take_properties(self, struct: type[msgspec.Struct]) -> tuple[dict[str, Schema], frozenset[str]]:
        """Schemas of a struct's fields, and the names of those that are required; it is no component any more."""
        name: str = self.of(struct)["$ref"].rpartition("/")[2]
        component = self.components.pop(name)
        return component.get("properties", {}), frozenset(component.get("required", ()))


def _describe(struct: type[msgspec.Struct], component: Schema) -> None:
    docs = field_docs(struct)
    properties: dict[str, Schema] = component.get("properties", {})
    for item in msgspec.structs.fields(struct):
        schema = properties.get(item.encode_name)
        if schema is None:
            continue
        if item.name in docs:
            schema.setdefault("description", docs[item.name])
        if item.default_factory is not msgspec.NODEFAULT:
            # msgspec itself has only defaults that are constants.
            schema.setdefault("default", msgspec.json.decode(msgspec.json.encode(item.default_factory())))
    if "description" in component:
        component["description"] = _unwrapped(component["description"])


def field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The docstrings below the fields of a struct, by field; empty where there is no source."""
    docs: dict[str, str] = {}
    for kind in reversed(struct.__mro__):
        if not issubclass(kind, msgspec.Struct) or kind is msgspec.Struct:
            continue
        try:
            source = inspect.getsource(kind)
        except (OSError, TypeError):
            continue
        (definition,) = ast.parse(textwrap.dedent(source)).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in pairwise(definition.body):
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                docs[field.target.id] = _unwrapped(inspect.cleandoc(str(below.value.value)))
    return docs


def _structs_of(kinds: Sequence[Any]) -> set[type[msgspec.Struct]]:
    found: set[type[msgspec.Struct]] = set()

    def look(item: object) -> None:
        if isinstance(item, types.StructType):
            if item.cls in found:
                return
            found.add(item.cls)
        if isinstance(item, tuple):
            for part in item:
                look(part)
        elif isinstance(item, (types.Type, types.Field)):
            for name in item.__struct_fields__:
                look(getattr(item, name))

    look(types.multi_type_info(kinds))
    return found


def _unwrapped(text: str) -> str:
    """Lines of a paragraph in one line: how wide source is does not matter to readers of the document."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))
