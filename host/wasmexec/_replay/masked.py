"""What is kept of an execution, without its secrets: texts, JSON, bodies of requests and responses."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from .tokens import NoJson, masked_tokens

if TYPE_CHECKING:
    from .._masking.masker import Masker

MAX_UNPACKED_BYTES = 64 * 1024 * 1024
LEAST_UNPACKED_BYTES = 8 * 1024 * 1024
MOST_TIMES_UNPACKED = 8
"""A body that holds a secret is kept uncompressed: up to so many bytes, and so many times its size more."""
_PIECE = 128 * 1024
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
    if mask is None:
        return data
    spans = mask.found(data)
    first = next(spans, None)
    if first is None:
        return data
    try:
        found = masked_tokens(mask, data, chain((first,), spans))
    except NoJson:
        return mask.in_bytes(data)
    if not mask.occurs_in(found):
        return found
    # A secret in pieces, such as the numbers of its bytes, leaves nothing that could be kept but the shape.
    return b'{"***":"***"}' if data.lstrip()[:1] == b"{" else b'[{"***":"***"}]'


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
        return (clean, body) if found is body else (_with_length(clean, len(found)), found)
    unpacked = _masked_unpacked(mask, coding, body)
    if unpacked is None:
        return clean, body
    without = tuple(pair for pair in clean if pair[0].lower() != "content-encoding")
    return _with_length(without, len(unpacked)), unpacked


def _with_length(headers: Headers, length: int) -> Headers:
    return tuple((name, str(length) if name.lower() == "content-length" else value) for name, value in headers)


def _masked_unpacked(mask: Masker, coding: str, body: bytes) -> bytes | None:
    """A compressed body, uncompressed and without the secrets in it; None if there are none.

    Only a part is held at a time as long as there is none.
    """
    most = min(MAX_UNPACKED_BYTES, LEAST_UNPACKED_BYTES + MOST_TIMES_UNPACKED * len(body))
    size, tail, held = 0, b"", list[bytes]()
    has_secret = False
    for piece in _unpacked(coding, body):
        size += len(piece)
        if size > MAX_UNPACKED_BYTES:
            raise Unmaskable(f"it has more than {MAX_UNPACKED_BYTES:,} bytes uncompressed")
        if size <= most:
            held.append(piece)
        else:
            held.clear()
        window = tail + piece
        has_secret = has_secret or mask.occurs_in(window)
        tail = window[-mask.overlap :]
        if has_secret and size > most:
            raise Unmaskable(f"it has more than {most:,} bytes uncompressed")
    return mask.in_bytes(b"".join(held)) if has_secret else None


def _unpacked(coding: str, body: bytes) -> Iterator[bytes]:
    """The uncompressed bytes, one piece after the other.

    Raises:
        Unmaskable: it is not what the coding says.
    """
    if coding not in _UNPACKED:
        raise Unmaskable(f"it is compressed as {coding[:50]!r}")
    for bits in (_UNPACKED[coding], -15):
        unpacker = zlib.decompressobj(bits)
        try:
            first = unpacker.decompress(body[:_PIECE], _PIECE)
        except zlib.error:
            continue
        yield first
        yield from _further(unpacker, bits, body)
        return
    raise Unmaskable("it is not what its Content-Encoding says")


def _further(unpacker: zlib._Decompress, bits: int, body: bytes) -> Iterator[bytes]:
    """What comes after the first piece, from all the parts that a body may be compressed in."""
    position = _PIECE
    rest = unpacker.unconsumed_tail
    try:
        while True:
            if unpacker.eof:
                rest = unpacker.unused_data
                while position < len(body) and not rest.strip(b"\0"):
                    rest, position = body[position : position + _PIECE], position + _PIECE
                if not rest.strip(b"\0"):
                    return
                unpacker = zlib.decompressobj(bits)
            elif not rest:
                if position >= len(body):
                    yield unpacker.flush()
                    return
                rest, position = body[position : position + _PIECE], position + _PIECE
            yield unpacker.decompress(rest, _PIECE)
            rest = unpacker.unconsumed_tail
    except zlib.error:
        raise Unmaskable("it is not what its Content-Encoding says") from None
