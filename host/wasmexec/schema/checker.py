"""`Checker`: the rows of one list, checked and normalised piece by piece."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final, Protocol, TypeAlias

from ..errors import OutputError
from .interruption import look
from .values import Mask, masked_by, short_repr, type_name

Row: TypeAlias = "dict[str, Any]"

_FIRST_PIECE: Final = 32
_LARGEST_PIECE: Final = 4096
_PIECE_SECONDS: Final = 0.002


class PieceCheck(Protocol):
    """What a kind of schema does with the pieces of one list, in their order.

    `piece_rows` is how many rows make a piece, 0 for as many as take some milliseconds.
    """

    piece_rows: int

    def rows(self, rows: list[Row], first: int) -> list[Row]:
        """The rows, normalised: the very same list if there is nothing to change. `first` is the index of the first.

        Raises: OutputError: for the first row that is refused, with its index in the whole list.
        """

    def warnings(self) -> list[str]:
        """What had to be done to accept the rows so far."""


class Checker:
    """Checks the rows of one list, piece by piece; for one thread at a time.

    `whole_list`: the schema is for the list, so it has to come in one piece.
    """

    __slots__ = ("_check", "_mask", "_role", "whole_list")

    def __init__(self, check: PieceCheck, *, role: str, mask: Mask | None, whole_list: bool) -> None:
        self._check = check
        self._role = role
        self._mask = mask
        self.whole_list = whole_list

    def rows(self, rows: list[Any], first: int = 0) -> list[Row]:
        """The next rows of the list, accepted; `first` is the index of the first of them in the list.

        Without a need to fill in missing keys, drop or convert anything, the very same list comes back. Every few
        milliseconds it asks whether to stop (`interruption`).

        Raises:
            OutputError: for the first row that is refused; its pointer has the row's index in the whole list.
        """
        with masked_by(self._mask):
            if self.whole_list:
                self._objects(rows, first)
                return self._check.rows(rows, first)
            checked: list[Row] | None = None
            for start, piece in _pieces(rows, self._check.piece_rows):
                self._objects(piece, first + start)
                found = self._check.rows(piece, first + start)
                if checked is None and found is not piece:
                    checked = rows[:start]
                if checked is not None:
                    checked += found
            return rows if checked is None else checked

    def warnings(self) -> list[str]:
        """What lenient mode had to do so far, one line per column with the count of its rows."""
        with masked_by(self._mask):
            return self._check.warnings()

    def _objects(self, rows: list[Any], first: int) -> None:
        if set(map(type, rows)) <= {dict}:
            return
        index = next(index for index, row in enumerate(rows) if type(row) is not dict)
        refused = rows[index]
        # The rows before it may be refused as well, and the first is told.
        if index and not self.whole_list:
            self._check.rows(rows[:index], first)
        where = f"/{first + index}"
        message = f"{where}: every row must be an object, got {type_name(refused)}"
        raise OutputError(where, "object", short_repr(refused), message)


def _pieces(rows: list[Any], fixed: int) -> Iterator[tuple[int, list[Any]]]:
    """The rows in pieces that each take some milliseconds; between them the caller may stop it all."""
    start, size = 0, fixed or _FIRST_PIECE
    while start < len(rows):
        look()
        began = time.perf_counter()
        yield start, rows[start : start + size] if start or len(rows) > size else rows
        start += size
        seconds = time.perf_counter() - began
        if fixed:
            continue
        if seconds < _PIECE_SECONDS / 2:
            size = min(2 * size, _LARGEST_PIECE)
        elif seconds > _PIECE_SECONDS:
            size = max(size // 2, 1)
