"""What a file of test cases may say: the one description of its keys, for reading it and (published) for editors."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from ...status import Status
from .vocabulary import DRAFT, Schema, about, at_most_one, entries, file_name, items, mapping, published, text

HTTP_ERRORS = (
    "connect", "connect_timeout", "read_timeout", "write_timeout", "pool_timeout", "read", "write", "protocol",
)  # fmt: skip
_SCALAR = {"type": ["string", "number", "boolean", "null"]}
_TEXTS = "a mapping from names to texts"


def cases_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a file of test cases."""
    return cast("dict[str, Any]", published(noted_cases_schema()))


@cache
def noted_cases_schema() -> Schema:
    """The same with the notes of `vocabulary`; nobody changes it."""
    rows: Schema = {
        "x-expected": "rows, or the name of a file with them",
        "anyOf": [{"type": "array"}, {"type": "object"}, {"type": "null"}, about(file_name(), "The name of a file.")],
    }
    properties: Schema = {
        "name": text(),
        "input": about(rows, "INPUT_DATA: rows, or the name of a file with them."),
        "extra_inputs": items("a list of inputs", rows),
        "checkpoint": about({}, "DATA_CHECKPOINT; null when absent."),
        "local_variables": entries("local variable", _SCALAR, "a mapping from names to values"),
        "secrets": entries("secret", text(), _TEXTS, named=False),
        "http": about(
            items("a list of exchanges, each with request and response", _exchange()),
            "Canned answers, given instead of any connection.",
        ),
        "expect": _expect(),
        "unordered": about({"type": "boolean", "default": False}, "Rows may come in any order."),
    }
    cases = items("a list of cases", mapping("a case", properties, ["expect"]))
    return {
        "$schema": DRAFT,
        "title": "wasmexec step test cases",
        **mapping("a file of test cases", {"cases": cases}, ["cases"]),
    }


def _exchange() -> Schema:
    headers = entries("header", {"type": ["string", "integer"]}, _TEXTS, named=False)
    body: Schema = {"body": {"type": "string"}, "json": {}}
    request: Schema = {
        "method": text("a method such as GET"),
        "url": {
            "type": "string", "pattern": "^https?://",
            "x-expected": "the whole URL, such as https://api.example.com/items?page=1",
        },
        "headers": headers,
        **body,
    }  # fmt: skip
    response: Schema = {
        "status": {"type": "integer", "minimum": 100, "maximum": 599, "default": 200},
        "headers": headers,
        **body,
        "base64": {"type": "string", "contentEncoding": "base64", "x-expected": "Base64"},
        "error": about({"enum": list(HTTP_ERRORS)}, "The request fails like this instead."),
    }
    parts: Schema = {
        "request": {**mapping("a request", request, ["url"]), **at_most_one("body", "json")},
        "response": {**mapping("a response", response), **at_most_one("body", "json", "base64")},
    }
    return mapping("an exchange", parts, ["request", "response"])


def _expect() -> Schema:
    error: Schema = {
        "type": text(),
        "message": {"type": ["string", "number"]},
        "pointer": {"type": "string"},
        "rule": text(),
        "row": {"type": "integer"},
    }
    properties: Schema = {
        "status": {"enum": [int(status) for status in Status]},
        "rows": {"type": "array", "x-expected": "a list of rows"},
        "error": mapping("error", error),
        "checkpoint": {},
        "local_variables": {"type": "object", "x-expected": "a mapping from names to values"},
        "log": items(
            "a list of records, each {level: message}", entries("level", _SCALAR, "{level: message}", named=False)
        ),
        "rows_failed": {"type": "integer", "minimum": 0},
    }
    wanted = f"what must come out: {', '.join(properties)}"
    return mapping("expect", properties, minProperties=1, **{"x-expected": wanted})
