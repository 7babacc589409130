"""Schemas in step files: every mistake of one, not only the first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import ConfigError, SchemaError
from ..schema import Mode, Schema
from .definition import RowSchema


def find_mistakes(definition: object, mode: Mode) -> Iterator[tuple[str, str]]:
    """JSON pointer and reason of everything that is wrong with a schema."""
    try:
        Schema.prepare(definition, mode="strict" if isinstance(definition, list) else mode)
    except SchemaError as error:
        yield from error.mistakes
    except ConfigError as error:
        yield "", error.message.removeprefix("output schema: ")


def prepare(definition: Any, mode: Mode) -> RowSchema:
    """Raises: ConfigError: `find_mistakes` would have found something."""
    return RowSchema(definition, mode, Schema.prepare(definition, mode=mode))


def column_type(definition: object, name: str) -> str | None:
    """The column type of a column of a column list, or None for a JSON Schema."""
    if not isinstance(definition, list):
        return None
    return next((column["type"] for column in definition if column["name"] == name), None)
