"""YAML files as trees with places, read by the core schema of YAML 1.2: `yes`, `on` and dates are texts.

SECURITY: nothing but plain JSON values is made of a file. A tag that asks for anything else is refused wherever it
stands (scalars, lists, mappings, keys), and so is what would be read in another way than it looks: merge keys,
`%YAML 1.1`. Anchors and aliases are read, within bounds.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, ScalarNode
from yaml.nodes import Node as YamlNode

from .document import MAX_DEPTH, MAX_SHOWN_CHARS, DocumentError, Node, Place, add_key, check_text, read_number

_CORE = "tag:yaml.org,2002"
_PATTERNS = {
    "null": (re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    "bool": (re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")),
    "int": (re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"), list("-+0123456789")),
    "float": (
        re.compile(
            r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
        list("-+.0123456789"),
    ),
}
_SCALARS = (*_PATTERNS, "str")
_FEW_NODES = 1000
_NODES_PER_CHARACTER = 2
"""Without aliases a file has less than one; what has many is refused for taking longer than it looks."""


class _CoreLoader(yaml.SafeLoader):
    """Resolves scalars as the core schema of YAML 1.2 does; everything else stays text."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012  (PyYAML wants it here)

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text)
        self._file = file
        self._depth = 0

    def compose_node(self, parent: YamlNode | None, index: int | YamlNode | None) -> YamlNode | None:
        """As its base does, but not so deep that the stack ends: the place is known here."""
        if self._depth > MAX_DEPTH:
            raise DocumentError(_place(self._file, self.peek_event().start_mark), "nested too deeply")  # type: ignore[no-untyped-call]
        self._depth += 1
        node = super().compose_node(parent, index)  # type: ignore[arg-type]
        self._depth -= 1
        return node


for _kind, (_pattern, _first) in _PATTERNS.items():
    _CoreLoader.add_implicit_resolver(f"{_CORE}:{_kind}", re.compile(f"(?:{_pattern.pattern})$"), _first)


def read_yaml(text: str, file: str) -> Node:
    """The tree of a YAML file.

    Raises:
        DocumentError: it is none, or holds more than one document or what JSON does not have.
        RecursionError: it is nested too deeply.
    """
    try:
        loader: Any = _CoreLoader(text, file)
        try:
            has_document = loader.check_node()
            if loader.yaml_version not in (None, (1, 2)):
                line = text[: text.index("%YAML")].count("\n") + 1
                raise DocumentError(
                    Place(file, line, 1), "%YAML: only YAML 1.2 is read, where yes, on and no are texts"
                )
            root = loader.get_node() if has_document else None
            if loader.check_node():
                place = _place(file, loader.peek_event().start_mark)
                raise DocumentError(place, "another document begins here: a file holds one")
        except (ValueError, OverflowError) as error:
            # PyYAML makes characters and versions of whatever digits there are.
            place = _place(file, loader.get_mark())
            raise DocumentError(place, f"not YAML: a number here is out of range ({error})") from None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = ", ".join(part for part in (error.context, error.problem) if part)
        raise DocumentError(Place(file, 1, 1) if mark is None else _place(file, mark), f"not YAML: {message}") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(file, before.count("\n") + 1, error.position - before.rfind("\n"))
        raise DocumentError(place, f"not YAML: character U+{error.character:04X} is not allowed") from None
    if root is None:
        return Node(Place(file, 1, 1), None)
    return _Tree(file, text).node(root, 0)


def _place(file: str, mark: yaml.Mark) -> Place:
    return Place(file, mark.line + 1, mark.column + 1)


def _shown(text: str) -> str:
    return repr(text if len(text) <= MAX_SHOWN_CHARS else f"{text[: MAX_SHOWN_CHARS - 3]}...")


def _kind_of(node: YamlNode, place: Place, known: tuple[str, ...], what: str) -> str:
    """Which of the kinds the node's tag says, written or resolved."""
    schema, _, kind = node.tag.rpartition(":")
    if schema == _CORE and kind in known:
        return kind
    shown = f"!!{node.tag.removeprefix(_CORE + ':')}" if node.tag.startswith(f"{_CORE}:") else node.tag
    if schema == _CORE and kind in (*_SCALARS, "seq", "map"):
        raise DocumentError(place, f"the tag {_shown(shown)} does not fit {what}")
    raise DocumentError(
        place,
        f"the tag {_shown(shown)} is not allowed: only texts, numbers, true, false, null, lists and mappings are read",
    )


class _Tree:
    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._lines = text.split("\n")
        # SECURITY: aliases can make a small file an enormous tree.
        self._most = _FEW_NODES + _NODES_PER_CHARACTER * len(text)
        self._count = 0
        self._open: set[int] = set()

    def node(self, node: YamlNode, depth: int) -> Node:
        """The node with all below it."""
        place = _place(self._file, node.start_mark)
        self._count += 1
        if self._count > self._most:
            raise DocumentError(place, "the file stands for too many values")
        if depth > MAX_DEPTH:
            raise DocumentError(place, "nested too deeply")
        if isinstance(node, ScalarNode):
            return self._scalar(node, place)
        if id(node) in self._open:
            raise DocumentError(place, "an alias stands inside of what it stands for")
        self._open.add(id(node))
        read = self._mapping(node, place, depth) if isinstance(node, MappingNode) else self._list(node, place, depth)
        self._open.discard(id(node))
        return read

    def _list(self, node: YamlNode, place: Place, depth: int) -> Node:
        _kind_of(node, place, ("seq",), "a list")
        return Node(place, [self.node(item, depth + 1) for item in node.value])

    def _mapping(self, node: MappingNode, place: Place, depth: int) -> Node:
        _kind_of(node, place, ("map",), "a mapping")
        fields: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for key_node, value_node in node.value:
            key_place = _place(self._file, key_node.start_mark)
            key = self._key(key_node, key_place)
            add_key(keys, key, key_place)
            fields[key] = self.node(value_node, depth + 1)
        return Node(place, fields, keys)

    def _key(self, node: YamlNode, place: Place) -> str:
        """A key as it is written: `5` and `true` are texts there."""
        if not isinstance(node, ScalarNode):
            raise DocumentError(place, "a key must be a text")
        if node.style is None and node.value == "<<":
            raise DocumentError(place, "merge keys (<<) are not read: YAML 1.2 has none; write the keys out")
        kind = _kind_of(node, place, _SCALARS, "a key")
        if kind == "null" and not node.value:
            raise DocumentError(place, "a key must be a text")
        text: str = node.value
        return text

    def _scalar(self, node: ScalarNode, place: Place) -> Node:
        text: str = node.value
        kind = _kind_of(node, place, _SCALARS, "a single value")
        if kind == "str":
            check_text(place, text)
            return Node(place, text, block_indent=self._indent(place) if node.style == "|" else None)
        # A tag that is written need not fit.
        if not _PATTERNS[kind][0].fullmatch(text):
            raise DocumentError(place, f"{_shown(text)} does not fit the tag '!!{kind}'")
        if kind == "null":
            return Node(place, None)
        if kind == "bool":
            return Node(place, text.lower() == "true")
        if kind == "int":
            return Node(place, read_number(place, text, _whole))
        return Node(place, read_number(place, text, _double))

    def _indent(self, place: Place) -> int:
        for line in self._lines[place.line :]:
            if line.strip():
                return len(line) - len(line.lstrip(" "))
        return 0


def _whole(text: str) -> int:
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


def _double(text: str) -> float:
    # Python has no dot in its words for infinity and NaN.
    return float(text.replace(".", "") if text[-1].isalpha() else text)
