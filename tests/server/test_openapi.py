"""The OpenAPI document is what the server does: asked for all that it says, the server answers nothing else."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.server.api_tester import UNTESTED, ask_by_document, known_ids, operations_of, with_every_scope
from tests.server.live_server import LiveServer, Tenant, wait_until

MOST_EXAMPLES = 2
SECONDS = 500.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module."""
    with LiveServer(tmp_path_factory.mktemp("server")) as server:
        server.until_ready()
        yield server
        assert server.terminate() == 0
        assert "Traceback" not in "".join(server.lines)


@pytest.fixture(scope="module")
def document(server: LiveServer) -> dict[str, Any]:
    """What the server says of itself, without a key."""
    answer = server.client.get("/v1/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def tenant(server: LiveServer) -> Tenant:
    return with_every_scope(server, "tested", limits={"wall_seconds": 5, "cpu_seconds": 0.5})


def test_requests_made_from_the_document_find_nothing_undocumented(
    server: LiveServer, tenant: Tenant, document: dict[str, Any]
) -> None:
    tested = ask_by_document(server, tenant, known_ids(tenant, "tested"), most_examples=MOST_EXAMPLES, seconds=SECONDS)
    assert tested.is_good, tested.output
    # It went through: every operation had an answer that is no problem.
    for operation in asked_operations(document):
        assert min(tested.statuses[operation], default=0) < 300, (operation, tested.statuses[operation])
    assert tested.statuses["POST /v1/runs"][202] > 0
    assert tenant.run("return []").status_code == 200
    wait_until(lambda: tenant.is_idle)


@pytest.mark.parametrize("lie", ["status", "schema"])
def test_a_document_that_says_something_else_is_found_out(
    server: LiveServer, tenant: Tenant, document: dict[str, Any], lie: str
) -> None:
    lying = copy.deepcopy(document)
    responses = lying["paths"]["/v1/quotas"]["get"]["responses"]
    if lie == "status":
        responses["203"] = responses.pop("200")
    else:
        lying["components"]["schemas"]["QuotasDocument"]["properties"]["weight"] = {"type": "string"}
    tested = ask_by_document(
        server, tenant, {}, most_examples=1, seconds=SECONDS, document=lying, only="/v1/quotas"
    )  # fmt: skip
    assert not tested.is_good
    assert {"status": "Undocumented status code", "schema": "Response violates schema"}[lie] in tested.output


def test_every_example_is_taken(server: LiveServer, document: dict[str, Any]) -> None:
    tenant = with_every_scope(server, "known")
    count = 0
    for name in operations_of(document):
        method, path = name.split()
        operation = document["paths"][path][method.lower()]
        content = operation.get("requestBody", {}).get("content", {})
        key = server.admin if path.startswith("/v1/admin") else tenant.key
        for example in content.get("application/json", {}).get("examples", {}).values():
            asked = path.replace("{name}", "known").replace("{id}", "known")
            answer = server.ask(method, asked, key, example["value"])
            assert answer.status_code in (200, 201, 202), (name, example, answer.text)
            assert str(answer.status_code) in operation["responses"]
            if path == "/v1/runs":
                assert answer.json()["status"] in (200, 201), answer.text
            count += 1
    assert count >= 4


FORMATS = {"get_openapi", "get_recording"}
"""Operations whose answers are of a format with a description of its own."""


def test_everything_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    operations = [document["paths"][path][method.lower()] for method, path in map(str.split, operations_of(document))]
    assert all(operation["summary"] for operation in operations)
    names = [operation["operationId"] for operation in operations]
    assert sorted(names) == sorted(set(names))
    components = document["components"]
    for reference in references(document):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in components[kind], reference
    for name, schema in components["schemas"].items():
        assert schema["description"], name
        # The types of msgspec itself and of the standard library have none of their own.
        assert "." not in name, f"two types are called {name.rpartition('.')[2]}"
    for operation in operations:
        for status, response in operation["responses"].items():
            for content in response.get("content", {}).values():
                is_typed = content["schema"].get("type") != "object" or "x-item-schema" in content
                if not is_typed and operation["operationId"] not in FORMATS:
                    raise AssertionError(f"{operation['operationId']} {status} has no type")
    assert components["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["paths"]["/v1/runs"]["post"]["security"] == [{"key": ["run"]}]
    assert document["paths"]["/livez"]["get"]["security"] == []
    data = components["schemas"]["RunRequest"]["properties"]["input_data"]
    assert (data["default"], "type" in data) == (None, False)


def test_the_document_is_printed_without_a_server(document: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "wasmexec", "serve", "describe", "openapi"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == document


def asked_operations(document: dict[str, Any]) -> list[str]:
    """Those that are asked for: schemathesis leaves out where it has the document from."""
    names = [name for name in operations_of(document) if not name.endswith("/v1/openapi.json")]
    return [name for name in names if not re.search(UNTESTED, name)]


def references(part: Any) -> Iterator[str]:
    """Every `$ref` in a document."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)
