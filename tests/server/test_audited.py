"""Whatever changes something is on the audit log: every operation is tried, so that a new one is not forgotten."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from tests.server.live_server import PATIENCE_SECONDS, LiveServer

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
    "PUT /v1/admin/tenants/{name}": ({"name": "audited", "weight": 8}, "tenant.change"),
    "POST /v1/admin/tenants/{name}:pause": (None, "tenant.change"),
    "POST /v1/admin/tenants/{name}:resume": (None, "tenant.change"),
    "DELETE /v1/admin/tenants/{name}": (None, "tenant.delete"),
    "POST /v1/admin/workers:restart": (None, "workers.restart"),
    "POST /v1/admin/drain": (None, "server.drain"),
}
"""The body of a request that changes something, and the action of its row; tried in this order."""
RUNS = {"run", "read"}
"""Scopes of what has records of its own."""


def test_every_operation_that_changes_something_is_tried() -> None:
    nothing: Any = Mock()
    there_are = {
        f"{method} {found.path}"
        for found in all_routes(nothing, nothing, nothing, nothing, nothing, nothing, nothing, "image", nothing)
        for method, operation in found.operations.items()
        if method != "GET" and operation.scope not in RUNS
    }
    assert there_are == CHANGES.keys()


def test_every_change_is_on_the_audit_log(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server, closing(sqlite3.connect(tmp_path / "store.sqlite3")) as database:

        def rows(after: int) -> list[tuple[Any, ...]]:
            asked = 'SELECT number, tenant, "by", actor, action FROM wx_server_audit WHERE number > ? ORDER BY number'
            return database.execute(asked, (after,)).fetchall()

        made = server.ask("POST", "/v1/admin/tenants", server.admin, {"name": "audited"})
        assert made.status_code == 201, made.text
        keys = "/v1/admin/tenants/audited/keys"
        mine = server.ask("POST", keys, server.admin, {"scopes": ["keys", "secrets", "steps", "read"]}).json()["key"]
        ruled = server.ask("POST", keys, server.admin, {}).json()["id"]
        for operation, (body, action) in CHANGES.items():
            method, path = operation.split(" ")
            is_admins = path.startswith("/v1/admin/")
            is_operators_own = is_admins and "/tenants" not in path
            if "{id}" in path:
                asked = ("/v1/admin/keys", {}) if is_operators_own else (keys, {"scopes": ["read"]})
                path = path.replace("{id}", server.ask("POST", asked[0], server.admin, asked[1]).json()["id"])
            name = "audited" if is_admins else ruled if path.startswith("/v1/quotas/keys") else "thing"
            key = server.admin if is_admins else mine
            before = rows(0)[-1][0]
            answer = server.ask(method, path.replace("{name}", name), key, body)
            assert answer.status_code in (200, 201, 202, 204), (operation, answer.text)
            whose, by = ("operator" if is_it else "audited" for is_it in (is_operators_own, is_admins))
            assert rows(before) == [(before + 1, whose, by, key.split("_")[1], action)], operation
        server.process.wait(PATIENCE_SECONDS)
        assert server.terminate() == 0
