"""Output rows in compressed chunks, as the store keeps them; made where the rows are, which may be another process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ..errors import ConfigError
from ..rows.block import RowBlock
from ..rows.json_text import encode as encode_json
from .bounds import StoreBounds
from .codec import Packing, pack
from .errors import StoreLimitError

_CHUNK_BYTES = 4 * 1024 * 1024


class Chunk(NamedTuple):
    """Rows ready to be stored; the sizes are those before compression."""

    rows: int
    size: int
    data: bytes
    source_size: int | None
    sources: bytes | None


def encode_chunks(
    rows: Sequence[Mapping[str, Any]] | RowBlock | bytes,
    count: int | None,
    source_rows: Sequence[int] | None,
    bounds: StoreBounds,
) -> list[Chunk]:
    """Compress rows outside of any transaction.

    Raises:
        ConfigError: not JSON, or the counts do not fit together.
        StoreLimitError: larger than `output_chunk_bytes`.
    """
    if isinstance(rows, bytes):
        if count is None:
            raise ConfigError("append_output: rows as bytes need their count")
    elif count is not None and count != len(rows):
        raise ConfigError(f"append_output: count is {count}, but there are {len(rows)} rows")
    else:
        count = len(rows)
    if source_rows is not None and len(source_rows) != count:
        raise ConfigError(f"append_output: {len(source_rows)} source rows for {count} rows")
    if count == 0:
        return []
    if isinstance(rows, RowBlock):
        return _chunks_of_lines(rows, source_rows, bounds)
    data = rows if isinstance(rows, bytes) else _dump(rows)
    _check_size(len(data), bounds)
    if isinstance(rows, bytes) or len(data) <= _CHUNK_BYTES:
        return [_chunk(data, count, source_rows)]
    each = max(1, count * _CHUNK_BYTES // len(data))
    return [
        _chunk(
            _dump(rows[start : start + each]),
            min(each, count - start),
            None if source_rows is None else source_rows[start : start + each],
        )
        for start in range(0, count, each)
    ]


def _chunks_of_lines(rows: RowBlock, source_rows: Sequence[int] | None, bounds: StoreBounds) -> list[Chunk]:
    """Chunks of rows that are there as text: none is parsed, however long it is."""
    size, count = len(rows.lines) + 1, len(rows)
    _check_size(size, bounds)
    each = count if size <= _CHUNK_BYTES else max(1, count * _CHUNK_BYTES // size)
    chunks: list[Chunk] = []
    packing = Packing()
    first = number = 0
    for piece in rows.pieces():
        rest = piece
        while rest:
            there = rest.count(b"\n")
            lines = min(there, first + each - number)
            end = len(rest) if lines == there else sum(map(len, rest.split(b"\n", lines)[:lines])) + lines
            packing.add(b"[" if number == first else b",")
            # A row that is by itself, and may be long, is not copied.
            packing.add(memoryview(rest)[: end - 1] if lines == 1 else rest[: end - 1].replace(b"\n", b","))
            rest, number = rest[end:], number + lines
            if number in (first + each, count):
                packing.add(b"]")
                sources = None if source_rows is None else source_rows[first:number]
                chunks.append(_chunk_of(packing.size, packing.end(), number - first, sources))
                packing, first = Packing(), number
    return chunks


def _check_size(size: int, bounds: StoreBounds) -> None:
    """Raises: StoreLimitError: so many bytes are too many for one call."""
    if size > bounds.output_chunk_bytes:
        raise StoreLimitError("the output of one call", limit=bounds.output_chunk_bytes, used=size)


def _dump(rows: Sequence[Mapping[str, Any]]) -> bytes:
    try:
        return encode_json(rows if isinstance(rows, list) else list(rows), half_pairs=True)
    except ValueError as error:
        raise ConfigError(f"append_output: the rows are not JSON: {error}") from None


def _chunk(data: bytes, count: int, source_rows: Sequence[int] | None) -> Chunk:
    return _chunk_of(len(data), pack(data), count, source_rows)


def _chunk_of(size: int, packed: bytes, count: int, source_rows: Sequence[int] | None) -> Chunk:
    if source_rows is None:
        return Chunk(count, size, packed, None, None)
    steps = [source_rows[0], *(later - earlier for earlier, later in pairwise(source_rows))]
    sources = encode_json(steps)
    return Chunk(count, size, packed, len(sources), pack(sources))
