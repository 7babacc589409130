"""Values on their way into and out of the database: JSON text, clean text, compressed bytes."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..rows.json_text import decode, encode
from .errors import StoreError, StoreLimitError

_CUT = " … [cut]"
_LEVEL = 1
MAX_STORED_DEPTH = 1000
"""Earlier versions stored what was nested as deeply as that."""


def to_json(value: object, what: str, limit: int) -> str:
    """`value` as JSON text that reads back equal.

    Raises:
        ConfigError: not JSON (NaN, bytes, cycle, too deep, …).
        StoreLimitError: longer than `limit` bytes.
    """
    try:
        data = encode(value, half_pairs=True)
    except ValueError as error:
        raise ConfigError(f"{what} is not JSON: {error}") from None
    if len(data) > limit:
        raise StoreLimitError(what, limit=limit, used=len(data))
    return data.decode()


def from_json(text: str | None, what: str) -> Any:
    """Reads what `to_json` wrote; None for no text.

    Raises:
        StoreError: it is damaged.
    """
    return None if text is None else read_json(text.encode("utf-8", "surrogatepass"), what)


def from_json_object(text: str, what: str) -> dict[str, Any]:
    """An object that `to_json` wrote.

    Raises:
        StoreError: it is damaged.
    """
    value = from_json(text, what)
    if not isinstance(value, dict):
        raise StoreError(f"{what} is damaged: expected an object, found {type(value).__name__}")
    return value


def read_json(data: bytes, what: str) -> Any:
    """Reads JSON that the store holds.

    Raises:
        StoreError: it is damaged.
    """
    try:
        return decode(data, max_depth=MAX_STORED_DEPTH, half_pairs=True)
    except ValueError as error:
        raise StoreError(f"{what} is damaged: {error}") from None


def clean(text: str, limit: int) -> str:
    """`text` as any database takes it: without NUL and half surrogate pairs, cut to `limit` bytes with a note."""
    data = text.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    note = _CUT.encode()[:limit]
    return (data[: limit - len(note)] + note).decode("utf-8", "ignore")


def error_json(error: Mapping[str, Any], limit: int) -> str:
    """An error's fields as JSON of at most `limit` bytes: the longest texts are cut until it fits."""
    for text_limit in (limit, limit // 8, limit // 64, 256, 32):
        try:
            return to_json(_shortened(error, text_limit), "the error", limit)
        except (StoreLimitError, ConfigError):
            continue
    names = {name: str(error.get(name, ""))[:100] for name in ("type", "message")}
    return encode({**names, "cut": True}).decode()


def _shortened(error: Mapping[str, Any], limit: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in error.items():
        if isinstance(value, str):
            result[name] = clean(value, max(limit, len(_CUT.encode())))
        elif isinstance(value, float) and not math.isfinite(value):
            result[name] = str(value)
        elif value is None or isinstance(value, (bool, int, float)):
            result[name] = value
        else:
            try:
                result[name] = from_json(to_json(value, name, limit), name)
            except (StoreLimitError, ConfigError):
                result[name] = clean(repr(value)[: limit + 1], max(limit, len(_CUT.encode())))
    return result


def pack(data: bytes) -> bytes:
    """Compressed at the fastest level: rows and bodies are many, and read seldom."""
    return zlib.compress(data, _LEVEL)


class Packing:
    """What `pack` makes, piece by piece: nothing long is joined first. `size` is that of the pieces together."""

    def __init__(self) -> None:
        self.size = 0
        self._stream = zlib.compressobj(_LEVEL)
        self._packed: list[bytes] = []

    def add(self, piece: bytes | memoryview) -> None:
        """Go on with a piece."""
        self.size += len(piece)
        self._packed.append(self._stream.compress(piece))

    def end(self) -> bytes:
        """All of it, compressed."""
        return b"".join((*self._packed, self._stream.flush()))


def unpack(data: bytes, size: int, what: str) -> bytes:
    """Reads what `pack` wrote; `size` is what must come out.

    Raises:
        StoreError: damaged.
    """
    stream = zlib.decompressobj()
    try:
        result = stream.decompress(data, size + 1)
    except zlib.error:
        result = b""
    if len(result) != size or not stream.eof:
        raise StoreError(f"{what} is damaged: {len(result):,} of {size:,} bytes")
    return result


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
