"""`Pieces`: how much of what a server sends is parsed in one go, by how dear its parsing is.

What costs is not bytes but lines: those of the head, of interim responses and trailers, and the size of each chunk.
SECURITY: without this one packet of 64 KiB could hold up the loop for half a second. The framing that is followed here
is a guess about the parser's: where they differ, pieces have another size, and nothing else.
"""

from __future__ import annotations

import re

from ..error import HostCallError

HEAD_BYTES = 1024
"""A piece of a head, or of trailers."""
MAX_LINES = 1000
"""In the head of a response, its interim responses included; and in its trailers."""
CHUNKS = 48
"""Chunks whose sizes are in one piece."""
_SIZE = re.compile(rb"[0-9a-fA-F]{1,20}")
_SIZE_BYTES = 20
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_LONGEST_END = 3


class Pieces:
    """Follows one response; `begin_body` says that its head was parsed, which is a piece of its own."""

    def __init__(self) -> None:
        self._has_lines = True
        self._is_chunked = False
        self._lines = 0
        self._tail = b""
        # Of the chunk that has begun, its line end included; and what has come of the line before the next one.
        self._left = 0
        self._line = b""
        self._has_return = False

    def begin_body(self, *, is_chunked: bool) -> None:
        """The head was parsed."""
        self._has_lines = False
        self._is_chunked = is_chunked

    def next(self, data: bytes) -> int:
        """How many of these bytes are parsed next.

        Raises:
            HostCallError: "protocol", too many lines.
        """
        if self._has_lines:
            return self._next_lines(data)
        return self._next_chunks(data) if self._is_chunked else len(data)

    def _next_lines(self, data: bytes) -> int:
        if self._lines > MAX_LINES:
            raise HostCallError(
                "protocol", f"the response has more than {MAX_LINES:,} lines before its body, or after it"
            )
        seen = self._tail + data[:HEAD_BYTES]
        end = _END_OF_HEAD.search(seen)
        size = min(len(data), HEAD_BYTES) if end is None else end.end() - len(self._tail)
        self._lines += data.count(b"\n", 0, size)
        self._tail = b"" if end is not None else seen[-(_LONGEST_END - 1) :]
        return size

    def _next_chunks(self, data: bytes) -> int:
        at = 0
        for _ in range(CHUNKS):
            skipped = min(self._left, len(data) - at)
            self._left -= skipped
            at += skipped
            if at == len(data):
                break
            is_cut = self._has_return and data.startswith(b"\n", at)
            end = at - 1 if is_cut else data.find(b"\r\n", at)
            if end < 0 and not is_cut:
                self._line = (self._line + data[at : at + _SIZE_BYTES])[:_SIZE_BYTES]
                self._has_return = data.endswith(b"\r")
                return len(data)
            size = _SIZE.match(self._line + data[at : min(end, at + _SIZE_BYTES)])
            self._line, self._has_return = b"", False
            at = end + 2
            length = 0 if size is None else int(size[0], 16)
            if not length:
                self._has_lines, self._lines, self._tail = True, 0, b"\r\n"
                break
            self._left = length + 2
        return at
