"""What the texts of CSV become by the input schema: "3" is 3 in an integer column."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..errors import OutputError
from ..schema.values import short_repr
from .json_text import decode

_INTEGER = re.compile(r"[-+]?[0-9]{1,4000}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_COLUMN_KINDS = {"integer": "integer", "number": "double", "boolean": "boolean", "array": "json", "object": "json"}


def column_kinds(definition: object) -> dict[str, str]:
    """The column types, other than text, that a schema gives to columns: a column list, or a JSON Schema.

    Of a JSON Schema the `type` of a property decides, or those of its `anyOf` or `oneOf`; one that may be a string
    stays a text.
    """
    if isinstance(definition, list):
        return {column["name"]: column["type"] for column in definition if column["type"] != "text"}
    if isinstance(definition, Mapping) and definition.get("type") == "array":
        definition = definition.get("items")
    properties = definition.get("properties") if isinstance(definition, Mapping) else None
    if not isinstance(properties, Mapping):
        return {}
    kinds = ((name, _kind_of(schema)) for name, schema in properties.items())
    return {name: kind for name, kind in kinds if kind is not None}


def convert(row: dict[str, Any], kinds: Mapping[str, str]) -> None:
    """Make values of texts where the text is one of the column's type; the schema refuses the others by itself."""
    for name, kind in kinds.items():
        text = row.get(name)
        if isinstance(text, str):
            row[name] = _value(text, kind)


def refused_cell(error: OutputError, cells: Mapping[str, Any], kinds: Mapping[str, str]) -> str:
    """Why a row is refused, in terms of its cell if it is one; `cells` are the texts that the values were."""
    reason = error.reason.removeprefix(f"{error.pointer}: ")
    column = error.pointer.split("/")[2:3]
    name = column[0].replace("~1", "/").replace("~0", "~") if column else None
    text = None if name is None else cells.get(name)
    if not isinstance(text, str) or error.rule == "extra":
        return reason
    wanted = reason.partition(", got ")[0]
    cell = f"the cell is {short_repr(text)}" if text else "the cell is empty"
    place = "" if f"column {name!r}" in wanted else f"column {name!r}: "
    return f"{place}{wanted}, but {cell}: {advice(text, kinds.get(name or ''))}"


def advice(text: str, kind: str | None) -> str:
    """What to do about a cell whose text is none of the column's type."""
    bare = text.strip()
    if not text:
        return 'fill the cell in, or let the column be null ("allow_null": true)'
    if kind in ("integer", "double"):
        if bare.lower().lstrip("+-") in ("nan", "inf", "infinity", "null", "none", "n/a", "na"):
            return "leave the cell empty for a missing value, and let the column be null"
        if kind == "double" and _NUMBER.fullmatch(bare):
            return "it is larger than a double can be; a text column takes it"
        if kind == "double" and _NUMBER.fullmatch(bare.replace(",", ".", 1)):
            return "write decimals with a point, as 1.5"
        if kind == "integer" and _NUMBER.fullmatch(bare):
            return "write a whole number, or make the column a double"
    if kind == "boolean":
        return "write true, false, 1 or 0"
    if kind == "datetime":
        return "write ISO 8601, as 2036-10-16T09:22:33, or make the column a text"
    return "correct the cell, or make the column a text"


def _value(text: str, kind: str) -> Any:
    bare = text.strip()
    if not text:
        return None
    if kind == "integer" and _INTEGER.fullmatch(bare):
        return int(bare)
    if kind == "double" and _NUMBER.fullmatch(bare):
        number = float(bare)
        # A number that no double holds is none: it stays the text that the schema refuses.
        return number if math.isfinite(number) else text
    if kind == "boolean":
        return _BOOLEANS.get(bare.lower(), text)
    if kind in ("json", "object", "table"):
        try:
            return decode(text.encode())
        except ValueError:
            return text
    return text


def _kind_of(schema: object) -> str | None:
    names = _type_names(schema)
    if "string" in names:
        return None
    known = [_COLUMN_KINDS[name] for name in names if name in _COLUMN_KINDS]
    # Of several the widest that takes the texts of the others.
    return next((kind for kind in ("json", "double", "integer", "boolean") if kind in known), None)


def _type_names(schema: object) -> list[str]:
    """What `type` says; without it what the branches of `anyOf` or `oneOf` say, as for a value that may be null."""
    if not isinstance(schema, Mapping) or "type" in schema:
        return _own_types(schema)
    branches = schema.get("anyOf") or schema.get("oneOf")
    found = [_own_types(branch) for branch in branches] if isinstance(branches, list) else []
    # A branch that says nothing takes texts, too.
    return [name for names in found for name in names] if all(found) else []


def _own_types(schema: object) -> list[str]:
    kinds = schema.get("type") if isinstance(schema, Mapping) else None
    # In draft-03 a type may be a schema.
    return [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str)]
