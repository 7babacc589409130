"""Server-sent events of a run: their form, and the ids by which a reader goes on where it was.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

MEDIA_TYPE = b"text/event-stream"
HEARTBEAT = b":\n\n"
_ID = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,6})-([0-9]{1,9})-([a-z]?)")
_BREAK = re.compile(rb"\r|\n|\xe2\x80[\xa8\xa9]|\xc2\x85")
_INSTEAD = {b"\xe2\x80\xa8": rb"\u2028", b"\xe2\x80\xa9": rb"\u2029", b"\xc2\x85": rb"\u0085"}


class Position(NamedTuple):
    """How far a reader is: what it has been told with the event that has this as its id.

    `epoch` says which server's attempts are counted: the start of the run in milliseconds, 0 before. `phase` is the
    first letter of the state that was told last.
    """

    epoch: int = 0
    attempt: int = 0
    lines: int = 0
    phase: str = ""

    @classmethod
    def parse(cls, text: str | None) -> Position:
        """The position that an id is; the beginning if it is none of ours."""
        match = None if text is None else _ID.fullmatch(text.strip())
        if match is None:
            return cls()
        return cls(int(match[1], 16), int(match[2]), int(match[3]), match[4])

    def __str__(self) -> str:
        return f"{self.epoch:x}-{self.attempt}-{self.lines}-{self.phase}"


def retry_after(milliseconds: int) -> bytes:
    """How long a reader is to wait before it asks again."""
    return b"retry: %d\n\n" % milliseconds


def event(name: bytes, position: Position, data: bytes) -> bytes:
    """One event; `data` is a JSON text.

    SECURITY: a newline in it would begin another event; in JSON it is a space between two values. What else is the end
    of a line for some clients, Python's `splitlines` among them, is written as an escape.
    """
    data = _BREAK.sub(_replaced, data)
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (str(position).encode(), name, data)


def log_events(lines: Sequence[bytes], position: Position, most_bytes: int) -> tuple[bytes, int]:
    """Events for the lines behind a position, as many as have so many bytes, at least one; how many lines that makes.

    `lines` are all of the attempt.
    """
    pieces, size, at = [], 0, position.lines
    while at < len(lines) and size < most_bytes:
        at += 1
        piece = event(b"log", position._replace(lines=at), lines[at - 1])
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces), at


def _replaced(found: re.Match[bytes]) -> bytes:
    return _INSTEAD.get(found[0], b" ")
