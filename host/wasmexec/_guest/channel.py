"""The memory-mapped channel: one header and length-prefixed JSON frames in the guest's linear memory.

Frame, both directions: `u32 LE head_len | head: UTF-8 JSON object | blob`. A blob reference inside a head is
`[offset, length]` relative to the start of the blob. Source: guest/PROTOCOL.md.

SECURITY: everything read here was written by a hostile guest. Each pointer and length is compared with the present
memory size and a cap before use, the header is copied once and only the copy is looked at, and anything that does
not fit raises `BadFrame`, after which the instance must not run again.
"""

from __future__ import annotations

import ctypes
import enum
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import orjson

Blob: TypeAlias = bytes | memoryview
"""What goes into the guest as it is."""
MAGIC = 0x31435857
VERSION = 1
HEADER_BYTES = 64
MAX_HEAD_BYTES = 4 * 1024 * 1024
"""A head carries calls or one error, never rows or bodies."""
MAX_HEAD_MARKS = 128 * 1024
"""Brackets, colons and commas of a head: what makes its values take more memory than its text."""
MAX_WHERE_BYTES = 64 * 1024
MAX_SENT_BYTES = 2**31 - 1
_MARKS = (b"{", b"[", b":", b",")
_WORD = struct.Struct("<I")
_HEADER = struct.Struct("<16I")
_INBOX = struct.Struct("<3I")
_INBOX_AT = 12

_memory_view = ctypes.pythonapi.PyMemoryView_FromMemory
_memory_view.restype = ctypes.py_object
_memory_view.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
_PYBUF_READ, _PYBUF_WRITE = 0x100, 0x200
_PIECE_BYTES = 1024**2


class BadFrame(Exception):
    """The guest broke a rule of the channel; the text says which."""


class InboxRefused(Exception):
    """The guest has no memory for a frame of this size."""


class State(enum.IntEnum):
    """The state word of the header."""

    READY = 0
    RUNNING = 1
    WAITING = 2
    DONE = 3
    EXITED = 4
    FATAL = 5


class Header(NamedTuple):
    """One copy of the header's words."""

    magic: int
    version: int
    state: int
    inbox_ptr: int
    inbox_len: int
    inbox_cap: int
    outbox_ptr: int
    outbox_len: int
    outbox_cap: int
    where_ptr: int
    where_len: int
    where_cap: int
    exit_code: int
    reserved_13: int
    reserved_14: int
    reserved_15: int


class Frame(NamedTuple):
    """A parsed frame; `blob` is a read-only view that the caller drops before the guest runs again."""

    head: dict[str, object]
    blob: memoryview


class LinearMemory:
    """Bounds-checked access to the linear memory of one instance.

    `base` is its address in this process, which never changes (the engine reserves the whole range); `size` tells
    its present size in bytes.
    """

    __slots__ = ("base", "size")

    def __init__(self, base: int, size: Callable[[], int]) -> None:
        self.base = base
        self.size = size

    def check(self, pointer: int, length: int) -> None:
        """Raises: BadFrame: the range is not inside the present memory."""
        if pointer < 0 or length < 0 or pointer + length > self.size():
            raise BadFrame(f"range {pointer:#x}+{length:#x} lies outside the memory of {self.size():#x} bytes")

    def read(self, pointer: int, length: int) -> bytes:
        """A copy of the range."""
        self.check(pointer, length)
        return ctypes.string_at(self.base + pointer, length)

    def view(self, pointer: int, length: int) -> memoryview:
        """A read-only view of the range, valid until the guest runs again."""
        self.check(pointer, length)
        view: memoryview = _memory_view(self.base + pointer, length, _PYBUF_READ)
        return view

    def write(self, pointer: int, data: Blob) -> None:
        """Copy `data` to the range."""
        self.check(pointer, len(data))
        if isinstance(data, bytes):
            ctypes.memmove(self.base + pointer, data, len(data))
            return
        # In pieces, between which other threads have their turn.
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            _memory_view(self.base + pointer + start, len(piece), _PYBUF_WRITE)[:] = piece


class Channel:
    """Reads and writes frames of one instance; `reserve(length)` asks the guest for a larger inbox."""

    __slots__ = ("_address", "_memory", "_reserve")

    def __init__(self, memory: LinearMemory, address: int, reserve: Callable[[int], int]) -> None:
        self._memory = memory
        self._address = address
        self._reserve = reserve

    def header(self) -> Header:
        """Raises: BadFrame: wrong address, magic or version."""
        header = Header._make(_HEADER.unpack(self._memory.read(self._address, HEADER_BYTES)))
        if header.magic != MAGIC or header.version != VERSION:
            raise BadFrame(f"header has magic {header.magic:#x} and version {header.version}")
        return header

    def send(self, head: bytes, blobs: Sequence[Blob] = ()) -> None:
        """Put a frame into the inbox.

        Raises:
            InboxRefused: the guest has no memory for it.
            BadFrame: the inbox that the guest offers is too small or not in its memory.
        """
        memory = self._memory
        length = 4 + len(head) + sum(map(len, blobs))
        if length > MAX_SENT_BYTES:
            raise InboxRefused
        pointer, capacity = self._inbox()
        if length > capacity:
            reserved = self._reserve(length)
            if reserved == 0:
                raise InboxRefused
            pointer, capacity = self._inbox()
            if pointer != reserved or capacity < length:
                raise BadFrame(f"the guest reserved {capacity} bytes for a frame of {length}")
        memory.check(pointer, length)
        memory.write(pointer, _WORD.pack(len(head)) + head)
        position = pointer + 4 + len(head)
        for blob in blobs:
            memory.write(position, blob)
            position += len(blob)
        memory.write(self._address + _INBOX_AT + 4, _WORD.pack(length))

    def _inbox(self) -> tuple[int, int]:
        pointer, _, capacity = _INBOX.unpack(self._memory.read(self._address + _INBOX_AT, _INBOX.size))
        return pointer, capacity

    def receive(self, header: Header, max_bytes: int) -> Frame:
        """The frame in the outbox.

        Raises:
            BadFrame: it is longer than `max_bytes` or than its own capacity, outside memory, or not a frame.
        """
        length = header.outbox_len
        if length > header.outbox_cap:
            raise BadFrame(f"outbox of {header.outbox_cap} bytes claims to hold {length}")
        if length > max_bytes:
            raise BadFrame(f"frame of {length} bytes, at most {max_bytes} allowed")
        return parse_frame(self._memory.view(header.outbox_ptr, length))

    def where(self) -> bytes:
        """What `wx_where` wrote: JSON that nobody has checked.

        Raises: BadFrame: outside memory or longer than allowed.
        """
        header = self.header()
        length = header.where_len
        if length > min(header.where_cap, MAX_WHERE_BYTES):
            raise BadFrame(f"where buffer of {header.where_cap} bytes claims to hold {length}")
        return self._memory.read(header.where_ptr, length)


def parse_frame(data: memoryview) -> Frame:
    """Split a frame into its head, parsed from a copy, and a view of its blob.

    Raises:
        BadFrame: too short, head too long, head not a JSON object.
    """
    size = len(data)
    if size < 4:
        raise BadFrame(f"frame of {size} bytes")
    (head_length,) = _WORD.unpack_from(data)
    if head_length > size - 4:
        raise BadFrame(f"frame of {size} bytes claims a head of {head_length}")
    if head_length > MAX_HEAD_BYTES:
        raise BadFrame(f"head of {head_length} bytes, at most {MAX_HEAD_BYTES} allowed")
    text = bytes(data[4 : 4 + head_length])
    # SECURITY: before it is parsed, for then it is too late.
    if head_length > MAX_HEAD_MARKS and sum(map(text.count, _MARKS)) > MAX_HEAD_MARKS:
        raise BadFrame(f"head of more than {MAX_HEAD_MARKS} values")
    try:
        head = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadFrame("head is not JSON") from None
    if type(head) is not dict:
        raise BadFrame(f"head is {type(head).__name__}, not an object")
    return Frame(head, data[4 + head_length :])


def blob_part(frame: Frame, reference: object) -> memoryview:
    """The part of the blob that `[offset, length]` names.

    Raises: BadFrame: not such a pair, or outside the blob.
    """
    match reference:
        case [int(offset), int(length)] if type(offset) is int and type(length) is int:
            if offset < 0 or length < 0 or offset + length > len(frame.blob):
                raise BadFrame(f"blob reference {offset}+{length} lies outside the blob of {len(frame.blob)} bytes")
            return frame.blob[offset : offset + length]
    raise BadFrame("a blob reference is not a pair of numbers")


def pack_frame(head: dict[str, object], blob: bytes = b"") -> bytes:
    """One frame as bytes, for replies that are copied in one piece."""
    encoded = orjson.dumps(head)
    return _WORD.pack(len(encoded)) + encoded + blob
