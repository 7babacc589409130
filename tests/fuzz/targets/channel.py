"""The channel's frames, read out of memory that somebody else has written."""

from __future__ import annotations

import contextlib
import ctypes
import struct

from tests.fuzz.draw import Draw

from wasmexec._guest.channel import HEADER_BYTES, BadFrame, Channel, InboxRefused, LinearMemory, blob_part

_SIZE = 4096
_AROUND = 256
_HEADER_AT = 64
_MOST = 1500


def frames(data: bytes) -> None:
    """Whatever the header says, only the memory is read and written; a frame and its parts are what was written."""
    draw = Draw(data)
    whole = ctypes.create_string_buffer(bytes([0xAA]) * (_SIZE + 2 * _AROUND), _SIZE + 2 * _AROUND)
    memory = LinearMemory(ctypes.addressof(whole) + _AROUND, lambda: _SIZE)
    address = _HEADER_AT if not draw.chance(10) else draw.integer()
    head = draw.object(kind=['"done"'], outcome=['"rows"'], rows=["[0,2]", "[1,4]"]).encode("utf-8", "replace")
    blob = draw.binary(60)
    if draw.chance(8):
        head = draw.json().encode("utf-8", "replace")
    size = len(head) if not draw.chance(6) else draw.integer() & 0xFFFFFFFF
    frame = struct.pack("<I", size) + head + blob
    at = 1024 if not draw.chance(4) else draw.choose([0, _SIZE - len(frame), _SIZE - len(frame) + 1, _SIZE - 3])
    words = [0x31435857, 1, 3, 2048, 0, 64, at & 0xFFFFFFFF, len(frame), 4000, 512, 5, 100, 0, 0, 0, 0]
    for _ in range(draw.below(4)):
        words[draw.below(16)] = draw.integer() & 0xFFFFFFFF
    ctypes.memmove(memory.base + _HEADER_AT, struct.pack("<16I", *words), HEADER_BYTES)
    if 0 <= at <= _SIZE - len(frame):
        ctypes.memmove(memory.base + at, frame, len(frame))
    content = whole.raw[_AROUND : _AROUND + _SIZE]
    channel = Channel(memory, address, lambda length: draw.integer() & 0xFFFFFFFF)
    try:
        header = channel.header()
        assert address == _HEADER_AT
        assert header[:2] == (0x31435857, 1)
        assert header == tuple(struct.unpack_from("<16I", content, _HEADER_AT))
        found = channel.receive(header, _MOST)
        assert type(found.head) is dict
        assert header.outbox_len <= min(header.outbox_cap, _MOST)
        start = header.outbox_ptr
        assert start + header.outbox_len <= _SIZE
        length = struct.unpack_from("<I", content, start)[0]
        assert bytes(found.blob) == content[start + 4 + length : start + header.outbox_len]
        for reference in (found.head.get("rows"), [draw.integer(), draw.integer()], draw.value(1)):
            _check_part(found.blob, blob_part(found, reference), reference)
    except BadFrame:
        pass
    try:
        where = channel.where()
        assert len(where) <= min(words[11], 64 * 1024)
        assert where == content[words[9] : words[9] + words[10]]
    except BadFrame:
        pass
    with contextlib.suppress(BadFrame, InboxRefused):
        channel.send(draw.binary(80), [draw.binary(200)])
    assert whole.raw[:_AROUND] == whole.raw[-_AROUND:] == bytes([0xAA]) * _AROUND, "written outside the memory"


def _check_part(blob: memoryview, part: memoryview, reference: object) -> None:
    assert isinstance(reference, list)
    offset, length = reference
    assert offset >= 0 <= length
    assert offset + length <= len(blob), "a part outside the blob"
    assert bytes(part) == bytes(blob)[offset : offset + length]
