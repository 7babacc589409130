"""TypeScript types of an OpenAPI document: an interface for each component, and one entry for each operation.

Numbers of rows are JSON numbers: JavaScript rounds whole ones beyond 2**53 when it parses them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .schemas import Schema

_METHODS = ("get", "put", "post", "delete", "patch")
_SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_INDENT = "  "
_JSON = "Json"
_HEAD = """\
// Types of the HTTP API of {title} {version}. Made by `python -m wasmexec serve describe typescript`.

/** Any JSON value; a number beyond 2**53 is rounded when JavaScript parses it. */
export type Json = null | boolean | number | string | Json[] | {{ [name: string]: Json }};
"""


def typescript_of(document: Mapping[str, Any]) -> str:
    """The text of a declaration file (`.d.ts`) for an OpenAPI document."""
    info = document["info"]
    parts = [_HEAD.format(title=info["title"], version=info["version"])]
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append(_component(_identifier(name), schema))
    entries = [
        _operation(f"{method.upper()} {path}", operation)
        for path, item in document["paths"].items() for method, operation in item.items() if method in _METHODS
    ]  # fmt: skip
    parts.append("/** Every operation: what it is asked with, and what it answers. */\n"
                 "export interface Operations {\n" + "".join(entries) + "}\n")  # fmt: skip
    return "\n".join(parts)


def _component(name: str, schema: Schema) -> str:
    comment = _comment(schema.get("description"), "")
    if "properties" in schema:
        return f"{comment}export interface {name} {_type(schema, '')}\n"
    return f"{comment}export type {name} = {_type(schema, '')};\n"


def _operation(title: str, operation: Mapping[str, Any]) -> str:
    inner = _INDENT * 2
    lines = [_comment(operation.get("summary"), _INDENT), f"{_INDENT}{json.dumps(title)}: {{\n"]
    for place in ("path", "query", "header"):
        found = [item for item in operation.get("parameters", ()) if item["in"] == place]
        members = [
            _member(
                item["name"],
                item["schema"],
                item.get("description"),
                is_required=item["required"],
                indent=inner + _INDENT,
            )
            for item in found
        ]
        text = "{\n" + "".join(members) + inner + "}" if members else "{}"
        lines.append(f"{inner}{place}: {text};\n")
    body = operation.get("requestBody")
    mark = "" if body is None or body["required"] else "?"
    lines.append(f"{inner}body{mark}: {'undefined' if body is None else _content(body['content'], inner)};\n")
    answers, problems = [], []
    for status, response in operation["responses"].items():
        # All problems are components.
        if "$ref" in response:
            problems.append(status)
        else:
            content = _content(response.get("content", {}), inner + _INDENT)
            answers.append(f"{inner}{_INDENT}{status}: {content};\n")
    lines.append(f"{inner}answers: {{\n{''.join(answers)}{inner}}};\n")
    lines.append(f"{inner}problems: {' | '.join(problems) or 'never'};\n{_INDENT}}};\n")
    return "".join(lines)


def _content(content: Mapping[str, Any], indent: str) -> str:
    """The type of a body, which has one of some forms; what is not JSON is a text."""
    forms = [
        "string" if "x-item-schema" in item else _type(item["schema"], indent) for item in content.values()
    ]  # fmt: skip
    return " | ".join(dict.fromkeys(forms)) or "undefined"


def _type(schema: Schema, indent: str) -> str:
    if "$ref" in schema:
        return _identifier(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    for name in ("anyOf", "oneOf"):
        if name in schema:
            return " | ".join(dict.fromkeys(_type(item, indent) for item in schema[name]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": item}, indent) for item in kind)
    if kind == "array":
        return _array(schema, indent)
    if kind == "object":
        return _object(schema, indent)
    return _JSON if kind is None else _SIMPLE[kind]


def _array(schema: Schema, indent: str) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(_type(item, indent) for item in schema['prefixItems'])}]"
    item = _type(schema.get("items", {}), indent)
    return f"({item})[]" if " | " in item else f"{item}[]"


def _object(schema: Schema, indent: str) -> str:
    if "properties" not in schema:
        more = schema.get("additionalProperties", {})
        return f"{{ [name: string]: {_type(more if isinstance(more, dict) else {}, indent)} }}"
    required, inner = schema.get("required", ()), indent + _INDENT
    members = [
        _member(name, item, item.get("description"), is_required=name in required, indent=inner)
        for name, item in schema["properties"].items()
    ]
    return "{\n" + "".join(members) + indent + "}"


def _member(name: str, schema: Schema, comment: str | None, *, is_required: bool, indent: str) -> str:
    shown = name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else json.dumps(name)
    return f"{_comment(comment, indent)}{indent}{shown}{'' if is_required else '?'}: {_type(schema, indent)};\n"


def _comment(text: str | None, indent: str) -> str:
    if not text:
        return ""
    lines = text.replace("*/", "* /").split("\n")
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    return f"{indent}/**\n" + "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines) + f"{indent} */\n"


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.ASCII)
