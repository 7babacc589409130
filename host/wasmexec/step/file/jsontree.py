"""JSON with the place of every value."""

from __future__ import annotations

import bisect
import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # public, but not in the stubs

from .document import MAX_DEPTH, DocumentError, Node, Place, Scalar, add_key, check_text, read_number

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None}


class JsonReader:
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
        check_text(self._place(position), text)
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
        for word, value in _WORDS.items():
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
