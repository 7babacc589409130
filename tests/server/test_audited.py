"""Whatever changes something is on the audit log: every operation is tried, so that a new one is not forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

from tests.server.live_server import LiveServer

from wasmexec.server.api.routes import all_routes

CHANGES: dict[str, tuple[dict[str, Any] | None, str]] = {
    "POST /v1/admin/tenants": ({"name": "audited", "weight": 7}, "tenant.change"),
    "PUT /v1/quotas/projects/{name}": ({"limits": {"wall_seconds": 3}}, "rules.put"),
    "DELETE /v1/quotas/projects/{name}": (None, "rules.delete"),
    "PUT /v1/quotas/keys/{name}": ({"limits": {"wall_seconds": 3}}, "rules.put"),
    "DELETE /v1/quotas/keys/{name}": (None, "rules.delete"),
    "PUT /v1/secrets/{name}": ({"value": "correct-horse-battery-9", "hosts": ["a.example"]}, "secret.put"),
    "DELETE /v1/secrets/{name}": (None, "secret.delete"),
    "PUT /v1/steps/{name}": ({"statement": "return []", "output_schema": [{"name": "a", "type": "text"}]}, "step.put"),
    "PUT /v1/steps/{name}/checkpoint": ({"a": 1}, "checkpoint.set"),
    "DELETE /v1/steps/{name}/checkpoint": (None, "checkpoint.reset"),
    "DELETE /v1/steps/{name}": (None, "step.delete"),
    "POST /v1/keys": ({"scopes": ["read"]}, "key.issue"),
    "POST /v1/keys/{id}:rotate": ({}, "key.rotate"),
    "DELETE /v1/keys/{id}": (None, "key.revoke"),
    "POST /v1/admin/tenants/{name}/keys": ({}, "key.issue"),
    "POST /v1/admin/tenants/{name}/keys/{id}:rotate": ({}, "key.rotate"),
    "DELETE /v1/admin/tenants/{name}/keys/{id}": (None, "key.revoke"),
    "POST /v1/admin/keys": ({}, "key.issue"),
    "POST /v1/admin/keys/{id}:rotate": ({}, "key.rotate"),
    "DELETE /v1/admin/keys/{id}": (None, "key.revoke"),
}
"""The body of a request that changes something, and the action of its row; tried in this order."""
RUNS = {"run", "read"}
"""Scopes of what has records of its own."""


def test_every_operation_that_changes_something_is_tried() -> None:
    nothing: Any = Mock()
    there_are = {
        f"{method} {found.path}"
        for found in all_routes(nothing, nothing, nothing, nothing, nothing, "image", nothing)
        for method, operation in found.operations.items()
        if method != "GET" and operation.scope not in RUNS
    }
    assert there_are == CHANGES.keys()


def test_every_change_is_on_the_audit_log(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        made = server.ask("POST", "/v1/admin/tenants", server.admin, {"name": "audited"})
        assert made.status_code == 201, made.text
        keys = "/v1/admin/tenants/audited/keys"
        mine = server.ask("POST", keys, server.admin, {"scopes": ["keys", "secrets", "steps", "read"]}).json()["key"]
        ruled = server.ask("POST", keys, server.admin, {}).json()["id"]
        for operation, (body, action) in CHANGES.items():
            method, path = operation.split(" ")
            is_admins, is_operators_own = path.startswith("/v1/admin/"), path.startswith("/v1/admin/keys")
            other = server.ask("POST", "/v1/admin/keys" if is_operators_own else keys, server.admin,
                               {} if is_operators_own else {"scopes": ["read"]}).json()["id"]  # fmt: skip
            name = "audited" if is_admins else ruled if path.startswith("/v1/quotas/keys") else "thing"
            place = path.replace("{name}", name).replace("{id}", other)
            before = server.ask("GET", "/v1/admin/audit?limit=1", server.admin).json()["records"][0]["number"]
            key = server.admin if is_admins else mine
            answer = server.ask(method, place, key, body)
            assert answer.status_code in (200, 201, 204), (operation, answer.text)
            page = server.ask("GET", "/v1/admin/audit?limit=200", server.admin).json()["records"]
            [record] = [item for item in page if item["number"] > before]
            assert (record["action"], record["key_id"]) == (action, key.split("_")[1]), operation
            assert record["by"] == ("operator" if is_admins else "audited"), operation
            assert record["tenant"] == ("operator" if is_operators_own else "audited"), operation
        assert server.terminate() == 0
