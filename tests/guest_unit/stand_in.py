"""Stands in for the C module `_wasmexec` where guest Python is tested natively: same names, same frames.

What the C code is answerable for (how rows are encoded to the last byte, what memory it takes) is tested in the guest.
A test is the host: it sets `host.inbox` and `host.answer`, and looks at `host.outbox` and `host.records`.
"""

from __future__ import annotations

import errno
import json
import math
import struct
from collections.abc import Callable
from typing import Final

_WORD = struct.Struct("<I")

Answer = Callable[[str, bytes], tuple[object, bytes]]
"""Head and blob of the reply to a synchronous host call."""


class EncodeError(Exception):
    """As in the guest: no JSON form; `pointer`, `rule` and `value` say which and why."""

    def __init__(self, message: str, pointer: str, rule: str, value: str) -> None:
        super().__init__(message)
        self.pointer: Final = pointer
        self.rule: Final = rule
        self.value: Final = value


class OutputTooLarge(Exception):
    """As in the guest: `used` is the size reached."""

    def __init__(self, used: int) -> None:
        super().__init__("the rows are too large")
        self.used: Final = used


class Host:
    """The other end of the channel; `takes` is how many log records it takes."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """As before anything was said."""
        self.inbox: bytes = b""
        self.outbox: bytes = b""
        self.records: list[tuple[int, str]] = []
        self.takes = 1_000_000
        self.reseeded = 0
        self.answer: Answer | None = None


host = Host()


def frame(head: str | bytes, blob: bytes | bytearray | memoryview = b"") -> bytes:
    """A frame as bytes."""
    encoded = head.encode() if isinstance(head, str) else head
    return _WORD.pack(len(encoded)) + encoded + bytes(blob)


def split(data: bytes) -> tuple[str, bytes]:
    """Head and blob of a frame; the checks are those of frames.c."""
    if len(data) < _WORD.size:
        raise ValueError("a frame is shorter than its own length")
    (length,) = _WORD.unpack_from(data)
    if length > len(data) - _WORD.size:
        raise ValueError("the head of a frame is longer than the frame")
    return data[_WORD.size : _WORD.size + length].decode(), data[_WORD.size + length :]


def take_inbox() -> tuple[str, memoryview]:
    head, blob = split(host.inbox)
    host.inbox = b""
    return head, memoryview(blob)


def put_outbox(head: bytes | str, blob: bytes | bytearray | memoryview = b"") -> None:
    host.outbox = frame(head, blob)


def call(head: str | bytes, blob: bytes | bytearray | memoryview = b"") -> tuple[str, bytes]:
    text, body = split(frame(head, blob))
    if host.answer is None:
        raise OSError(errno.EINVAL, "the host refused a malformed request")
    reply, reply_blob = host.answer(text, body)
    return split(frame(json.dumps(reply, separators=(",", ":")), reply_blob))


def log(level: int, message: str) -> bool:
    if len(host.records) >= host.takes:
        return False
    host.records.append((level, message))
    return True


def encode_rows(
    rows: list[object], convert: Callable[[object], object], max_bytes: int, max_keys: int, max_depth: int
) -> memoryview:
    def plain(value: object, pointer: str, depth: int) -> object:
        if depth > 1000:
            raise RecursionError
        if value is None or type(value) in (str, bool, int):
            return value
        if type(value) is float:
            if math.isinf(value):
                raise EncodeError("not finite", pointer, "finite", repr(value))
            return None if math.isnan(value) else value
        if type(value) in (list, tuple):
            assert isinstance(value, list | tuple)
            return [plain(item, f"{pointer}/{index}", depth + 1) for index, item in enumerate(value)]
        if type(value) is dict:
            for key in value:
                if not isinstance(key, str):
                    raise EncodeError(f"a key must be a str, not {type(key).__name__}", pointer, "key", repr(key))
            return {str(key): plain(item, f"{pointer}/{key}", depth + 1) for key, item in value.items()}
        try:
            return plain(convert(value), pointer, depth + 1)
        except TypeError as error:
            raise EncodeError(str(error), pointer, "unsupported", type(value).__name__) from None

    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            name = type(row).__name__
            raise EncodeError(f"every row must be a dict, not {name}", f"/{index}", "object", name)
    text = json.dumps(plain(rows, "", 0), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    if len(text) > max_bytes:
        raise OutputTooLarge(len(text))
    return memoryview(text)


def reseed_crypto() -> None:
    host.reseeded += 1
