"""What a step file may say: the one description of its keys, for reading it and (published) for editors.

What a schema cannot say (which files exist, which columns there are) is in `reading`.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, cast, get_args

from ...grants import DEFAULT_METHODS, DEFAULT_PORTS, DEFAULT_SCHEMES
from ...limits import LIMIT_RANGES, Limits
from ...rows.formats import DELIMITED, FORMATS
from ...schema import Mode
from ...schema.columns import COLUMN_TYPES, NESTED_TYPES
from ...secret import ALSO_IN
from .definition import DEFAULT_CONCURRENCY, MAX_CONCURRENCY, VARIABLE_TYPES, OnRowError, Processing
from .vocabulary import DRAFT, Schema, about, either, entries, file_name, items, mapping, published, refused_when, text

MAX_NAME = 200
MAX_INPUTS = 99
NAME = f"a text of at most {MAX_NAME} characters in one line"
ROW_SCHEMA = "a list of columns, a JSON Schema or the name of a file with one"
HOSTED_ROW_SCHEMA = "a list of columns or a JSON Schema"
_COLUMN = "the name of a column of the output schema"


def step_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a step file."""
    return cast("dict[str, Any]", published(noted_step_schema()))


@cache
def noted_hosted_schema() -> Schema:
    """What a step may say that a server keeps for a tenant, with the notes of `vocabulary`.

    SECURITY: it names no file, no variable of the environment, no image and no proxy: those are the server's.
    """
    schema = noted_step_schema()
    properties = {key: value for key, value in schema["properties"].items() if key not in ("statement_file", "image")}
    grants = {"http": items("a list of hosts, such as [api.example.com]", _http_grant(with_files=False))}
    properties["grants"] = about(mapping("grants", grants), "What an execution may reach; nothing unless granted.")
    properties["secrets"] = about(
        entries(
            "secret",
            {**mapping("a secret", _bindings()), "dependentRequired": {"also_in": ["hosts"]}},
            "a mapping from names to mappings",
        ),
        "More of LocalVariable, masked in logs and errors; whoever runs the step gives the values.",
    )
    row_schema = {**schema["$defs"]["schema"], "x-expected": HOSTED_ROW_SCHEMA}
    row_schema["anyOf"] = [branch for branch in row_schema["anyOf"] if branch.get("type") != "string"]
    left_out = ("oneOf", "$defs", "properties", "required")
    return {
        **{key: value for key, value in schema.items() if key not in left_out},
        "title": "wasmexec step of a server",
        "properties": properties,
        "required": ["statement", "output_schema"],
        "$defs": {**{key: value for key, value in schema["$defs"].items() if key != "secret"}, "schema": row_schema},
    }


@cache
def noted_step_schema() -> Schema:
    """The same as `step_schema` with the notes of `vocabulary`; nobody changes it."""
    properties: Schema = {
        "name": about(
            text(NAME, maxLength=MAX_NAME),
            "Under which name runs and checkpoints are stored. Default: the file's name up to its first dot.",
        ),
        "description": about(text(), "For people."),
        "statement": about(
            text("Python text in a block (statement: |)"),
            "The body of an async function that returns a list of objects.",
        ),
        "statement_file": about(
            file_name("the name of a file with Python text"), "A file with the statement, beside the step file."
        ),
        "inputs": about(
            items("a list of inputs, each with a name and perhaps a schema", _input(), maxItems=MAX_INPUTS),
            "INPUT_DATA, INPUT_DATA2, ... in this order. Without this key any inputs may be wired.",
        ),
        "output_schema": about(
            {"$ref": "#/$defs/schema"}, "What every row must look like; rows that do not match fail the step."
        ),
        "mode": about(_mode(), "lenient (column lists only): extra keys are dropped, Base64 and json are not checked."),
        "processing": about(
            {"enum": list(get_args(Processing)), "default": "row_by_row"},
            "row_by_row: one execution per input row. bulk: one execution with all of them.",
        ),
        "checkpoint_column": about(
            text(_COLUMN), "The last row's value of this output column is DATA_CHECKPOINT of the next run."
        ),
        "local_variables": about(
            entries("local variable", {"$ref": "#/$defs/local_variable"}, "a mapping from names to types"),
            "LocalVariable.NAME in the statement; always nullable.",
        ),
        "limits": about(_limits(), "What one execution may use."),
        "grants": about(_grants(), "What an execution may reach; nothing unless granted."),
        "secrets": about(
            entries("secret", {"$ref": "#/$defs/secret"}, "a mapping from names to {env: VARIABLE} or {file: PATH}"),
            "More of LocalVariable, masked in logs and errors. Never the values.",
        ),
        "on_row_error": about(
            {"enum": list(get_args(OnRowError)), "default": "fail"},
            "Row by row: what a row that fails means for the step.",
        ),
        "concurrency": about(
            {"type": "integer", "minimum": 1, "maximum": MAX_CONCURRENCY, "default": DEFAULT_CONCURRENCY},
            "Row by row: how many executions may be under way at once.",
        ),
        "expect": about(
            items(
                "a list of exceptions, such as [ValueError]", text("a text such as ValueError, or ValueError: no id")
            ),
            "What `wasmexec fuzz` does not report: exceptions that the statement raises on purpose, or kinds of "
            "findings.",
        ),
        "image": about(
            # SECURITY: an image is native code. A step file names one of the operator's, and no file of its own.
            text("the name of an image (full, core)", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$"),
            "Guest image: core or full. A manifest file is an option of the command line.",
        ),
    }
    return {
        "$schema": DRAFT,
        "title": "wasmexec step",
        **mapping("a step", properties, ["output_schema"]),
        **either("statement", "statement_file"),
        **refused_when("processing", ["bulk"], "on_row_error", "only row_by_row processing has rows that fail"),
        "$defs": {**_row_schema(), "local_variable": _local_variable(), "secret": _secret()},
    }


def _mode() -> Schema:
    return {"enum": list(get_args(Mode)), "default": "strict"}


def _input() -> Schema:
    properties: Schema = {
        "name": text("the name of the input"),
        "schema": {"$ref": "#/$defs/schema"},
        "mode": _mode(),
        "format": about({"enum": list(FORMATS)}, "Of files whose names do not tell."),
        "encoding": about(
            text("the name of an encoding, such as windows-1252"),
            "Of files that are not UTF-8 and have no byte order mark, e.g. windows-1252.",
        ),
        "delimiter": about(
            # It may well be a tab or a space, which is no text otherwise.
            {"type": "string", "minLength": 1, "x-expected": "a character, or its name, such as tab"},
            "Of CSV files, e.g. ';' or tab; else their header shows it.",
        ),
    }
    others = [name for name in FORMATS if name not in DELIMITED]
    return mapping("an input", properties, **refused_when("format", others, "delimiter", "only csv and tsv have one"))


def _row_schema() -> Schema:
    column = {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "type"],
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "type": {"enum": list(COLUMN_TYPES)},
            "allow_null": {"type": "boolean", "default": False},
            "columns": {"$ref": "#/$defs/columns"},
        },
        "if": {"properties": {"type": {"enum": list(NESTED_TYPES)}}},
        "then": {"required": ["columns"]},
        "else": {"properties": {"columns": False}},
    }
    whole = about({"type": "object", "$ref": DRAFT}, "A JSON Schema for one row, or for the list if its type is array.")
    return {
        "schema": {
            "x-expected": ROW_SCHEMA,
            "anyOf": [
                {"$ref": "#/$defs/columns", "x-type-only": True},
                {**whole, "x-type-only": True},
                about(file_name(), "The name of a file with either."),
            ],
        },
        "columns": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/column"}},
        "column": column,
    }


def _local_variable() -> Schema:
    kind = {"enum": list(VARIABLE_TYPES)}
    properties: Schema = {
        "type": kind,
        "initial": {"type": ["string", "number", "boolean", "null"]},
        "update_from": about(text(_COLUMN), "After a run it takes the last row's value of this output column."),
    }
    return {
        "x-expected": f"a type ({', '.join(VARIABLE_TYPES)}) or a mapping with {', '.join(properties)}",
        "anyOf": [kind, mapping("a local variable", properties, ["type"])],
    }


def _secret() -> Schema:
    properties: Schema = {
        "env": about(text("the name of an environment variable"), "An environment variable."),
        "file": about(file_name(), "A file."),
        **_bindings(),
    }
    return {**mapping("a secret", properties), **either("env", "file"), "dependentRequired": {"also_in": ["hosts"]}}


def _bindings() -> Schema:
    return {
        "hosts": about(
            items("a list of hosts, such as [api.example.com]", text("a host"), minItems=1),
            "The statement has a placeholder; only headers of requests there have the value.",
        ),
        "also_in": about(
            items("a list of url and body, such as [body]", {"enum": list(ALSO_IN)}),
            "With hosts: the value may stand in the URL or the body of requests there, too.",
        ),
    }


def _limits() -> Schema:
    properties: Schema = {}
    for item in fields(Limits):
        lowest, highest = LIMIT_RANGES[item.name]
        limit: Schema = {
            "type": "number" if item.name.endswith("_seconds") else "integer", "minimum": lowest, "maximum": highest
        }  # fmt: skip
        if item.name.endswith("_bytes"):
            size = {
                "type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)? ?([kKmMgG][iI]?)?[bB]?\s*$",
                "x-expected": "bytes or a size such as 512MiB, 64k or 1.5GB",
            }  # fmt: skip
            limit = {"x-expected": size["x-expected"], "anyOf": [limit, about(size, "A size such as 512MiB.")]}
        properties[item.name] = {**limit, "default": item.default}
    return mapping("limits", properties)


def _grants() -> Schema:
    hosts = "a list of hosts, such as [api.example.com]"
    proxy = {
        # SECURITY: what is refused here is shown, and it may have a password in it; `reading` refuses it without.
        "type": "string", "x-type-only": True, "x-expected": "http://HOST:PORT, or env",
        "pattern": r"^\s*(env|([hH][tT][tT][pP][sS]?://)?[^@/\s]+/?)\s*$",
    }  # fmt: skip
    properties: Schema = {
        "http": items(hosts, _http_grant()),
        "ca_file": about(
            file_name("the name of a PEM file"), "A PEM file: authorities that are trusted besides the system's."
        ),
        "proxy": about(proxy, "http://HOST:PORT without credentials, or env: what the environment says."),
    }
    return mapping("grants", properties)


def _http_grant(*, with_files: bool = True) -> Schema:
    pem = file_name("the name of a PEM file")
    properties: Schema = {
        "host": text("a host name, *.NAME or an address"),
        "ports": items(
            "a list of ports", {"type": "integer", "minimum": 1, "maximum": 65_535}, minItems=1,
            default=list(DEFAULT_PORTS),
        ),
        "methods": items("a list of methods", text("a method such as GET"), minItems=1, default=list(DEFAULT_METHODS)),
        "schemes": items(
            "a list of http and https", {"enum": list(DEFAULT_SCHEMES)}, minItems=1, default=list(DEFAULT_SCHEMES)
        ),
        "allow_private": {"type": "boolean", "default": False},
    }  # fmt: skip
    files: Schema = {
        "ca_file": about(pem, "A PEM file: the authorities that this host's certificate may be from."),
        "client_cert": about(pem, "A PEM file: the certificate for a server that asks for one, with its key."),
        "client_key": about(pem, "A PEM file: that key, if it is by itself."),
    }
    properties |= files if with_files else {}
    short = about(text(), "HOST, HOST:PORT or methods and a scheme before it: GET,POST https://HOST")
    return {
        "x-expected": f"[METHOD,...] [https://]HOST[:PORT] or a mapping with {', '.join(properties)}",
        "anyOf": [short, mapping("an http grant", properties, ["host"])],
    }
