"""`Seals`: what rows, log lines and failed rows become on their way into the tables, and out of them again."""

from __future__ import annotations

import base64
import binascii
from typing import Final, Protocol

MARK: Final = "\x01"
"""The first character of a text that is sealed."""
ROWS: Final = "rows"
LOG: Final = "log"
ROW_ERROR: Final = "row error"


class Seals(Protocol):
    """Seals bytes for one place: the kind of row, the number of the run, and that of the row in it."""

    def seal(self, data: bytes, kind: str, run_id: int, seq: int) -> bytes:
        """What is stored instead."""
        ...

    def open(self, stored: bytes, kind: str, run_id: int, seq: int) -> bytes:
        """What was sealed for this place. Raises: StoreError: it was not."""
        ...


class Unsealed:
    """Everything is stored as it is."""

    def seal(self, data: bytes, kind: str, run_id: int, seq: int) -> bytes:
        """The same."""
        return data

    def open(self, stored: bytes, kind: str, run_id: int, seq: int) -> bytes:
        """The same."""
        return stored


UNSEALED: Final = Unsealed()


def seal_text(seals: Seals, text: str, kind: str, run_id: int, seq: int) -> str:
    """What is stored instead of a text."""
    if seals is UNSEALED:
        return text
    data = text.encode("utf-8", "surrogatepass")
    return text_of(seals.seal(data, kind, run_id, seq), data)


def open_text(seals: Seals, text: str, kind: str, run_id: int, seq: int) -> str:
    """The text that was sealed. Raises: StoreError: it was not sealed for this place."""
    if seals is UNSEALED:
        return text
    return seals.open(bytes_of(text), kind, run_id, seq).decode("utf-8", "surrogatepass")


def text_of(sealed: bytes, data: bytes) -> str:
    """How a column of texts has what was sealed; `data` is what that was, and stays a text if it is the same."""
    return data.decode("utf-8", "surrogatepass") if sealed == data else MARK + base64.b64encode(sealed).decode()


def bytes_of(text: str) -> bytes:
    """What a text in a column has: what was sealed, or itself."""
    if text.startswith(MARK):
        try:
            return base64.b64decode(text[1:], validate=True)
        except (binascii.Error, ValueError):
            pass
    return text.encode("utf-8", "surrogatepass")
