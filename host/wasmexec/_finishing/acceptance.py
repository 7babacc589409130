"""`accept`: the rows of an output, parsed, bounded, checked and filled in, piece by piece.

SECURITY: the text comes from a guest. It is never spelled out as it came: what is accepted is written anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ..errors import OutputLimitError
from ..limits import MIB, Limits
from ..rows.block import Row, RowBlock
from ..rows.json_text import decode, encode_lines
from ..schema import Schema
from ..schema.interruption import interrupted_by, look
from ..schema.values import Mask, masked_by, refusal
from .pieces import PieceTooLongError, pieces_of

FILLED_BYTES = 16 * MIB
"""What the rows may grow by where their schema fills in what is missing."""
OBJECTS_BYTES = 256 * 1024
"""Up to here rows stay the objects that they were checked as; of a longer text only its own spelling is kept."""
OBJECTS_VALUES = 16 * 1024
"""The same for what the schema fills in."""
_PART_VALUES = 16 * 1024
"""Values that are checked, and perhaps filled in, in one go."""

_ROWS_AT_ONCE = 4096
_FILLED_VALUE_BYTES = 8
"""The least that a key and its null take as JSON: `"a":null`."""
_COUNTED_BYTES = 64 * 1024


class NotJsonError(Exception):
    """The text is no JSON array, or nested deeper than allowed."""


class TooHeavyError(Exception):
    """It would hold the interpreter's lock for too long, and too much memory."""


class Bounds(NamedTuple):
    """How much may be accepted."""

    bytes: int
    rows: int
    keys: int
    depth: int

    @staticmethod
    def of(limits: Limits) -> Bounds:
        """Those of an execution."""
        return Bounds(limits.output_bytes + FILLED_BYTES, limits.output_rows, limits.output_keys, limits.output_depth)


class Accepted(NamedTuple):
    """Rows that the schema has accepted, and what lenient mode had to do for that."""

    block: RowBlock
    warnings: list[str]
    size: int
    """Bytes of the text that they came as, the newlines that cut it left out."""


def no_check() -> None:
    """Nobody wants to stop it."""


def accept(
    text: memoryview, schema: Schema, mask: Mask | None, bounds: Bounds, check: Callable[[], None] = no_check,
    most_at_once: int = sys.maxsize,
) -> Accepted:  # fmt: skip
    """The rows of a JSON array of objects as the schema accepts them.

    `check` is called every few milliseconds; what it raises ends it.

    Raises:
        TooHeavyError: more than `most_at_once` bytes must be taken in one go.
        NotJsonError: it is no JSON array, or too deep.
        OutputError: a row is refused.
        OutputLimitError: there are more rows than allowed, or the schema fills in too much.
    """
    with interrupted_by(check):
        try:
            return _Acceptance(text, schema, mask, bounds, most_at_once).take(pieces_of(text, most_at_once))
        except _NotInPiecesError:
            if len(text) > most_at_once:
                raise TooHeavyError from None
            return _Acceptance(text, schema, mask, bounds, most_at_once).take((bytes(text),))
        except PieceTooLongError:
            raise TooHeavyError from None


def objects_in(text: bytes, schema: Schema) -> int:
    """How many values there may be at most once the schema has filled in what is missing, 0 if it fills in nothing."""
    return 0 if schema.width == 1 else text.count(b"{") * schema.width


def allowed_memory(text: memoryview, schema: Schema, bounds: Bounds) -> int:
    """What a text may take in the process that finishes it: 12 bytes for each in or out, and 8 MB."""
    filled = 0
    if schema.width > 1:
        for start in range(0, len(text), _COUNTED_BYTES):
            filled += bytes(text[start : start + _COUNTED_BYTES]).count(b"{") * schema.width
    return 12 * (len(text) + min(_FILLED_VALUE_BYTES * filled, bounds.bytes)) + 8 * MIB


class _NotInPiecesError(Exception):
    """The text is not written in the pieces that it seems to be: it has to be taken as a whole."""


class _Acceptance:
    """Takes the rows of one output in order."""

    def __init__(self, text: memoryview, schema: Schema, mask: Mask | None, bounds: Bounds, most_at_once: int) -> None:
        self._size = len(text)
        self._schema = schema
        self._mask = mask
        self._bounds = bounds
        self._most_at_once = most_at_once
        self._width = schema.width
        self._checker = schema.checker(mask)
        self._is_for_the_whole = schema.kind == "list"
        self._kept = _Kept(bounds.bytes, as_objects=len(text) <= OBJECTS_BYTES)
        self._count = self._longest_piece = 0

    def take(self, pieces: Iterable[bytes]) -> Accepted:
        whole: list[Row] = []
        cuts = -1
        for piece in pieces:
            cuts += 1
            rows = self._rows(piece)
            for part in self._parts(rows):
                look()
                first = self._count
                self._bound(part)
                if self._is_for_the_whole:
                    whole += part
                else:
                    self._kept.add(*self._accepted(part, first))
        if self._is_for_the_whole:
            self._kept.add(*self._accepted(whole, 0))
        return Accepted(self._kept.block(), self._checker.warnings(), self._size - cuts)

    def _rows(self, piece: bytes) -> list[Any]:
        look()
        is_part = len(piece) < self._size
        if objects_in(piece, self._schema) > self._most_at_once:
            raise TooHeavyError
        self._longest_piece = max(self._longest_piece, len(piece))
        try:
            rows = decode(piece, max_depth=self._bounds.depth)
        except ValueError as error:
            raise (_NotInPiecesError if is_part else NotJsonError)(str(error)) from None
        if is_part and not rows:
            raise _NotInPiecesError("an empty piece")
        if type(rows) is not list:
            # It says so.
            return self._schema.validate(rows, self._mask).rows
        return rows

    def _parts(self, rows: list[Any]) -> Iterator[list[Any]]:
        step = max(1, _PART_VALUES // self._width)
        if len(rows) <= step:
            yield rows
        else:
            for start in range(0, len(rows), step):
                yield rows[start : start + step]

    def _accepted(self, rows: list[Any], first: int) -> tuple[list[Row], int]:
        """What is accepted of some rows, and how many values were filled in at most."""
        accepted = self._checker.rows(rows, first)
        return accepted, 0 if accepted is rows else len(rows) * self._width

    def _bound(self, rows: list[Any]) -> None:
        first, most = self._count, self._bounds.keys
        self._count += len(rows)
        if self._count > self._bounds.rows:
            raise OutputLimitError(
                f"the statement returned more than {self._bounds.rows:,} rows (limit output_rows)",
                limit=self._bounds.rows, used=self._count,
            )  # fmt: skip
        # A key takes four bytes at least.
        for index, row in enumerate(rows if self._longest_piece > 4 * most else ()):
            if type(row) is dict and len(row) > most:
                text = f"{len(row):,} keys in one object; at most {most:,} are allowed (limit output_keys)"
                with masked_by(self._mask):
                    raise refusal(f"/{first + index}", "keys", row, text)


class _Kept:
    """Accepted rows: as objects while there are few, as text beyond that."""

    def __init__(self, max_bytes: int, *, as_objects: bool) -> None:
        self._max_bytes = max_bytes
        self._as_objects = as_objects
        self._rows: list[Row] = []
        self._lines: list[bytes] = []
        self._size = self._filled = 0

    def add(self, rows: list[Row], filled: int) -> None:
        """Take some; `filled` is how many values of theirs were filled in.

        Raises: OutputLimitError: together they are too long, which they were not when they came.
        """
        self._filled += filled
        self._rows = self._rows + rows if self._rows else rows
        if self._filled > OBJECTS_VALUES or not self._as_objects:
            self._write()

    def block(self) -> RowBlock:
        """All of them."""
        if not self._lines:
            return RowBlock(self._rows)
        self._write()
        return RowBlock(lines=b"".join(self._lines))

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            self._write_some(rows[start : start + _ROWS_AT_ONCE])

    def _write_some(self, rows: list[Row]) -> None:
        lines = encode_lines(rows, may_have_nan=False)
        self._size += len(lines)
        if self._size > self._max_bytes:
            raise OutputLimitError(
                f"the rows have more than {self._max_bytes:,} bytes of JSON once their schema has filled in what was "
                "missing: return fewer rows, or fewer columns that allow null",
                limit=self._max_bytes, used=self._size,
            )  # fmt: skip
        self._lines.append(lines)
