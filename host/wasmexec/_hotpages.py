"""Which pages of an image every execution writes to, and how to have them copied beforehand (Linux only)."""

from __future__ import annotations

import array
import ctypes
import mmap
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._instance import Instance

ROUNDS_TO_LEARN = 3
MAX_HOT_PAGES = 2048
PAGE_BYTES = mmap.PAGESIZE
_POPULATE_WRITE = 23
_PRESENT = 1 << 63
_OF_A_FILE = 1 << 61


class HotPages:
    """Which pages of an image every execution writes to: those that each of the first few has written to.

    Source: Documentation/admin-guide/mm/pagemap.rst of Linux; elsewhere nothing is learnt.
    """

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []
        """First page and number of pages, relative to the start of memory."""
        self._rounds_left = ROUNDS_TO_LEARN if sys.platform == "linux" else 0
        self._common: set[int] | None = None
        self._lock = threading.Lock()

    def learn(self, instance: Instance) -> None:
        """Look at an instance whose execution has ended."""
        if self._rounds_left <= 0 or not self._lock.acquire(blocking=False):
            return
        try:
            written = _written_pages(instance.memory.base, instance.initial_bytes // PAGE_BYTES)
            self._common = written if self._common is None else self._common & written
            self._rounds_left -= 1
            if self._rounds_left == 0:
                self.ranges = _ranges(sorted(self._common)[:MAX_HOT_PAGES])
        except OSError:
            self._rounds_left = 0
        finally:
            self._lock.release()


def _written_pages(base: int, pages: int) -> set[int]:
    """Numbers of the pages that are private copies.

    Raises: OSError: the system does not tell.
    """
    file = os.open("/proc/self/pagemap", os.O_RDONLY)
    try:
        entries = array.array("Q", os.pread(file, pages * 8, base // PAGE_BYTES * 8))
    finally:
        os.close(file)
    return {number for number, entry in enumerate(entries) if entry & _PRESENT and not entry & _OF_A_FILE}


def _ranges(pages: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for page in pages:
        if found and sum(found[-1]) == page:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((page, 1))
    return found


def _make_populate() -> Callable[[int, int], bool]:
    if sys.platform != "linux":
        return lambda address, length: False
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return lambda address, length: madvise(address, length, _POPULATE_WRITE) == 0


populate = _make_populate()
"""Copy the pages of a range; False where the system cannot (Linux before 5.14, other systems)."""
