"""Output rows of a run in compressed chunks; they count once the run has finished with success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from ..errors import ConfigError
from ..rows.block import RowBlock
from ..rows.json_pieces import array_rows
from ..rows.json_text import encode as encode_json
from .bounds import StoreBounds
from .codec import MAX_STORED_DEPTH, Packing, pack, read_json, unpack
from .errors import StoreError, StoreLimitError
from .records import OutputRow
from .runs import lock_running
from .tables import output, runs

_CHUNK_BYTES = 4 * 1024 * 1024


class Chunk(NamedTuple):
    """Rows ready to be stored; the sizes are those before compression."""

    rows: int
    size: int
    data: bytes
    source_size: int | None
    sources: bytes | None


def encode(
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


def append(connection: Connection, run_id: int, chunks: list[Chunk], bounds: StoreBounds) -> None:
    """Raises: StoreLimitError: the run's output would be larger than `output_bytes`."""
    row = lock_running(connection, run_id)
    size = row.output_bytes + sum(chunk.size for chunk in chunks)
    if size > bounds.output_bytes:
        raise StoreLimitError("the output of the run", limit=bounds.output_bytes, used=size)
    for seq, chunk in enumerate(chunks, row.output_chunks + 1):
        values = {
            "run_id": run_id,
            "seq": seq,
            "row_count": chunk.rows,
            "data_bytes": chunk.size,
            "data": chunk.data,
            "source_bytes": chunk.source_size,
            "source_rows": chunk.sources,
        }
        connection.execute(insert(output).values(values))
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            output_chunks=row.output_chunks + len(chunks),
            output_rows=row.output_rows + sum(chunk.rows for chunk in chunks),
            output_bytes=size,
        )
    )


def read_chunk(connection: Connection, run_id: int, after: int) -> tuple[int, list[OutputRow]] | None:
    """The next chunk's number and rows; None at the end.

    Raises:
        StoreError: damaged.
    """
    query = select(output).where(output.c.run_id == run_id, output.c.seq > after).order_by(output.c.seq).limit(1)
    found = connection.execute(query).one_or_none()
    if found is None:
        return None
    what = f"output chunk {found.seq} of run {run_id}"
    rows = _rows(unpack(found.data, found.data_bytes, what), what)
    sources: list[int | None] = [None] * found.row_count
    if found.source_rows is not None:
        steps = read_json(unpack(found.source_rows, found.source_bytes, what), what)
        if not isinstance(steps, list) or not all(type(step) is int for step in steps):
            raise StoreError(f"{what} is damaged: its source rows are not numbers")
        sources = list(accumulate(steps))
    if not isinstance(rows, list) or not len(rows) == len(sources) == found.row_count:
        raise StoreError(f"{what} is damaged: it must have {found.row_count} rows")
    return found.seq, [OutputRow(row=row, source_row=source) for row, source in zip(rows, sources, strict=True)]


def _rows(data: bytes, what: str) -> Any:
    """The rows of a chunk, some at a time: other threads have their turn in between."""
    rows: list[Any] = []
    try:
        for some in array_rows(data, MAX_STORED_DEPTH):
            rows += [read_json(data[some.start : some.end], what)] if some.values is None else some.values
    except ValueError:
        # Half a surrogate pair, which only whoever appends rows of their own can have stored; or it is damaged.
        return read_json(data, what)
    return rows


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
