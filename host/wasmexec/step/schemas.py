"""Schemas in step files: every mistake of one, not only the first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import ConfigError, SchemaError
from ..schema import Mode, Role, RowSchema, Schema
from ..schema.columns import Column


def find_mistakes(definition: object, mode: Mode, role: Role = "output") -> Iterator[tuple[str, str]]:
    """JSON pointer and reason of everything that is wrong with a schema."""
    if isinstance(definition, list) and definition:
        yield from _columns(definition, "")
        return
    try:
        Schema.prepare(definition, mode="strict" if isinstance(definition, list) else mode, role=role)
    except SchemaError as error:
        yield error.pointer, error.reason
    except ConfigError as error:
        yield "", error.message.removeprefix(f"{role} schema: ")


def prepare(definition: Any, mode: Mode, role: Role = "output") -> RowSchema:
    """Raises: ConfigError: `find_mistakes` would have found something."""
    return RowSchema(definition, mode, Schema.prepare(definition, mode=mode, role=role))


def _columns(definition: list[Any], at: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for index, column in enumerate(definition):
        here = f"{at}/{index}"
        try:
            Column.parse(column, here)
        except SchemaError as error:
            nested = f"{here}/columns"
            if error.pointer.startswith(f"{nested}/") and isinstance(column["columns"], list):
                yield from _columns(column["columns"], nested)
            else:
                yield error.pointer, error.reason
        name = column.get("name") if isinstance(column, dict) else None
        if isinstance(name, str) and name in seen:
            yield f"{here}/name", f"the column {name!r} is there twice"
        if isinstance(name, str):
            seen.add(name)


def column_type(definition: object, name: str) -> str | None:
    """The column type of a column of a column list, or None for a JSON Schema."""
    if not isinstance(definition, list):
        return None
    return next((column["type"] for column in definition if column["name"] == name), None)
