"""Text for people's eyes: what a statement returns must not drive the terminal that it is shown on.

Control characters (C0 but tab and newline, DEL, C1), and what changes the direction or the lines of the text around it,
are shown as escapes. Into a file or a pipe they are data, and stay.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""The text with such characters as `\u001b`, which in JSON says the same."""
    return CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class VisibleWriter(io.RawIOBase):
    """Bytes of UTF-8 on their way to a terminal, in whatever pieces; `out` stays open."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Pass a piece on."""
        piece = bytes(data)
        self._out.write(visible(self._decode(piece)).encode())
        return len(piece)

    def flush(self) -> None:
        """Have it shown."""
        self._out.flush()
