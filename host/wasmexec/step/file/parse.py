"""From the text of a YAML or JSON file to its tree."""

from __future__ import annotations

from .document import DocumentError, Node, Place
from .jsontree import JsonReader


def parse(text: str, file: str) -> Node:
    """The tree of a file's text: JSON if its name ends in `.json`, else YAML.

    Raises:
        DocumentError: the text is neither, or has a key twice.
    """
    try:
        if file.lower().endswith(".json"):
            return JsonReader(text, file).document()
        from .yamltree import read_yaml

        return read_yaml(text, file)
    except RecursionError:
        raise DocumentError(Place(file, 1, 1), "nested too deeply") from None
