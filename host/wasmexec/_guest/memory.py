"""Linear memories: copies of the image's memory, made page by page as the guest writes, and put back after use.

Most of a short execution's time would go into page faults and unmapping: the interpreter writes to the same few
hundred pages each time (reference counts, mostly). So a memory whose instance is gone is not unmapped: the pages that
are its own are overwritten with the image's, and the next instance finds them in place. What a guest can see is the
same: the image's memory, byte by byte, in its first size. A memory that was once written to all over (a plot, say)
takes milliseconds to put back, so such memories wait apart, for the statements that did so the last time.

SECURITY: this keeps one execution's data from the next one. Which pages to put back is the kernel's answer, not the
guest's, and a memory that cannot be put back whole is unmapped.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import wasmtime
from wasmtime import _bindings as bindings

from ..errors import ImageError
from .pages import PAGE_BYTES, OwnPages, Vectors, copy, vectors

RESERVED_BYTES = 4 * 1024**3
"""Address space of each memory: all that a 32-bit guest can name, so the compiler leaves out bounds checks."""
GUARD_BYTES = 32 * 1024**2
MAX_KEPT = 16
"""Memories that wait for their next instance."""
MAX_HEAVY_KEPT = 4
"""How many of them may be heavy."""
HEAVY_PAGES = 2048
"""A memory with more pages of its own is heavy."""
HEAVY_WRITER_PAGES = HEAVY_PAGES // 2
"""A program that adds more of them to a memory, and so makes it heavy, is a heavy writer."""
MAX_OWN_PAGES = 8192
"""A waiting memory holds at most so many pages; one with more is unmapped."""
MAX_REMEMBERED = 1024
"""Programs that are known as heavy writers."""
WASM_PAGE_BYTES = 65536

_READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE
_NO_ACCESS = 0
_NEW = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_FIXED = 0x10
_NO_RESERVE = 0x4000 if sys.platform == "linux" else 0x40
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64,
)  # fmt: skip
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


def _map(address: int | None, length: int, protection: int, flags: int, file: int = -1) -> int:
    found: int | None = _libc.mmap(address, length, protection, flags | _NO_RESERVE, file, 0)
    if found is None or found == _FAILED:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found


class Memory:
    """One linear memory: `size` bytes at `base` of this process, the rest of the reservation inaccessible.

    Attributes:
        limit: bytes that it may have in this execution.
        was_refused: whether the guest asked for more than that.
        program: what runs in it, see `MemoryPool.take`.
        pages: how many were its own when it was last put back.
        first_pages: how many they were when it was taken.

    Raises: OSError: the system has no room.
    """

    def __init__(self, file: int, size: int) -> None:
        self.file = file
        self.base = _map(None, RESERVED_BYTES + GUARD_BYTES, _NO_ACCESS, _NEW)
        self.size = size
        self.limit = RESERVED_BYTES
        self.was_refused = False
        self.program = 0
        self.pages = 0
        self.first_pages = 0
        self.own_pages: list[int] = []
        self.vectors: list[Vectors] = []
        try:
            _map(self.base, size, _READ_WRITE, mmap.MAP_PRIVATE | _FIXED, file)
        except OSError:
            self.unmap()
            raise

    def grow(self, size: int) -> None:
        """Add zeros until it has `size` bytes.

        Raises: OSError: that is beyond the limit, or the system has no room.
        """
        if size > self.limit:
            self.was_refused = True
            raise OSError(f"the limit is {self.limit:,} bytes")
        if size > self.size:
            _map(self.base + self.size, size - self.size, _READ_WRITE, _NEW | _FIXED)
            self.size = size

    def shrink(self, size: int) -> None:
        """Take away what is beyond `size` bytes.

        Raises: OSError: the system has no room for one more mapping.
        """
        if size < self.size:
            _map(self.base + size, self.size - size, _NO_ACCESS, _NEW | _FIXED)
            self.size = size

    @property
    def is_heavy(self) -> bool:
        """Whether it had many pages of its own when it was last put back."""
        return self.pages > HEAVY_PAGES

    def unmap(self) -> None:
        """Give it back to the system; the last thing to call."""
        _libc.munmap(self.base, RESERVED_BYTES + GUARD_BYTES)


class MemoryPool:
    """The memories of one image's instances; thread-safe. `descriptor` is an open one of the file at `path`.

    Raises:
        ImageError: the file with the image's memory cannot be used.
    """

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if descriptor is None else os.dup(descriptor)
        except OSError as error:
            raise ImageError(f"the image's memory {path} cannot be read: {error.strerror}") from None
        self.size = os.fstat(self._file).st_size
        self._shared: _SharedCopy | None = None
        self._lock = threading.Lock()
        self._waiting: list[Memory] = []
        self._heavy_writers: OrderedDict[int, None] = OrderedDict()
        self._in_use = 0
        self._given_back = 0
        self._is_closed = False

    def take(self, limit: int = RESERVED_BYTES, program: int = 0) -> Memory:
        """A memory like the image's, for one instance; the caller gives it back when the instance is gone.

        limit: bytes that it may grow to, at most 4 GiB. program: some number for what will run in it, the same for what
        is likely to write as much.

        Raises: OSError: the system has no room.
        """
        with self._lock:
            self._in_use += 1
            memory = self._find(is_heavy=program in self._heavy_writers)
        try:
            if memory is None:
                memory = Memory(self._file if self._shared is None else self._shared.file, self.size)
        except BaseException:
            self._left()
            raise
        memory.limit, memory.was_refused = min(limit, RESERVED_BYTES), False
        memory.program, memory.first_pages = program, memory.pages
        return memory

    def _find(self, *, is_heavy: bool) -> Memory | None:
        # The one that was used last: its pages are in the processor's caches.
        for index in reversed(range(len(self._waiting))):
            if self._waiting[index].is_heavy == is_heavy:
                return self._waiting.pop(index)
        return self._waiting.pop() if is_heavy and self._waiting else None

    def give_back(self, memory: Memory) -> None:
        """Put it back to the image's content for another instance, or unmap it; nothing may use it any more."""
        _in_use.pop(memory.base, None)
        shared = self._shared
        is_kept = False
        if shared is None:
            self._share_if_worthwhile()
        elif not self._is_closed:
            is_kept = shared.put_back(memory) and self._keep(memory)
        if not is_kept:
            memory.unmap()
        self._left()

    def _keep(self, memory: Memory) -> bool:
        """Have a memory that was put back wait; False if enough of its kind wait already."""
        with self._lock:
            if self._is_closed or len(self._waiting) >= MAX_KEPT:
                return False
            if memory.is_heavy:
                self._remember(memory)
                # Memories of programs that write little add up too: such a one has had its time.
                if memory.program not in self._heavy_writers:
                    return False
                if sum(other.is_heavy for other in self._waiting) >= MAX_HEAVY_KEPT:
                    return False
            self._waiting.append(memory)
            return True

    def _remember(self, memory: Memory) -> None:
        """Note whether the program that ran in a heavy memory made it so."""
        if memory.pages - memory.first_pages > HEAVY_WRITER_PAGES:
            self._heavy_writers[memory.program] = None
        if memory.program in self._heavy_writers:
            self._heavy_writers.move_to_end(memory.program)
        if len(self._heavy_writers) > MAX_REMEMBERED:
            self._heavy_writers.popitem(last=False)

    def close(self) -> None:
        """Unmap what waits; what is still in use goes when it is given back. Idempotent."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._in_use += 1
            waiting, self._waiting = self._waiting, []
        for memory in waiting:
            memory.unmap()
        self._left()

    @property
    def kept(self) -> int:
        """How many memories wait for an instance."""
        return len(self._waiting)

    def _left(self) -> None:
        with self._lock:
            self._in_use -= 1
            if self._in_use or not self._is_closed:
                return
        os.close(self._file)
        if self._shared is not None:
            self._shared.close()

    def _share_if_worthwhile(self) -> None:
        """From the second execution on there will be more: a program that runs one statement does not pay for this."""
        with self._lock:
            self._given_back += 1
            if self._given_back == 2:
                # Without it (no page map, no room, another system) memories are unmapped after use.
                with contextlib.suppress(OSError):
                    self._shared = _SharedCopy(self._file, self.size)


class _SharedCopy:
    """A copy of the image's memory in memory, which nobody can change, and from which memories are put back.

    Its small pages are looked through several times as fast as those of a file.

    Raises: OSError: the system does not offer what this needs.
    """

    def __init__(self, source: int, size: int) -> None:
        if sys.platform != "linux":
            raise OSError("only Linux has a page map")
        self._size = size
        with contextlib.ExitStack() as undo:
            self._own_pages = OwnPages()
            undo.callback(self._own_pages.close)
            self.file = os.memfd_create("wasmexec-image", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            undo.callback(os.close, self.file)
            _copy_file(source, self.file, size)
            fcntl.fcntl(self.file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            self._base = _map(None, size, mmap.PROT_READ, mmap.MAP_SHARED, self.file)
            undo.pop_all()

    def put_back(self, memory: Memory) -> bool:
        """Make the memory equal to the image's; False if it must be unmapped."""
        if memory.file != self.file:
            return False
        try:
            memory.shrink(self._size)
            own_pages = self._own_pages.find(memory.base, self._size, MAX_OWN_PAGES)
            if own_pages is None:
                return False
            # Most executions write to the same pages, and lists that are equal are compared faster than made.
            if own_pages != memory.own_pages:
                memory.own_pages = own_pages
                memory.pages = (sum(own_pages[1::2]) - sum(own_pages[0::2])) // PAGE_BYTES
                memory.vectors = vectors(own_pages, self._base - memory.base)
            copy(memory.vectors)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give everything back."""
        _libc.munmap(self._base, self._size)
        os.close(self.file)
        self._own_pages.close()


def _copy_file(source: int, target: int, size: int) -> None:
    """Raises: OSError: the source is shorter than `size`, or there is no room."""
    os.ftruncate(target, size)
    for start, end in _filled_parts(source, size):
        position = os.lseek(target, start, os.SEEK_SET)
        while position < end:
            sent = os.sendfile(target, source, position, end - position)
            if sent == 0:
                raise OSError(f"the file ends at byte {position:,} of {size:,}")
            position += sent


def _filled_parts(file: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a sparse file that are not holes."""
    end = 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError:  # nothing but a hole is left
            return
        end = os.lseek(file, start, os.SEEK_HOLE)
        yield start, end


class _Next(threading.local):
    """The memory for the instance that this thread is creating."""

    memory: Memory | None = None


_next = _Next()
_in_use: dict[int, Memory] = {}
"""By base address, which is how the engine's callbacks name them."""


@contextlib.contextmanager
def for_next_instance(memory: Memory) -> Iterator[None]:
    """Within this block the instance that this thread creates gets `memory`."""
    _next.memory = memory
    try:
        yield
    finally:
        _next.memory = None


def provide_memories(config: wasmtime.Config) -> None:
    """Have an engine take the memories of its instances from here; such instances must be made `for_next_instance`."""
    bindings.wasmtime_config_host_memory_creator_set(config.ptr(), ctypes.byref(_CREATOR))


def _refusal(reason: str) -> int:
    text = reason.encode()
    return ctypes.cast(bindings.wasmtime_error_new(text), ctypes.c_void_p).value or 0


def _new(environment: object, kind: object, minimum: int, maximum: int, reserved: int, guard: int, result: Any) -> int:
    memory = _next.memory
    if memory is None or minimum > memory.size or reserved > RESERVED_BYTES or guard > GUARD_BYTES:
        return _refusal("no memory is provided for this instance")
    _in_use[memory.base] = memory
    made = result[0]
    made.env, made.get_memory, made.grow_memory = memory.base, _GET, _GROW
    return 0


def _get(base: int, size: Any, maximum: Any) -> int:
    size[0], maximum[0] = _in_use[base].size, RESERVED_BYTES
    return base


def _grow(base: int, size: int) -> int:
    try:
        _in_use[base].grow(size)
    except OSError as error:
        return _refusal(str(error))
    return 0


# Module-level, because the engine keeps only their addresses. No finalizers: this engine calls each of them twice.
_NEW_MEMORY = bindings.wasmtime_new_memory_callback_t(_new)
_GET = bindings.wasmtime_memory_get_callback_t(_get)
_GROW = bindings.wasmtime_memory_grow_callback_t(_grow)
_CREATOR = bindings.wasmtime_memory_creator_t(None, _NEW_MEMORY)
