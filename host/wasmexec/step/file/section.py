"""Reading the values of a file's mappings: what does not fit becomes a mistake, and reading goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from ...schema.columns import did_you_mean
from .document import Node, Place
from .mistakes import Collector

_T = TypeVar("_T")
_WORDS_OF_YAML_1_1 = ("yes", "no", "on", "off", "y", "n")


class Section:
    """One mapping of the file. Methods give None for a key that is absent or wrong; what is wrong has been noted."""

    def __init__(self, node: Node, mistakes: Collector, what: str, known: Iterable[str]) -> None:
        self.node = node
        self._mistakes = mistakes
        self._what = what
        self.fields: Mapping[str, Node] = {}
        names = tuple(known)
        if not isinstance(node.value, dict):
            mistakes.add(
                node.place, f"expected {what} as a mapping with the keys {', '.join(names)}, got {node.describe()}"
            )
            return
        self.fields = node.value
        for key in self.fields:
            if key not in names:
                hint = did_you_mean(key, names) or f"; {what} has {', '.join(names)}"
                mistakes.add(node.keys[key], f"unknown key {key!r}{hint}")

    def place(self, key: str) -> Place:
        """Where the value of a key stands, or the mapping itself."""
        return self.fields[key].place if key in self.fields else self.node.place

    def has(self, key: str) -> bool:
        """Whether the key is there, with whatever value."""
        return key in self.fields

    def require(self, key: str, expected: str) -> None:
        """Note a mistake if the key is absent."""
        if isinstance(self.node.value, dict) and key not in self.fields:
            self._mistakes.add(self.node.place, f"{self._what} needs {key!r}: {expected}")

    def wrong(self, key: str, expected: str, hint: str = "") -> None:
        """Note that a key's value is not what it must be."""
        node = self.fields[key]
        self._mistakes.add(node.place, f"{key}: expected {expected}, got {node.describe()}{hint}")

    def text(self, key: str, expected: str = "a text", *, most: int | None = None) -> str | None:
        """A text that is not empty."""
        node = self.fields.get(key)
        if node is None:
            return None
        value = node.value
        if not isinstance(value, str) or not value.strip() or (most is not None and len(value) > most):
            self.wrong(key, expected)
            return None
        return value

    def boolean(self, key: str) -> bool | None:
        """True or false."""
        node = self.fields.get(key)
        if node is None:
            return None
        if not isinstance(node.value, bool):
            is_word = isinstance(node.value, str) and node.value.lower() in _WORDS_OF_YAML_1_1
            self.wrong(key, "true or false", " (YAML 1.2 has true and false only)" if is_word else "")
            return None
        return node.value

    def integer(self, key: str, lowest: int, highest: int) -> int | None:
        """A whole number in a range."""
        node = self.fields.get(key)
        if node is None:
            return None
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            self.wrong(key, f"a whole number from {lowest:,} to {highest:,}")
            return None
        return value

    def choice(self, key: str, options: tuple[str, ...]) -> str | None:
        """One of some words."""
        node = self.fields.get(key)
        if node is None:
            return None
        if isinstance(node.value, str) and node.value in options:
            return node.value
        hint = did_you_mean(node.value, options) if isinstance(node.value, str) else ""
        self.wrong(key, " or ".join(options), hint)
        return None

    def items(self, key: str, expected: str) -> list[Node]:
        """The items of a list."""
        node = self.fields.get(key)
        if node is None:
            return []
        if not isinstance(node.value, list):
            self.wrong(key, expected)
            return []
        return node.value

    def entries(self, key: str, expected: str, read: Callable[[str, Place, Node], _T | None]) -> dict[str, _T]:
        """What `read(name, place of the name, node)` makes of each entry of a mapping with free names."""
        node = self.fields.get(key)
        if node is None:
            return {}
        if not isinstance(node.value, dict):
            self.wrong(key, expected)
            return {}
        found = ((name, read(name, node.keys[name], value)) for name, value in node.value.items())
        return {name: value for name, value in found if value is not None}
