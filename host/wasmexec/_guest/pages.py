"""Which pages of a copy-on-write mapping are its own by now, as the kernel tells, and copying many ranges at once.

Source: Documentation/admin-guide/mm/pagemap.rst of Linux; process_vm_readv(2).
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import mmap
import os
import struct
import sys
from itertools import chain
from typing import NamedTuple

PAGE_BYTES = mmap.PAGESIZE

_SCAN = 0xC0606610
_SCAN_ARGUMENTS = struct.Struct("<12Q")
_WALK_END = 4
_IS_FILE, _IS_PRESENT, _IS_SWAPPED = 1 << 2, 1 << 3, 1 << 4
_ENTRY_BYTES = 8
# The top byte of an entry of the page map: 0x80 present, 0x40 swapped, 0x20 belongs to a file.
_IS_OWN = bytes(int(bool(top & 0xC0) and not top & 0x20) for top in range(256))
# No more: where it flushes its own buffer of 512 regions in between, the kernel forgets to tell how far it came.
_REGIONS = 512
_MOST_VECTORS = 1024


class OwnPages:
    """Looks up private pages in this process's page map; not usable by a forked child.

    Raises: OSError: the system has no page map.
    """

    def __init__(self) -> None:
        self._file = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        self._can_scan = True

    def find(self, base: int, length: int, most: int) -> list[int] | None:
        """Start and end address of each range of private pages, in one flat list; None if there are more than `most`.

        Raises: OSError: the system does not tell.
        """
        if self._can_scan:
            try:
                return self._scan(base, length, most)
            except OSError:
                self._can_scan = False
        return self._read(base, length, most)

    def close(self) -> None:
        """Close the page map."""
        os.close(self._file)

    def _scan(self, base: int, length: int, most: int) -> list[int] | None:
        """By ioctl PAGEMAP_SCAN (Linux 6.7): passes over what is not there, a tenth of a millisecond for an image."""
        found: list[int] = []
        regions = array.array("Q", bytes(24 * _REGIONS))
        wanted = _IS_PRESENT | _IS_SWAPPED
        start, end, left = base, base + length, most
        while start < end:
            if left <= 0:
                return None
            # size, flags, start, end, walk_end, vec, vec_len, max_pages, inverted, mask, any_of, return
            numbers = (
                _SCAN_ARGUMENTS.size, 0, start, end, 0, regions.buffer_info()[0], _REGIONS, 0,
                _IS_FILE, _IS_FILE, wanted, wanted,
            )  # fmt: skip
            arguments = bytearray(_SCAN_ARGUMENTS.pack(*numbers))
            count = fcntl.ioctl(self._file, _SCAN, arguments)
            starts, ends = regions[0 : 3 * count : 3], regions[1 : 3 * count : 3]
            found += chain.from_iterable(zip(starts, ends, strict=True))
            left -= (sum(ends) - sum(starts)) // PAGE_BYTES
            walked = _SCAN_ARGUMENTS.unpack(arguments)[_WALK_END]
            if walked <= start:
                raise OSError("the scan of the page map does not advance")
            start = walked
        return found if left >= 0 else None

    def _read(self, base: int, length: int, most: int) -> list[int] | None:
        """By reading one entry for each page."""
        pages = length // PAGE_BYTES
        entries = os.pread(self._file, pages * _ENTRY_BYTES, base // PAGE_BYTES * _ENTRY_BYTES)
        if len(entries) != pages * _ENTRY_BYTES:
            raise OSError("the page map is shorter than the memory")
        own = entries[_ENTRY_BYTES - 1 :: _ENTRY_BYTES].translate(_IS_OWN) + b"\0"
        if own.count(1) > most:
            return None
        found: list[int] = []
        start = own.find(1)
        while start >= 0:
            end = own.find(0, start)
            found += (base + start * PAGE_BYTES, base + end * PAGE_BYTES)
            start = own.find(1, end)
        return found


class Vectors(NamedTuple):
    """Ranges as the system takes them: up to 1024 pairs of address and length, for both sides."""

    targets: array.array[int]
    sources: array.array[int]
    size: int


def vectors(ranges: list[int], offset: int) -> list[Vectors]:
    """What to copy so that each range equals the memory `offset` bytes away from it."""
    made = []
    for first in range(0, len(ranges), 2 * _MOST_VECTORS):
        part = ranges[first : first + 2 * _MOST_VECTORS]
        lengths = [end - start for start, end in zip(part[0::2], part[1::2], strict=True)]
        pairs = list(zip(part[0::2], lengths, strict=True))
        targets = array.array("Q", chain.from_iterable(pairs))
        sources = array.array("Q", chain.from_iterable((start + offset, length) for start, length in pairs))
        made.append(Vectors(targets, sources, sum(lengths)))
    return made


if sys.platform == "linux":
    _read_memory = ctypes.CDLL(None, use_errno=True).process_vm_readv
    _read_memory.restype = ctypes.c_ssize_t
    _read_memory.argtypes = (
        ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong,
    )  # fmt: skip


def copy(vectors: list[Vectors]) -> None:
    """Copy every range, in one system call for each thousand, without holding the interpreter's lock.

    Raises: OSError: refused, or not all was copied.
    """
    process = os.getpid()
    for targets, sources, size in vectors:
        count = len(targets) // 2
        copied = _read_memory(process, targets.buffer_info()[0], count, sources.buffer_info()[0], count, 0)
        if copied != size:
            raise OSError(ctypes.get_errno(), f"{copied} of {size} bytes were put back")
