"""What the guest compiled of statements, kept to be sent instead of their text: compiling costs more than running.

SECURITY: code is only ever taken from an instance in which no statement has run and none will, so nothing that a
statement does can change what the next run of the same text executes, in whichever tenant's name. To the host it is
opaque bytes with a bound; bad ones could hurt none but the guest that loads them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum
from sys import getsizeof
from typing import NamedTuple, TypeAlias

MAX_CODE_BYTES = 4 * 1024 * 1024
"""Of one statement; a longer one is sent as text."""
MAX_BYTES = 64 * 1024 * 1024
"""Of all texts, codes and refusals of one image together; what was not used for longest goes first."""
ENTRY_BYTES = 512
"""What an entry takes besides its text and what is known of it: millions of tiny statements are bounded by this."""


class Refused(NamedTuple):
    """The statement does not compile: `record` is the error as the guest told it, not checked."""

    record: Mapping[str, object]


class Text(Enum):
    """In place of code: send the text, and leave compiling to the instance that runs it."""

    SEND = "it may never be run again, somebody compiles it just now, or its code is too long to keep"


Known: TypeAlias = "bytes | Refused | Text"


class _Entry:
    __slots__ = ("is_compiling", "known", "size")

    def __init__(self, statement: str) -> None:
        self.known: Known | None = None
        self.is_compiling = False
        self.size = ENTRY_BYTES + getsizeof(statement)


class CodeCache:
    """The code of statements by their text, for one image; usable from any thread."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, statement: str, *, at_once: bool) -> Known | None:
        """What to send; None to compile it now, in an instance of its own, and then call `keep`.

        A statement is compiled when it is run for the second time, or `at_once`.
        """
        with self._lock:
            entry = self._entries.get(statement)
            if entry is None:
                self._entries[statement] = entry = _Entry(statement)
                self._bytes += entry.size
                entry.is_compiling = at_once
                self._shrink()
                return None if at_once else Text.SEND
            self._entries.move_to_end(statement)
            if entry.known is not None:
                return entry.known
            if entry.is_compiling and not at_once:
                return Text.SEND
            entry.is_compiling = True
            return None

    def keep(self, statement: str, known: Known | None) -> None:
        """What compiling came to; None if the next one should try again."""
        with self._lock:
            entry = self._entries.get(statement)
            if entry is None:
                return
            entry.is_compiling = False
            if known is not None and entry.known is None:
                entry.known = known
                size = _size(known)
                entry.size += size
                self._bytes += size
                self._shrink()

    def kept(self) -> tuple[int, int]:
        """How many codes are known, and their bytes."""
        with self._lock:
            codes = [entry.known for entry in self._entries.values() if isinstance(entry.known, bytes)]
        return len(codes), sum(map(len, codes))

    def _shrink(self) -> None:
        while self._bytes > self._max_bytes and self._entries:
            _, entry = self._entries.popitem(last=False)
            self._bytes -= entry.size


def _size(known: Known) -> int:
    """What keeping it takes."""
    if isinstance(known, Refused):
        return getsizeof(known.record) + sum(map(getsizeof, known.record.values()))
    return len(known) if isinstance(known, bytes) else 0
