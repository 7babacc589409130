"""What a process holds: descriptors, threads, mappings, memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from wasmexec import Executor

PAGE_BYTES = 4096
_SETTLED_SECONDS = 5.0


class _Allocated(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keep",
        )
    )


_libc = ctypes.CDLL(None)


class Held(NamedTuple):
    """What this process holds at a moment.

    `memory` is its own: without waiting memories of guests and the code of statements, which have bounds.
    """

    runs: int
    descriptors: int
    threads: int
    mappings: int
    resident: int
    memory: int
    allocated: int
    """What the C library's allocator has given out of it: where this is level, the rest is its own free room."""
    blocks: int
    """Objects of the interpreter."""

    def __str__(self) -> str:
        return (
            f"{self.runs:>8,} runs  {self.descriptors:>4} descriptors  {self.threads:>4} threads  "
            f"{self.mappings:>5} mappings  {self.resident / 1e6:>7.1f} MB in all  {self.memory / 1e6:>7.2f} MB "
            f"its own, {self.allocated / 1e6:.2f} MB of it allocated  {self.blocks:>9,} blocks"
        )


def held(executor: Executor, runs: int) -> Held:
    """What the process holds now that nothing runs."""
    until = time.monotonic() + _SETTLED_SECONDS
    while executor.statistics().executions and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(0.05)
    gc.collect()
    allocated = 0
    with contextlib.suppress(AttributeError):  # another C library
        _libc.malloc_trim(0)
        _libc.mallinfo2.restype = _Allocated
        found = _libc.mallinfo2()
        allocated = found.uordblks + found.hblkhd
    figures: dict[str, int] = {}
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("VmRSS", "RssAnon", "Threads"):
                figures[name] = int(value.split()[0]) * (1 if name == "Threads" else 1024)
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        mappings = sum(1 for _ in file)
    waiting = executor._launcher.services.guest.memories._waiting
    own_pages = sum(memory.pages for memory in tuple(waiting))
    return Held(
        runs, len(os.listdir("/proc/self/fd")) - 1, figures["Threads"], mappings - 2 * len(waiting), figures["VmRSS"],
        figures["RssAnon"] - own_pages * PAGE_BYTES - executor.statistics().code_bytes, allocated,
        sys.getallocatedblocks(),
    )  # fmt: skip


class Growth(NamedTuple):
    """How a process grew over the second half, per 1,000 runs: slopes of the lines that fit best."""

    memory: float
    """Megabytes of its own: up and down by five with the allocator's free room."""
    allocated: float
    """Megabytes that the allocator has given out."""
    blocks: float
    """Objects of the interpreter."""


def growth(found: Sequence[Held]) -> Growth:
    """How it grew over the second half."""
    half = found[len(found) // 2 :]
    runs = [item.runs / 1000 for item in half]
    return Growth(
        slope(runs, [item.memory / 1e6 for item in half]),
        slope(runs, [item.allocated / 1e6 for item in half]),
        slope(runs, [item.blocks for item in half]),
    )


def slope(places: Sequence[float], values: Sequence[float]) -> float:
    """The slope of the line that fits best."""
    middle, mean = sum(places) / len(places), sum(values) / len(values)
    across = sum((x - middle) ** 2 for x in places)
    return sum((x - middle) * (y - mean) for x, y in zip(places, values, strict=True)) / across if across else 0.0
