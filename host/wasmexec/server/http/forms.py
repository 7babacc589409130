"""Rows as a JSON array or as NDJSON, a line for each row: what a request asks for, and one made of the other.

SECURITY: rows are looked at only for where each ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import msgspec
from msgspec import Raw

from ..problems import ProblemError

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
_rows = msgspec.json.Decoder(list[Raw])
_row = msgspec.json.Decoder(Raw)


def wants_lines(accept: str | None) -> bool:
    """Whether a request asks for lines; for a JSON array unless it does.

    Raises:
        ProblemError: 406: it takes neither.
    """
    named = {part.split(";")[0].strip().lower() for part in (accept or "*/*").split(",")}
    if NDJSON in named:
        return True
    if named & {JSON, "application/*", "*/*", ""}:
        return False
    raise ProblemError(406, "accept", f"rows are there as {JSON} and {NDJSON}", asked=accept, changed_by="nobody")


def lines_of_rows(array: bytes) -> bytes:
    """The rows of a JSON array, a line for each."""
    # In JSON a newline is a space between two values, and here it ends a row.
    return b"".join(bytes(row).replace(b"\n", b" ") + b"\n" for row in _rows.decode(array))


async def lines_of_arrays(arrays: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The rows of JSON arrays that come one after the other."""
    async for array in arrays:
        yield lines_of_rows(array)


async def one_array(arrays: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """JSON arrays that come one after the other as one, in pieces."""
    before = b"["
    async for array in arrays:
        if array != b"[]":
            yield before + array[1:-1]
            before = b","
    yield b"[]" if before == b"[" else b"]"


def is_ndjson(content_type: str | None) -> bool:
    """Whether a body says that it is lines."""
    return (content_type or "").partition(";")[0].strip().lower() == NDJSON


def input_of_lines(body: bytes) -> bytes:
    """The request whose `input_data` is the rows of a body of lines.

    Raises:
        ProblemError: 400: a line is no JSON.
    """
    lines = []
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            _row.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            text = f"line {number:,} of the body is not JSON: {error}"
            raise ProblemError(400, "body", text[:500], changed_by="tenant") from None
        lines.append(line)
    return b'{"input_data":[' + b",".join(lines) + b"]}"
