"""What is kept of an execution, without its secrets: texts, JSON, bodies of requests and responses."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from .._masking.masker import MASK
from ..rows.json_text import decode, encode

if TYPE_CHECKING:
    from .._masking.masker import Masker

MAX_UNPACKED_BYTES = 64 * 1024 * 1024
_UNPACKED = {"gzip": 47, "x-gzip": 47, "deflate": 47}
"""How zlib is told about a coding: 32 + 15 finds out the header by itself."""

Headers = tuple[tuple[str, str], ...]


class Unmaskable(Exception):
    """A body that may hide a secret where nobody can look for it; the text says why."""


def masked(mask: Masker | None, text: str) -> str:
    """Text without secrets."""
    return text if mask is None else mask.exactly(text)


def masked_bytes(mask: Masker | None, data: bytes) -> bytes:
    """Bytes without secrets."""
    return data if mask is None else mask.in_bytes(data)


def masked_json(mask: Masker | None, data: bytes) -> bytes:
    """JSON without secrets, which is JSON again, also where a number is one; what is no JSON is masked as bytes."""
    if mask is None or mask.in_bytes(data) is data:
        return data
    try:
        found = encode(_masked_value(decode(data), mask))
    except (ValueError, RecursionError):
        return mask.in_bytes(data)
    if mask.in_bytes(found) is found:
        return found
    # A secret in pieces, such as the numbers of its bytes, leaves nothing that could be kept but the shape.
    return b'{"***":"***"}' if data.lstrip()[:1] == b"{" else b'[{"***":"***"}]'


def _masked_value(value: object, mask: Masker) -> object:
    if isinstance(value, str):
        return mask.exactly(value)
    if isinstance(value, dict):
        return {mask.exactly(name): _masked_value(item, mask) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked_value(item, mask) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        text = str(value)
        return value if mask.exactly(text) == text else MASK
    return value


def masked_body(mask: Masker | None, headers: Headers, body: bytes) -> bytes:
    """The body of a request without secrets; nothing of one in which nobody can look for them."""
    try:
        return masked_response(mask, headers, body)[1]
    except Unmaskable:
        return b""


def masked_response(mask: Masker | None, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """A response without secrets. One that is compressed and holds one comes out uncompressed.

    Raises:
        Unmaskable: it is compressed so that it cannot be searched.
    """
    if mask is None:
        return headers, body
    codings = [value.strip().lower() for name, value in headers if name.lower() == "content-encoding"]
    coding = ", ".join(codings) or "identity"
    clean = tuple((mask.exactly(name), mask.exactly(value)) for name, value in headers)
    if coding == "identity" or not body:
        found = masked_bytes(mask, body)
        return (clean, body) if found == body else (_with_length(clean, len(found)), found)
    plain = _unpacked(coding, body)
    found = masked_bytes(mask, plain)
    if found == plain:
        return clean, body
    without = tuple(pair for pair in clean if pair[0].lower() != "content-encoding")
    return _with_length(without, len(found)), found


def _with_length(headers: Headers, length: int) -> Headers:
    return tuple((name, str(length) if name.lower() == "content-length" else value) for name, value in headers)


def _unpacked(coding: str, body: bytes) -> bytes:
    if coding not in _UNPACKED:
        raise Unmaskable(f"it is compressed as {coding[:50]!r}")
    for bits in (_UNPACKED[coding], -15):
        unpacker = zlib.decompressobj(bits)
        try:
            data = unpacker.decompress(body, MAX_UNPACKED_BYTES + 1)
        except zlib.error:
            continue
        if len(data) > MAX_UNPACKED_BYTES:
            raise Unmaskable(f"it has more than {MAX_UNPACKED_BYTES:,} bytes uncompressed")
        return data
    raise Unmaskable("it is not what its Content-Encoding says")
