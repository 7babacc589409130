"""YAML and JSON files as trees whose every value knows its line and column.

Only plain JSON values exist in both; how YAML is read: see `yamltree`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

Scalar: TypeAlias = "str | int | float | bool | None"
MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 200
MAX_SHOWN_CHARS = 60
MAX_NUMBER_CHARS = 3_000
"""Python itself would not write a whole number of 4,300 digits."""
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
    first one: its line n is line `place.line + n` of the file. What a schema refuses (see `checking`) `is_refused`;
    `is_right` says that nothing is wrong with the value or below it.
    """

    place: Place
    value: Scalar | list[Node] | dict[str, Node]
    keys: dict[str, Place] = field(default_factory=dict)
    block_indent: int | None = None
    is_refused: bool = False
    is_right: bool = True

    @property
    def fields(self) -> dict[str, Node]:
        """What a mapping has that is not refused; nothing if it is none."""
        fields = self.value if isinstance(self.value, dict) else {}
        return {key: node for key, node in fields.items() if not node.is_refused}

    @property
    def items(self) -> list[Node]:
        """The items of a list that are not refused; nothing if it is none."""
        items = self.value if isinstance(self.value, list) else []
        return [node for node in items if not node.is_refused]

    def get(self, key: str) -> Any:
        """The plain value of a mapping's key, None if it is absent or refused."""
        node = self.fields.get(key)
        return None if node is None else node.plain()

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
            return kind if self.value else kind.replace("a ", "an empty ")
        text = json.dumps(self.value, ensure_ascii=False)
        return f"{kind}, {text if len(text) <= 40 else text[:37] + '...'}"


class DocumentError(Exception):
    """The file is no YAML or JSON at all, or uses what JSON does not have."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


def pointer_tokens(pointer: str) -> Iterator[str]:
    """The keys and indexes of a JSON pointer.

    Source: RFC 6901, section 4.
    """
    for token in pointer.split("/")[1:]:
        yield token.replace("~1", "/").replace("~0", "~")


def check_text(place: Place, text: str) -> None:
    """Raises: DocumentError: it is no Unicode text; escapes can write what a file itself cannot hold."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise DocumentError(
            place, f"U+{code:04X} is half of a character: both halves, or the character itself"
        ) from None


def add_key(keys: dict[str, Place], key: str, place: Place) -> None:
    """Raises: DocumentError: the key is there already, or is no Unicode text."""
    check_text(place, key)
    if key in keys:
        shown = repr(key if len(key) <= MAX_SHOWN_CHARS else key[:MAX_SHOWN_CHARS] + "...")
        raise DocumentError(place, f"the key {shown} is there twice, first in line {keys[key].line}")
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
