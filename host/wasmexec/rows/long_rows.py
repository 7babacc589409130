"""Rows too long to be parsed and checked in one go where others share the interpreter's lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from .._masking.masker import Masker
from ..schema import Schema
from .steps import LookUp


class LongRowsError(Exception):
    """Whoever took them is lost; the text says why."""


class TooManyValuesError(LongRowsError):
    """They take too much memory."""


class TakenRows(NamedTuple):
    """Rows that the schema has accepted, and what lenient mode had to do for that."""

    text: bytes
    """A JSON array, empty if they were not kept."""
    number: int
    warnings: list[str]


class LongRows(Protocol):
    """Takes long rows elsewhere; for any thread."""

    def accept(
        self, text: bytes, schema: Schema, kinds: Mapping[str, str], masker: Masker | None, look_up: LookUp,
        *, keep: bool = True,
    ) -> TakenRows:  # fmt: skip
        """The rows of a JSON array as the schema accepts them, once their texts have become what `kinds` says.

        Unless told to `keep` them it only says whether, and how many.

        `look_up` is called every few milliseconds; what it raises ends it.

        Raises:
            OutputError: a row is refused.
            ValueError: it is no JSON.
            TooManyValuesError: they take too much memory.
            LongRowsError: whoever took them is lost.
        """
