"""YAML and JSON files as trees whose every value knows its line and column.

Only plain JSON values exist in both; how YAML is read: see `yamltree`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]  # public, but not in the stubs
from typing import Any, NamedTuple, TypeAlias

Scalar: TypeAlias = "str | int | float | bool | None"
MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_NODES = 1_000_000
MAX_DEPTH = 200
MAX_NUMBER_CHARS = 3_000
"""Python itself would not write a whole number of 4,300 digits."""
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_JSON_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
_TYPE_NAMES = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", int: "a whole number"}


class Place(NamedTuple):
    """A position in a file; line and column count from 1."""

    file: str
    line: int
    column: int


@dataclass(slots=True)
class Node:
    """A value of the file: a scalar, a list of nodes or a dict of nodes.

    `keys` are the places of a dict's keys. `block_indent` is, for the text of a YAML block (`|`), the column before its
    first one: its line n is line `place.line + n` of the file.
    """

    place: Place
    value: Scalar | list[Node] | dict[str, Node]
    keys: dict[str, Place] = field(default_factory=dict)
    block_indent: int | None = None

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def find(self, tokens: Iterable[str]) -> Node:
        """The node at the end of a JSON pointer, or the last one on the way that exists."""
        node = self
        for token in tokens:
            if isinstance(node.value, dict) and token in node.value:
                node = node.value[token]
            elif isinstance(node.value, list) and token.isdecimal() and int(token) < len(node.value):
                node = node.value[int(token)]
            else:
                break
        return node

    def describe(self) -> str:
        """What it is, for "expected ..., got ..."."""
        if self.value is None:
            return "nothing"
        kind = _TYPE_NAMES.get(type(self.value), "a number")
        if isinstance(self.value, (dict, list)):
            return kind
        text = json.dumps(self.value, ensure_ascii=False)
        return f"{kind}, {text if len(text) <= 40 else text[:37] + '...'}"


class DocumentError(Exception):
    """The file is no YAML or JSON at all, or uses what JSON does not have."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


def parse(text: str, file: str) -> Node:
    """The tree of a file's text: JSON if its name ends in `.json`, else YAML.

    Raises:
        DocumentError: the text is neither, or has a key twice.
    """
    try:
        if file.lower().endswith(".json"):
            return _Json(text, file).document()
        from .yamltree import read_yaml

        return read_yaml(text, file)
    except RecursionError:
        raise DocumentError(Place(file, 1, 1), "nested too deeply") from None


def pointer_tokens(pointer: str) -> Iterator[str]:
    """The keys and indexes of a JSON pointer.

    Source: RFC 6901, section 4.
    """
    for token in pointer.split("/")[1:]:
        yield token.replace("~1", "/").replace("~0", "~")


class _Json:
    """A JSON parser that keeps places; the standard one does not."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text.removeprefix("\ufeff")
        self._file = file
        self._lines = [match.end() for match in re.finditer("\n", self._text)]

    def document(self) -> Node:
        node, position = self._value(self._skip(0), 0)
        position = self._skip(position)
        if position != len(self._text):
            raise self._error(position, "expected the end of the file")
        return node

    def _place(self, position: int) -> Place:
        import bisect

        line = bisect.bisect_right(self._lines, position)
        return Place(self._file, line + 1, position - (self._lines[line - 1] if line else 0) + 1)

    def _error(self, position: int, message: str) -> DocumentError:
        return DocumentError(self._place(min(position, len(self._text))), message)

    def _skip(self, position: int) -> int:
        match = _SPACE.match(self._text, position)
        return position if match is None else match.end()

    def _string(self, position: int) -> tuple[str, int]:
        try:
            text, end = scanstring(self._text, position + 1, True)
        except json.JSONDecodeError as error:
            raise self._error(error.pos, error.msg) from None
        return text, end

    def _value(self, position: int, depth: int) -> tuple[Node, int]:
        if depth > MAX_DEPTH:
            raise self._error(position, "nested too deeply")
        place = self._place(position)
        first = self._text[position : position + 1]
        if first == '"':
            text, end = self._string(position)
            return Node(place, text), end
        if first == "{":
            return self._object(position, place, depth)
        if first == "[":
            return self._array(position, place, depth)
        for word, value in _JSON_WORDS.items():
            if self._text.startswith(word, position):
                return Node(place, value), position + len(word)
        match = _NUMBER.match(self._text, position)
        if match is None:
            raise self._error(position, "expected a JSON value")
        convert = float if match[1] or match[2] else int
        return Node(place, read_number(place, match[0], convert)), match.end()

    def _array(self, position: int, place: Place, depth: int) -> tuple[Node, int]:
        items: list[Node] = []
        position = self._skip(position + 1)
        if self._text.startswith("]", position):
            return Node(place, items), position + 1
        while True:
            node, position = self._value(position, depth + 1)
            items.append(node)
            position = self._skip(position)
            if self._text.startswith("]", position):
                return Node(place, items), position + 1
            if not self._text.startswith(",", position):
                raise self._error(position, "expected , or ]")
            position = self._skip(position + 1)

    def _object(self, position: int, place: Place, depth: int) -> tuple[Node, int]:
        fields: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        position = self._skip(position + 1)
        if self._text.startswith("}", position):
            return Node(place, fields, keys), position + 1
        while True:
            if not self._text.startswith('"', position):
                raise self._error(position, "expected a key in double quotes")
            key_place = self._place(position)
            key, position = self._string(position)
            add_key(keys, key, key_place)
            position = self._skip(position)
            if not self._text.startswith(":", position):
                raise self._error(position, "expected : after the key")
            fields[key], position = self._value(self._skip(position + 1), depth + 1)
            position = self._skip(position)
            if self._text.startswith("}", position):
                return Node(place, fields, keys), position + 1
            if not self._text.startswith(",", position):
                raise self._error(position, "expected , or }")
            position = self._skip(position + 1)


def add_key(keys: dict[str, Place], key: str, place: Place) -> None:
    """Raises: DocumentError: the key is there already."""
    if key in keys:
        raise DocumentError(place, f"the key {key!r} is there twice, first in line {keys[key].line}")
    keys[key] = place


def read_number(place: Place, text: str, convert: Callable[[str], int | float]) -> int | float:
    """A number of the file.

    Raises:
        DocumentError: it has too many digits, or is no number that JSON has.
    """
    if len(text) > MAX_NUMBER_CHARS:
        raise DocumentError(place, f"a number of {len(text):,} characters, at most {MAX_NUMBER_CHARS:,} are read")
    value = convert(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise DocumentError(place, f"{text} is not a number that JSON has: a double ends at 1.8e308")
    return value
