"""`BadRow`: a row that cannot be given to the statement, in its place among the others."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple, TypeAlias

from ..errors import InputError


class BadRow(NamedTuple):
    """A row of the input that cannot be given to the statement; `text` is its JSON, if a schema refuses it."""

    error: InputError
    text: bytes = b""


RowStream: TypeAlias = Generator[tuple[int | None, bytes | BadRow], None, None]
"""The rows of a file with the line that each begins in; None if its format has no lines."""
