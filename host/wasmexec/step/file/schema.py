"""The JSON Schemas of step files and their test cases, for editors. What they cannot say, `step check` does."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ...grants import DEFAULT_METHODS, DEFAULT_PORTS, DEFAULT_SCHEMES
from ...limits import LIMIT_RANGES, Limits
from ...rows.formats import FORMATS
from ...schema.columns import COLUMN_TYPES, NESTED_TYPES
from ...secret import ALSO_IN
from ...status import Status
from .cases import HTTP_ERRORS
from .definition import DEFAULT_CONCURRENCY, MAX_CONCURRENCY, VARIABLE_TYPES
from .reading import MAX_INPUTS, MAX_NAME

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string", "pattern": r"\S"}
_NAME = r"^(_?[^\W\d_]\w*|_)$"


def step_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a step file."""
    return {
        "$schema": _DRAFT,
        "title": "wasmexec step",
        "type": "object",
        "additionalProperties": False,
        "required": ["output_schema"],
        "oneOf": [{"required": ["statement"]}, {"required": ["statement_file"]}],
        "properties": {
            "name": _about(
                {"type": "string", "pattern": r"\S", "maxLength": MAX_NAME},
                "Under which name runs and checkpoints are stored. Default: the file's name up to its first dot.",
            ),
            "description": _about(_TEXT, "For people."),
            "statement": _about(_TEXT, "The body of an async function that returns a list of objects."),
            "statement_file": _about(_TEXT, "A file with the statement, beside the step file."),
            "inputs": _about(
                {"type": "array", "maxItems": MAX_INPUTS, "items": _input()},
                "INPUT_DATA, INPUT_DATA2, ... in this order. Without this key any inputs may be wired.",
            ),
            "output_schema": _about(
                {"$ref": "#/$defs/schema"}, "What every row must look like; rows that do not match fail the step."
            ),
            "mode": _about(
                _mode(), "lenient (column lists only): extra keys are dropped, Base64 and json are not checked."
            ),
            "processing": _about(
                {"enum": ["row_by_row", "bulk"], "default": "row_by_row"},
                "row_by_row: one execution per input row. bulk: one execution with all of them.",
            ),
            "checkpoint_column": _about(
                _TEXT, "The last row's value of this output column is DATA_CHECKPOINT of the next run."
            ),
            "local_variables": _about(
                _map({"$ref": "#/$defs/local_variable"}), "LocalVariable.NAME in the statement; always nullable."
            ),
            "limits": _about(_limits(), "What one execution may use."),
            "grants": _about(_grants(), "What an execution may reach; nothing unless granted."),
            "secrets": _about(
                _map({"$ref": "#/$defs/secret"}), "More of LocalVariable, masked in logs and errors. Never the values."
            ),
            "on_row_error": _about(
                {"enum": ["fail", "skip"], "default": "fail"}, "Row by row: what a row that fails means for the step."
            ),
            "concurrency": _about(
                {"type": "integer", "minimum": 1, "maximum": MAX_CONCURRENCY, "default": DEFAULT_CONCURRENCY},
                "Row by row: how many executions may be under way at once.",
            ),
            "image": _about(_TEXT, "Guest image: core, full or a manifest file."),
        },
        "if": {"properties": {"processing": {"const": "bulk"}}, "required": ["processing"]},
        "then": {"properties": {"on_row_error": False}},
        "$defs": {**_schema_defs(), "local_variable": _local_variable(), "secret": _secret()},
    }


def cases_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a file of test cases."""
    rows = {"anyOf": [{"type": "array"}, {"type": "object"}, {"type": "null"}, _about(_TEXT, "The name of a file.")]}
    headers = _map({"type": ["string", "integer"]}, names=None)
    body: dict[str, Any] = {"body": {"type": "string"}, "json": True}
    exchange = _object(
        {
            "request": _object(
                {"method": _TEXT, "url": {"type": "string", "pattern": "^https?://"}, "headers": headers, **body},
                ["url"],
            ),
            "response": _object(
                {
                    "status": {"type": "integer", "minimum": 100, "maximum": 599, "default": 200},
                    "headers": headers,
                    **body,
                    "base64": {"type": "string", "contentEncoding": "base64"},
                    "error": _about({"enum": list(HTTP_ERRORS)}, "The request fails like this instead."),
                }
            ),
        },
        ["request", "response"],
    )
    expect = _object(
        {
            "status": {"enum": [int(status) for status in Status]},
            "rows": {"type": "array"},
            "error": _object(
                {
                    "type": _TEXT,
                    "message": _TEXT,
                    "pointer": {"type": "string"},
                    "rule": _TEXT,
                    "row": {"type": "integer"},
                }
            ),
            "checkpoint": True,
            "local_variables": {"type": "object"},
            "log": {"type": "array", "items": _map({"type": "string"}, names=None)},
            "rows_failed": {"type": "integer", "minimum": 0},
        }
    )
    case = _object(
        {
            "name": _TEXT,
            "input": _about(rows, "INPUT_DATA: rows, or the name of a file with them."),
            "extra_inputs": {"type": "array", "items": rows},
            "checkpoint": _about({}, "DATA_CHECKPOINT; null when absent."),
            "local_variables": _map({"type": ["string", "number", "boolean", "null"]}),
            "secrets": _map(_TEXT),
            "http": _about({"type": "array", "items": exchange}, "Recorded answers, given instead of any connection."),
            "expect": {**expect, "minProperties": 1},
            "unordered": _about({"type": "boolean", "default": False}, "Rows may come in any order."),
        },
        ["expect"],
    )
    return {
        "$schema": _DRAFT,
        "title": "wasmexec step test cases",
        **_object({"cases": {"type": "array", "items": case}}, ["cases"]),
    }


def _about(schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {**schema, "description": text}


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or [], "additionalProperties": False}


def _map(values: dict[str, Any], names: str | None = _NAME) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "additionalProperties": values}
    if names is not None:
        found["propertyNames"] = {"pattern": names}
    return found


def _mode() -> dict[str, Any]:
    return {"enum": ["strict", "lenient"], "default": "strict"}


def _input() -> dict[str, Any]:
    return _object(
        {
            "name": _TEXT,
            "schema": {"$ref": "#/$defs/schema"},
            "mode": _mode(),
            "format": _about({"enum": list(FORMATS)}, "Of files whose names do not tell."),
            "encoding": _about(_TEXT, "Of files that are not UTF-8 and have no byte order mark, e.g. windows-1252."),
            "delimiter": _about(
                {"type": "string", "minLength": 1}, "Of CSV files, e.g. ';' or tab; else their header shows it."
            ),
        }
    )


def _schema_defs() -> dict[str, Any]:
    column = _object(
        {
            "name": {"type": "string", "minLength": 1},
            "type": {"enum": list(COLUMN_TYPES)},
            "allow_null": {"type": "boolean", "default": False},
            "columns": {"$ref": "#/$defs/columns"},
        },
        ["name", "type"],
    )
    nested = {"properties": {"type": {"enum": list(NESTED_TYPES)}}}
    column |= {"if": nested, "then": {"required": ["columns"]}, "else": {"properties": {"columns": False}}}
    return {
        "schema": {
            "anyOf": [
                {"$ref": "#/$defs/columns"},
                _about({"$ref": _DRAFT}, "A JSON Schema for one row, or for the list if its type is array."),
                _about(_TEXT, "The name of a file with either."),
            ]
        },
        "columns": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/column"}},
        "column": column,
    }


def _local_variable() -> dict[str, Any]:
    kind = {"enum": list(VARIABLE_TYPES)}
    whole = _object(
        {
            "type": kind,
            "initial": {"type": ["string", "number", "boolean", "null"]},
            "update_from": _about(_TEXT, "After a run it takes the last row's value of this output column."),
        },
        ["type"],
    )
    return {"anyOf": [kind, whole]}


def _secret() -> dict[str, Any]:
    hosts = {"type": "array", "minItems": 1, "items": _TEXT}
    whole = _object(
        {
            "env": _about(_TEXT, "An environment variable."),
            "file": _about(_TEXT, "A file."),
            "hosts": _about(hosts, "The statement has a placeholder; only headers of requests there have the value."),
            "also_in": _about(
                {"type": "array", "items": {"enum": list(ALSO_IN)}},
                "With hosts: the value may stand in the URL or the body of requests there, too.",
            ),
        }
    )
    one = [{"required": ["env"]}, {"required": ["file"]}]
    return {**whole, "oneOf": one, "dependentRequired": {"also_in": ["hosts"]}}


def _limits() -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for item in fields(Limits):
        lowest, highest = LIMIT_RANGES[item.name]
        number: dict[str, Any] = {
            "type": "number" if item.name.endswith("_seconds") else "integer", "minimum": lowest, "maximum": highest
        }  # fmt: skip
        if item.name.endswith("_bytes"):
            size = {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)? ?([kKmMgG][iI]?)?[bB]?\s*$"}
            number = {"anyOf": [number, _about(size, "A size such as 512MiB.")]}
        properties[item.name] = {**number, "default": item.default}
    return _object(properties)


def _grants() -> dict[str, Any]:
    grant = _object(
        {
            "host": _TEXT,
            "ports": {
                "type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1, "maximum": 65_535},
                "default": list(DEFAULT_PORTS),
            },
            "methods": {"type": "array", "minItems": 1, "items": _TEXT, "default": list(DEFAULT_METHODS)},
            "schemes": {
                "type": "array", "minItems": 1, "items": {"enum": list(DEFAULT_SCHEMES)},
                "default": list(DEFAULT_SCHEMES),
            },
            "allow_private": {"type": "boolean", "default": False},
            "ca_file": _about(_TEXT, "A PEM file: the authorities that this host's certificate may be from."),
            "client_cert": _about(_TEXT, "A PEM file: the certificate for a server that asks for one, with its key."),
            "client_key": _about(_TEXT, "A PEM file: that key, if it is by itself."),
        },
        ["host"],
    )  # fmt: skip
    short = _about(_TEXT, "HOST, HOST:PORT or methods and a scheme before it: GET,POST https://HOST")
    proxy = {"type": "string", "pattern": r"^\s*(env|([hH][tT][tT][pP][sS]?://)?[^@/\s]+/?)\s*$"}
    return _object(
        {
            "http": {"type": "array", "items": {"anyOf": [short, grant]}},
            "ca_file": _about(_TEXT, "A PEM file: authorities that are trusted besides the system's."),
            "proxy": _about(proxy, "http://HOST:PORT without credentials, or env: what the environment says."),
        }
    )
