"""Schemas in step files: every mistake of one, not only the first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import ConfigError, SchemaError
from ..rows.json_text import encode
from .prepared import Mode, Role, RowSchema, Schema

MAX_BYTES = 128 * 1024
"""JSON of a schema in a step file: an engine compiles that with the interpreter's lock held, in some 15 ms."""


def find_mistakes(definition: object, mode: Mode, role: Role = "output") -> Iterator[tuple[str, str]]:
    """JSON pointer and reason of everything that is wrong with a schema."""
    try:
        size = len(encode(definition))
        if size > MAX_BYTES:
            yield "", f"it has {size:,} bytes of JSON, at most {MAX_BYTES:,} are taken: leave out what rows do not need"
            return
    except ValueError:
        # What is no JSON is told below.
        pass
    try:
        Schema.prepare(definition, mode="strict" if isinstance(definition, list) else mode, role=role)
    except SchemaError as error:
        yield from error.mistakes
    except ConfigError as error:
        yield "", error.message.removeprefix(f"{role} schema: ")


def prepare(definition: Any, mode: Mode, role: Role = "output") -> RowSchema:
    """Raises: ConfigError: `find_mistakes` would have found something."""
    return RowSchema(definition, mode, Schema.prepare(definition, mode=mode, role=role))


def column_type(definition: object, name: str) -> str | None:
    """The column type of a column of a column list, or None for a JSON Schema."""
    if not isinstance(definition, list):
        return None
    return next((column["type"] for column in definition if column["name"] == name), None)
