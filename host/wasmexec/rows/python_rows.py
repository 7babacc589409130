"""Rows given as Python values, as JSON text, converted as the product converts what a statement returns."""

from __future__ import annotations

from typing import Any

import orjson

from ..errors import InputError
from .conversion import NotJson, to_json
from .json_text import encode

# What orjson knows beyond JSON is left to the one conversion.
_PLAIN_ONLY = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


class PythonRows:
    """Encodes values; `nans` counts by column those that were NaN and became null."""

    def __init__(self) -> None:
        self.nans: dict[str, int] = {}

    def encode(self, value: Any, name: str) -> bytes:
        """JSON text of a row, or of a list of rows.

        Raises:
            InputError: something in it has no JSON form; `name` is what it is called.
        """
        try:
            data = orjson.dumps(value, option=_PLAIN_ONLY)
        except TypeError:
            pass
        else:
            # orjson writes null for what is no finite number.
            if b"null" not in data or orjson.loads(data) == value:
                return data
        try:
            return encode(self._rows(value) if isinstance(value, (list, tuple)) else self._row(value))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{name} is not JSON: {error}") from None

    def _rows(self, rows: list[Any] | tuple[Any, ...]) -> list[Any]:
        found = []
        for index, row in enumerate(rows):
            try:
                found.append(self._row(row))
            except NotJson as error:
                raise error.below(index) from None
        return found

    def _row(self, row: Any) -> Any:
        if not isinstance(row, dict):
            return to_json(row, lambda: self._note(""))
        found: dict[str, Any] = {}
        for column, value in row.items():
            # A key that is no text is refused with the rest of its kind.
            found |= to_json({column: value}, lambda name=str(column): self._note(name))  # type: ignore[misc]
        return found

    def _note(self, column: str) -> None:
        self.nans[column] = self.nans.get(column, 0) + 1


def nan_remark(nans: dict[str, int]) -> str:
    """What to tell the user about NaN that became null."""
    shown = ", ".join(f"{column!r} ({count:,})" for column, count in list(nans.items())[:10])
    more = f" and {len(nans) - 10:,} more columns" if len(nans) > 10 else ""
    return f"NaN became null, because JSON has no NaN: in {shown}{more}"
