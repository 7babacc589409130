"""Reading a step that a server keeps: a JSON document with the keys of a step file that names nothing outside of it."""

from __future__ import annotations

from pathlib import Path

from ...rows.named_file import NamedFile
from .checking import check
from .definition import StepDefinition
from .document import MAX_FILE_BYTES, DocumentError, Node, Place
from .parse import parse
from .reading import Reader
from .schema import noted_hosted_schema

_SHOWN = "document.json"


def read_hosted(document: bytes, name: str) -> StepDefinition:
    """The step in a document, which is called so.

    Raises:
        StepFileError: something in it is wrong; all mistakes of a kind at once.
    """
    reader = _HostedReader(document, name)
    definition = reader.read()
    reader.mistakes.raise_if_any()
    assert definition is not None
    return definition


class _HostedReader(Reader):
    def __init__(self, document: bytes, name: str) -> None:
        super().__init__(Path(_SHOWN), ())
        self._document = document
        self._called = name

    def _top(self) -> Node | None:
        try:
            if len(self._document) > MAX_FILE_BYTES:
                raise DocumentError(Place(_SHOWN, 1, 1), f"the document is larger than {MAX_FILE_BYTES:,} bytes")
            text = self._document.decode()
            top = parse(text, _SHOWN)
        except UnicodeDecodeError as error:
            self.mistakes.add(Place(_SHOWN, 1, 1), f"the document is not UTF-8: byte at offset {error.start}")
            return None
        except DocumentError as error:
            self.mistakes.add(error.place, error.message)
            return None
        self._texts.append(text)
        check(top, noted_hosted_schema(), self.mistakes)
        # SECURITY: nothing is looked at further that the schema does not let through: it could name a file.
        return None if self.mistakes.count else top

    def _name(self, top: Node) -> str:
        node = top.fields.get("name")
        if node is not None and node.value != self._called:
            self.mistakes.add(node.place, f"name: expected {self._called!r}, as in the address, got {node.describe()}")
        return self._called

    def _named(self, name: str) -> NamedFile:
        """SECURITY: the schema has let no name of a file through."""
        raise AssertionError("a step of a server names no file")
