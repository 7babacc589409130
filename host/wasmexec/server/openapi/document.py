"""The OpenAPI document, made from the operations that are really served and the types that are really decoded.

Source: OpenAPI 3.1.1.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, NamedTuple

from ..http.operations import PART, Operation, Route
from ..problems import MEDIA_TYPE, ProblemDocument
from .schemas import Schemas

_BODY_PROBLEMS = (408, 413, 415)
_KEY = "key"
_PROBLEM_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "Seconds until the same request can succeed, where that is known"},
    503: {"Retry-After": "Seconds until the same request can succeed, where that is known"},
}
_DESCRIPTION = """\
Runs the statements of many tenants, each in a fresh WebAssembly instance. A statement that fails is HTTP 200 with \
its status; errors of HTTP are about the request and come as problem+json (RFC 9457): which rule, its value, who may \
change it, and when to try again. The id of another tenant's resource is answered like one that does not exist."""

_EVENT: Mapping[str, Any] = {
    "type": "object",
    "description": "One event; its data is a JSON text.",
    "properties": {"id": {"type": "string"}, "event": {"type": "string"}, "data": {"type": "string"}},
}


class _Described(NamedTuple):
    path: str
    method: str
    operation: Operation


def openapi_document(routes: Iterable[Route]) -> dict[str, Any]:
    """The document of some routes, as JSON-able values."""
    found = [
        _Described(route.path, method, operation)
        for route in routes for method, operation in route.operations.items()
    ]  # fmt: skip
    schemas = Schemas(_kinds(item.operation for item in found))
    asked = {item.operation.query: None for item in found if item.operation.query is not None}
    queries = {query: schemas.take_properties(query) for query in asked}
    names = Counter(item.operation.handler.__name__ for item in found)
    paths: dict[str, dict[str, Any]] = {}
    for item in found:
        paths.setdefault(item.path, {})[item.method.lower()] = _operation(item, schemas, queries)
        if names[item.operation.handler.__name__] > 1:
            paths[item.path][item.method.lower()]["operationId"] += f"_{'_'.join(_words(item.path))}"
    return {
        "openapi": "3.1.0",
        "info": {"title": "wasmexec", "version": version("wasmexec"), "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": _problem_responses(schemas, set().union(*map(_problems, found))),
            "securitySchemes": {
                _KEY: {"type": "http", "scheme": "bearer", "description": "An API key: wx_<id>_<secret>"}
            },
        },
    }


def _kinds(operations: Iterable[Operation]) -> Iterator[Any]:
    yield ProblemDocument
    for operation in operations:
        yield from (kind for kind in (operation.body, operation.query) if kind is not None)
        yield from (kind for kind in operation.answers.values() if kind is not None)


def _operation(item: _Described, schemas: Schemas, queries: Mapping[Any, Any]) -> dict[str, Any]:
    operation = item.operation
    summary, _, more = inspect.cleandoc(operation.handler.__doc__ or "").partition("\n")
    needs = "Needs no key." if operation.scope is None else f"Needs a key with the scope `{operation.scope}`."
    described: dict[str, Any] = {
        "operationId": operation.handler.__name__,
        "summary": summary.rstrip("."),
        "description": "\n\n".join(part for part in (_without_raises(more), needs) if part),
        "tags": [_tag(item.path)],
        "parameters": [*_parts(item.path), *_query(operation, queries), *_headers(operation)],
        "responses": _responses(item, schemas),
        "security": [] if operation.scope is None else [{_KEY: [str(operation.scope)]}],
    }
    if operation.body is not None:
        content = _content(operation.body_media_type, schemas.of(operation.body))
        if operation.examples:
            content["examples"] = {name: {"value": value} for name, value in operation.examples.items()}
        others = {form: {"schema": {"type": "string"}} for form in operation.other_body_media_types}
        described["requestBody"] = {
            "required": not operation.is_body_optional, "content": {operation.body_media_type: content, **others}
        }  # fmt: skip
    return described


def _parts(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", path):
        schema = {"type": "string", "pattern": f"^{PART}$"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query(operation: Operation, queries: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
    if operation.query is None:
        return
    properties, required = queries[operation.query]
    for name, schema in properties.items():
        plain = _in_query({key: value for key, value in schema.items() if key != "description"})
        parameter = {"name": name, "in": "query", "required": name in required, "schema": plain}
        yield parameter | {key: value for key, value in schema.items() if key == "description"}


def _in_query(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema as a query has it: a time may also be seconds of the epoch there."""
    if schema.get("format") == "date-time":
        return {"anyOf": [schema, {"type": "number"}]}
    if "anyOf" in schema:
        return schema | {"anyOf": [_in_query(item) for item in schema["anyOf"]]}
    return schema


def _headers(operation: Operation) -> Iterator[dict[str, Any]]:
    for name, text in operation.headers.items():
        yield {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}


def _responses(item: _Described, schemas: Schemas) -> dict[str, Any]:
    operation = item.operation
    responses: dict[int, dict[str, Any]] = {}
    for status, kind in operation.answers.items():
        responses[status] = {"description": HTTPStatus(status).phrase}
        if kind is not None:
            forms = (operation.media_type, *(operation.other_media_types if status == min(operation.answers) else ()))
            responses[status]["content"] = {form: _content(form, schemas.of(kind)) for form in forms}
        if operation.answer_headers:
            responses[status]["headers"] = _described_headers(operation.answer_headers)
    for status in sorted(_problems(item)):
        # A status may be both, as that of a probe: then the document is the answer's.
        if status in responses:
            continue
        responses[status] = {"$ref": f"#/components/responses/{_response_name(status)}"}
    return {str(status): responses[status] for status in sorted(responses)}


def _content(media_type: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a body is. One that is no JSON document is a text, of lines or events that have the schema each."""
    if media_type.endswith("json") and not media_type.endswith("ndjson"):
        return {"schema": dict(schema)}
    # OpenAPI 3.2 calls the second itemSchema.
    form = _EVENT if media_type == "text/event-stream" else {"type": "string"}
    return {"schema": form, "x-item-schema": dict(schema)}


def _problem_responses(schemas: Schemas, statuses: Iterable[int]) -> dict[str, Any]:
    responses = {}
    for status in sorted(statuses):
        response: dict[str, Any] = {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE.decode(): {"schema": schemas.of(ProblemDocument)}},
        }
        if status in _PROBLEM_HEADERS:
            response["headers"] = _described_headers(_PROBLEM_HEADERS[status])
        responses[_response_name(status)] = response
    return responses


def _response_name(status: int) -> str:
    return f"Problem{status}"


def _described_headers(headers: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"schema": {"type": "string"}, "description": text} for name, text in headers.items()}


def _problems(item: _Described) -> set[int]:
    """The problems that an operation can answer with: its own, and those that come with what it has."""
    operation = item.operation
    found = {400, 500, 503, *operation.problems}
    if operation.scope is not None:
        found |= {401, 403, 429}
    if "{" in item.path:
        found.add(404)
    if operation.body is not None:
        found.update(_BODY_PROBLEMS)
    return found


def _tag(path: str) -> str:
    """What an operation is about: the first word of its path that is not a version."""
    return next(iter(_words(path)), "server")


def _words(path: str) -> list[str]:
    return [word for word in re.findall(r"[\w.-]+", path) if not re.fullmatch(r"v\d+", word)]


def _without_raises(text: str) -> str:
    return text.partition("Raises:")[0].strip()
