"""`accept`: the rows of an output, parsed, bounded, checked and filled in, piece by piece.

SECURITY: the text comes from a guest. It is never spelled out as it came: what is accepted is written anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, NamedTuple

from ..errors import OutputError, OutputLimitError
from ..limits import MIB, Limits
from ..rows.block import Row, RowBlock
from ..rows.json_text import decode, encode_lines
from ..rows.typed import convert, refused_cell
from ..schema import Schema
from ..schema.interruption import interrupted_by, look
from ..schema.values import Mask, masked_by, refusal
from .pieces import PieceTooLongError, pieces_of, whole

FILLED_BYTES = 16 * MIB
"""What the rows may grow by where their schema fills in what is missing."""
OBJECTS_BYTES = 256 * 1024
"""Up to here rows stay the objects that they were checked as; of a longer text only its own spelling is kept."""
OBJECTS_VALUES = 16 * 1024
"""The same for what the schema fills in."""
_PART_VALUES = 16 * 1024
"""Values that are checked, and perhaps filled in, in one go."""

_ROWS_AT_ONCE = 4096
_COUNTED_BYTES = 64 * 1024
_UNSEEN_BYTES = MIB


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
    number: int
    """Of the rows, also where they were not kept."""


def no_check() -> None:
    """Nobody wants to stop it."""


def accept(
    text: memoryview, schema: Schema, mask: Mask | None, bounds: Bounds, check: Callable[[], None] = no_check,
    most_at_once: int = sys.maxsize, kinds: Mapping[str, str] | None = None, *, keep: bool = True,
) -> Accepted:  # fmt: skip
    """The rows of a JSON array of objects as the schema accepts them; unless told to `keep` them, their number.

    `check` is called every few milliseconds; what it raises ends it. `kinds` are the types of columns whose values came
    as texts, as in CSV.

    Raises:
        TooHeavyError: more than `most_at_once` bytes must be taken in one go.
        NotJsonError: it is no JSON array, or too deep.
        OutputError: a row is refused.
        OutputLimitError: there are more rows than allowed, or the schema fills in too much.
    """
    take = partial(_take, text, schema, mask, bounds, check, most_at_once, kinds or {}, keep)
    # What is filled in may turn out to be too much: until that is known, no more is held than the text allows.
    accepted = take(_allowed(len(text)) // 2) or take(sys.maxsize)
    assert accepted is not None
    return accepted


def _take(
    text: memoryview, schema: Schema, mask: Mask | None, bounds: Bounds, check: Callable[[], None], most_at_once: int,
    kinds: Mapping[str, str], keep: bool, most_held: int,
) -> Accepted | None:  # fmt: skip
    """What is accepted; None if it is, but would be more than `most_held` bytes."""
    make = partial(_Acceptance, text, schema, mask, bounds, check, most_at_once, kinds, keep, most_held)
    try:
        return make().take(pieces_of(text, most_at_once))
    except _NotInPiecesError:
        if len(text) > most_at_once:
            raise TooHeavyError from None
        return make().take((whole(text),))
    except PieceTooLongError:
        raise TooHeavyError from None


def _allowed(size: int) -> int:
    """What may be held for so many bytes in and out."""
    return 12 * size + 8 * MIB


def objects_in(text: bytes, schema: Schema) -> int:
    """How many values there may be at most once the schema has filled in what is missing, 0 if it fills in nothing."""
    return 0 if schema.width == 1 else text.count(b"{") * schema.width


def allowed_memory(text: memoryview, schema: Schema, bounds: Bounds) -> int:
    """What a text may take in the process that finishes it.

    That is 12 bytes for each in or out and 8 MB, less what it may take between two looks at it.
    """
    filled = 0 if schema.width == 1 else _count(text, b"{") * schema.width * schema.null_bytes
    return _allowed(len(text) + min(filled, bounds.bytes)) - _UNSEEN_BYTES


def _count(text: memoryview, letter: bytes) -> int:
    steps = range(0, len(text), _COUNTED_BYTES)
    return sum(bytes(text[start : start + _COUNTED_BYTES]).count(letter) for start in steps)


class _NotInPiecesError(Exception):
    """The text is not written in the pieces that it seems to be: it has to be taken as a whole."""


class _Acceptance:
    """Takes the rows of one output in order."""

    def __init__(
        self, text: memoryview, schema: Schema, mask: Mask | None, bounds: Bounds, check: Callable[[], None],
        most_at_once: int, kinds: Mapping[str, str], keep: bool, most_held: int,
    ) -> None:  # fmt: skip
        self._text = text
        self._schema = schema
        self._mask = mask
        self._bounds = bounds
        self._check = check
        self._most_at_once = most_at_once
        self._kinds = kinds
        self._checker = schema.checker(mask)
        self._is_for_the_whole = not schema.in_pieces
        is_short = len(text) <= OBJECTS_BYTES
        self._kept = _Kept(bounds.bytes, most_held, as_objects=is_short) if keep else _NotKept()
        self._count = self._longest_piece = self._made = 0

    def take(self, pieces: Iterable[bytes]) -> Accepted | None:
        with interrupted_by(self._check, self._making):
            return self._take(pieces)

    @cached_property
    def _given(self) -> int:
        """How many values have a name in the text, at most."""
        return _count(self._text, b":")

    def _making(self, values: int) -> None:
        """So many more values are about to be made: those that are not in the text are nulls."""
        self._made += values
        if (self._made - self._given) * self._schema.null_bytes > self._bounds.bytes:
            raise too_much_filled_in(self._bounds.bytes, self._made * self._schema.null_bytes)

    def _take(self, pieces: Iterable[bytes]) -> Accepted | None:
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
        block = self._kept.block()
        if block is None:
            return None
        return Accepted(block, self._checker.warnings(), len(self._text) - cuts, self._count)

    def _rows(self, piece: bytes) -> list[Any]:
        look()
        is_part = len(piece) < len(self._text)
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
        step = max(1, _PART_VALUES // self._schema.width)
        if len(rows) <= step:
            yield rows
        else:
            for start in range(0, len(rows), step):
                yield rows[start : start + step]

    def _accepted(self, rows: list[Any], first: int) -> tuple[list[Row], int]:
        """What is accepted of some rows, and how many values were filled in at most."""
        accepted = self._checked(rows, first)
        return accepted, 0 if accepted is rows else len(rows) * self._schema.width

    def _checked(self, rows: list[Any], first: int) -> list[Row]:
        if not self._kinds:
            return self._checker.rows(rows, first)
        cells = [dict(row) for row in rows]
        for row in rows:
            convert(row, self._kinds)
        try:
            return self._checker.rows(rows, first)
        except OutputError as error:
            index = error.pointer.split("/")[1:2]
            if not index:
                raise
            with masked_by(self._mask):
                reason = refused_cell(error, cells[int(index[0]) - first], self._kinds)
            raise OutputError(error.pointer, error.rule, error.value, reason) from None

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


class _NotKept:
    """Stands for rows that nobody asks for."""

    def add(self, rows: list[Row], filled: int) -> None:
        """Let go of them."""

    def block(self) -> RowBlock:
        """None of them."""
        return RowBlock([])


class _Kept:
    """Accepted rows: as objects while there are few, as text beyond that, and only counted beyond `most_held` bytes."""

    def __init__(self, max_bytes: int, most_held: int, *, as_objects: bool) -> None:
        self._max_bytes = max_bytes
        self._most_held = most_held
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

    def block(self) -> RowBlock | None:
        """All of them; None if they were only counted."""
        if not self._size:
            return RowBlock(self._rows)
        self._write()
        return None if self._size > self._most_held else RowBlock(lines=b"".join(self._lines))

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            look()
            lines = encode_lines(rows[start : start + _ROWS_AT_ONCE], may_have_nan=False)
            self._size += len(lines)
            if self._size > self._max_bytes:
                raise too_much_filled_in(self._max_bytes, self._size)
            if self._size <= self._most_held:
                self._lines.append(lines)
            else:
                self._lines.clear()


def too_much_filled_in(limit: int, used: int) -> OutputLimitError:
    """The error for rows that are too long only once the schema has filled in what is missing."""
    return OutputLimitError(
        f"the rows have more than {limit:,} bytes of JSON once their schema has filled in what was missing: return "
        "fewer rows, or fewer columns that allow null",
        limit=limit, used=used,
    )  # fmt: skip
