"""Rows given as Python values, as JSON text, converted as the product converts what a statement returns."""

from __future__ import annotations

from collections.abc import Sequence
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
        """JSON text of a row, or of an input that is one object.

        Raises:
            InputError: something in it has no JSON form; `name` is what it is called.
        """
        data = _plain(value)
        if data is not None:
            return data
        try:
            return encode(self._row(value))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{name} is not JSON: {error}") from None

    def encode_some(self, rows: Sequence[Any], first: int, name: str) -> bytes:
        """JSON text of an array of rows, the first of which has an index.

        Raises:
            InputError: as `encode`.
        """
        data = _plain(rows)
        if data is not None:
            return data
        texts = []
        for index, row in enumerate(rows, first):
            try:
                texts.append(_plain(row) or encode(self._row(row)))
            except NotJson as error:
                raise InputError(f"{name} is not JSON: {error.below(index)}") from None
            except (ValueError, RecursionError) as error:
                raise InputError(f"{name} is not JSON: /{index}: {error}") from None
        return b"[%b]" % b",".join(texts)

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


def _plain(value: Any) -> bytes | None:
    """The text of a value that needs no conversion."""
    try:
        data = orjson.dumps(value, option=_PLAIN_ONLY)
        # orjson writes null for what is no finite number.
        return data if b"null" not in data or orjson.loads(data) == value else None
    except (TypeError, RecursionError):
        return None


def nan_remark(nans: dict[str, int]) -> str:
    """What to tell the user about NaN that became null."""
    shown = ", ".join(f"{column!r} ({count:,})" for column, count in list(nans.items())[:10])
    more = f" and {len(nans) - 10:,} more columns" if len(nans) > 10 else ""
    return f"NaN became null, because JSON has no NaN: in {shown}{more}"
