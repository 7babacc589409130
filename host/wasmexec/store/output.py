"""Output rows of a run in compressed chunks; they count once the run has finished with success."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, insert, select, update

from ..rows.json_pieces import array_rows
from .bounds import StoreBounds
from .chunks import Chunk
from .codec import MAX_STORED_DEPTH, read_json, unpack
from .errors import StoreError, StoreLimitError
from .records import OutputRow
from .runs import lock_running
from .seals import ROWS, Seals
from .tables import output, runs


def append(connection: Connection, run_id: int, chunks: list[Chunk], bounds: StoreBounds, seals: Seals) -> None:
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
            "data": seals.seal(chunk.data, ROWS, run_id, seq),
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


def read_chunk(connection: Connection, run_id: int, after: int, seals: Seals) -> tuple[int, list[OutputRow]] | None:
    """The next chunk's number and rows; None at the end.

    Raises:
        StoreError: damaged.
    """
    query = select(output).where(output.c.run_id == run_id, output.c.seq > after).order_by(output.c.seq).limit(1)
    found = connection.execute(query).one_or_none()
    if found is None:
        return None
    what = f"output chunk {found.seq} of run {run_id}"
    rows = _rows(unpack(seals.open(found.data, ROWS, run_id, found.seq), found.data_bytes, what), what)
    if not isinstance(rows, list) or len(rows) != found.row_count:
        raise StoreError(f"{what} is damaged: it must have {found.row_count} rows")
    sources: list[int | None] = [None] * len(rows)
    if found.source_rows is not None:
        steps = read_json(unpack(found.source_rows, found.source_bytes, what), what)
        if not isinstance(steps, list) or not all(type(step) is int for step in steps):
            raise StoreError(f"{what} is damaged: its source rows are not numbers")
        sources = list(accumulate(steps))
    if len(sources) != len(rows):
        raise StoreError(f"{what} is damaged: it must have {len(rows)} source rows")
    return found.seq, [OutputRow(row=row, source_row=source) for row, source in zip(rows, sources, strict=True)]


def read_text(connection: Connection, run_id: int, after: int, seals: Seals) -> tuple[int, bytes] | None:
    """The next chunk's number and its text, a JSON array that nobody has parsed; None at the end.

    Raises:
        StoreError: damaged.
    """
    query = select(output.c.seq, output.c.data, output.c.data_bytes)
    query = query.where(output.c.run_id == run_id, output.c.seq > after).order_by(output.c.seq).limit(1)
    found = connection.execute(query).one_or_none()
    if found is None:
        return None
    data = seals.open(found.data, ROWS, run_id, found.seq)
    return found.seq, unpack(data, found.data_bytes, f"output chunk {found.seq} of run {run_id}")


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
