"""Lays out memory before the snapshot, so that a run touches few pages.

Each page that a fresh instance writes to is copied, and a reference count is a write: objects that every run uses must
lie together, not among half a million others. Allocators fill old holes first; once those are taken, everything
allocated next lies side by side in new memory.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Collection
from types import CodeType, FrameType, FunctionType

_SMALL_STEP = 8
_SMALL_LIMIT = 512
"""CPython's own allocator serves blocks up to this size, each size from pages of its own."""
_LARGE_SIZES = (1 << 20, 1 << 18, 1 << 16, 1 << 15, 1 << 14, 1 << 13, 1 << 12, 3072, 2048, 1536, 1024, 768, 640, 528)
_BYTES_OVERHEAD = b"".__sizeof__()
_MAX_LARGE_FILLERS = 100_000
_MAX_SMALL_FILLERS = 100_000
"""Of each size."""

_fillers: list[object] = []
"""Keeps the holes filled."""


def fill_holes(longest: int) -> None:
    """Take every hole in the heap, so that later allocations lie together in new memory.

    No hole is `longest` bytes long. As much memory is left behind all of them, which is a part of the image.
    """
    gc.collect()
    gc.collect()
    end = id(bytes(longest))
    for size in range(_SMALL_LIMIT, _BYTES_OVERHEAD + 2, -_SMALL_STEP):
        _fill_small(size - _BYTES_OVERHEAD, end)
    # The large ones come last and into a list that does not grow: each time it did, it would leave a hole.
    large: list[object] = [None] * _MAX_LARGE_FILLERS
    _fillers.append(large)
    used = 0
    for size in _LARGE_SIZES:
        while used < _MAX_LARGE_FILLERS and id(block := bytes(size - _BYTES_OVERHEAD)) < end:
            large[used] = block
            used += 1


def _fill_small(length: int, end: int) -> None:
    for _ in range(_MAX_SMALL_FILLERS):
        block = bytes(length)
        _fillers.append(block)
        if id(block) >= end:
            return


def functions_called(by: Callable[[], object]) -> list[FunctionType]:
    """The Python functions that a call runs, builtins not counted."""
    codes: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        codes.add(frame.f_code)

    sys.setprofile(note)
    try:
        by()
    finally:
        sys.setprofile(None)
    # Not among gc.get_objects(): a list of all would leave a hole of megabytes.
    return [item for item in gc.get_referrers(*codes) if type(item) is FunctionType]


def move_code(functions: Collection[FunctionType]) -> None:
    """Copy the code of these functions into new memory, side by side; what it had learnt about its types is lost."""
    for function in functions:
        function.__code__ = function.__code__.replace()
