"""Long texts between a server and its workers: files in memory, sealed, whose descriptors are passed.

Beside the pipes of a worker there is a socket for them. Each message is 24 bytes, little-endian: number of the
execution, where the text starts in the file, how long it is; and one descriptor. It goes before the frame that means
it: EXECUTE_FILE to the worker, ANSWER_FILE from it.

SECURITY: what comes from a worker is hostile. A descriptor is taken only if it is a file in memory that nobody can
shorten, lengthen or change any more, and nothing is mapped: reading it cannot fail, block, or give anything that was
not there when it was checked. What comes from the server itself is sealed likewise, and may be mapped.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
import stat
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from .messages import BadMessage

LONG_BYTES: Final = 256 * 1024
"""Texts that are longer travel in files."""
PIECE_BYTES: Final = 256 * 1024
_MESSAGE: Final = struct.Struct("<QQQ")
_SEALS: Final = (
    getattr(fcntl, "F_SEAL_SHRINK", 0) | getattr(fcntl, "F_SEAL_GROW", 0) | getattr(fcntl, "F_SEAL_WRITE", 0)
)


def are_offered() -> bool:
    """Whether the system has such files."""
    return hasattr(os, "memfd_create") and _SEALS != 0


class MemoryFile:
    """A file in memory, without a name; it is closed when nobody refers to it any more."""

    __slots__ = ("_descriptor", "size")

    def __init__(self, descriptor: int, size: int = 0) -> None:
        self._descriptor = descriptor
        self.size = size

    @staticmethod
    def new() -> MemoryFile:
        """An empty one, to be written. Raises: OSError: the system has no room for it."""
        return MemoryFile(os.memfd_create("wasmexec-text", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))

    def write(self, piece: bytes) -> None:
        """Append a piece. Raises: OSError: the system has no room for it."""
        view = memoryview(piece)
        while view:
            written = os.pwrite(self._descriptor, view, self.size)
            self.size += written
            view = view[written:]

    def seal(self) -> None:
        """Nothing of it changes from now on."""
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, _SEALS | fcntl.F_SEAL_SEAL)

    def read(self, start: int, size: int) -> bytes:
        """A part of it. Raises: OSError: it is not all there."""
        pieces = []
        while size:
            piece = os.pread(self._descriptor, size, start)
            if not piece:
                raise OSError("a text that is shorter than its length")
            pieces.append(piece)
            start += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def fileno(self) -> int:
        """The descriptor, which stays its own."""
        return self._descriptor

    @property
    def is_sealed(self) -> bool:
        """Whether nobody can change it any more."""
        return fcntl.fcntl(self._descriptor, fcntl.F_GET_SEALS) & _SEALS == _SEALS

    def check(self, end: int, *, may_grow: bool = False) -> None:
        """Raises: BadMessage: it is none whose bytes up to `end` are there, and stay unless it may grow."""
        try:
            state = os.fstat(self._descriptor)
            mode = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
            seals = fcntl.fcntl(self._descriptor, fcntl.F_GET_SEALS) if stat.S_ISREG(state.st_mode) else 0
        except OSError as error:
            raise BadMessage(f"a descriptor of no file in memory ({error.strerror})") from None
        if seals & _SEALS != _SEALS and not may_grow:
            raise BadMessage("a descriptor of a file that may change")
        if mode & os.O_ACCMODE == os.O_WRONLY or mode & getattr(os, "O_PATH", 0):
            raise BadMessage("a descriptor that cannot be read")
        if end > state.st_size:
            raise BadMessage(f"a file of {state.st_size:,} bytes for a text of {end:,}")

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # With nothing of this module: at the end of a process that is gone before the last file.
        try:  # noqa: SIM105
            close(self._descriptor)
        except OSError:
            pass


class LongText:
    """A text that is a part of a file."""

    __slots__ = ("_size", "_start", "file")

    def __init__(self, file: MemoryFile, start: int, size: int) -> None:
        self.file = file
        self._start = start
        self._size = size

    @staticmethod
    def of(pieces: Iterable[bytes]) -> LongText:
        """A sealed file of its own with these pieces. Raises: OSError: the system has no room for it."""
        file = MemoryFile.new()
        for piece in pieces:
            file.write(piece)
        file.seal()
        return LongText(file, 0, file.size)

    def __len__(self) -> int:
        return self._size

    def read(self) -> bytes:
        """All of it. Raises: OSError: it is not all there."""
        return self.file.read(self._start, self._size)

    def view(self) -> memoryview:
        """All of it, without a copy, for as long as somebody refers to what this returns.

        SECURITY: only for files that are sealed: to look at what one has no more ends the process.

        Raises:
            OSError: the system has no room for it.
        """
        # Not MAP_SHARED: Linux before 6.7 refuses that for sealed files, though nothing is to be written.
        flags = mmap.MAP_PRIVATE | getattr(mmap, "MAP_POPULATE", 0)
        end = self._start + self._size
        return memoryview(mmap.mmap(self.file.fileno(), end, flags, mmap.PROT_READ))[self._start : end]

    def pieces(self, size: int = PIECE_BYTES) -> Iterator[bytes]:
        """All of it in pieces of such a size; each is read when it is asked for."""
        end = self._start + self._size
        for start in range(self._start, end, size):
            yield self.file.read(start, min(size, end - start))

    def send(self, channel: socket.socket, execution: int) -> None:
        """Pass it to whoever is at the other end. Raises: OSError: the channel takes no more for now, or is closed."""
        socket.send_fds(channel, [_MESSAGE.pack(execution, self._start, self._size)], [self.file.fileno()])


def receive(channel: socket.socket, most: int, *, may_grow: bool = False) -> tuple[int, LongText] | None:
    """The next text of at most so many bytes and the number of its execution; None: the other end is closed.

    SECURITY: a file that may still grow, and change, is taken only of one that is trusted, and is not to be mapped.

    Raises:
        BadMessage: it is not what `LongText.send` sends.
        BlockingIOError: there is none for now.
    """
    data, descriptors, flags, _ = socket.recv_fds(channel, _MESSAGE.size, 1, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    # First of all, so that whatever came is closed.
    files = [MemoryFile(descriptor) for descriptor in descriptors]
    if not data and not files:
        return None
    if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC) or len(data) != _MESSAGE.size or len(files) != 1:
        raise BadMessage("a descriptor in a message of another form")
    execution, start, size = _MESSAGE.unpack(data)
    if size > most or start > most:
        raise BadMessage(f"a text of {size:,} bytes in a file")
    files[0].check(start + size, may_grow=may_grow)
    return execution, LongText(files[0], start, size)


def whole(text: bytes | LongText) -> bytes:
    """All of a text in memory."""
    return text if isinstance(text, bytes) else text.read()
