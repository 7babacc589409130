"""`CsvColumns`: which columns rows of different keys need in CSV or in a table, and whether they can be written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MAX_COLUMNS = 16_384
"""As many as spreadsheets have."""
_FREE_CELLS = 10_000_000
_CELLS_A_FIELD = 30


class CsvColumns:
    """Columns in the order in which they are met, those that were declared first.

    SECURITY: rows that each have another key would take as many cells as rows times keys. Columns beyond the declared
    ones are bounded, by themselves and by the fields that are there.
    """

    def __init__(self, declared: Iterable[str] = ()) -> None:
        self._names = dict.fromkeys(declared)
        self._declared = len(self._names)
        self._rows = 0
        self._fields = 0
        self._overflows = False

    @property
    def names(self) -> list[str]:
        """The columns."""
        return list(self._names)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take the keys of more rows."""
        self._rows += len(rows)
        for row in rows:
            self._fields += len(row)
            if not self._overflows and not row.keys() <= self._names.keys():
                self._names.update(dict.fromkeys(row))
                self._overflows = len(self._names) > self._declared + MAX_COLUMNS

    def refusal(self) -> str | None:
        """Why rows with these columns are not written, and what to do; None if they are."""
        if self._overflows:
            return f"the rows have more than {MAX_COLUMNS:,} different keys, and each would be a column: {_ADVICE}"
        cells = self._rows * (len(self._names) - self._declared)
        if cells > _FREE_CELLS + _CELLS_A_FIELD * self._fields:
            keys = len(self._names)
            return (
                f"the {self._rows:,} rows have {keys:,} different keys, and nearly all cells would be empty: {_ADVICE}"
            )
        return None


_ADVICE = "write JSON Lines, or give an output schema that says which columns there are"
