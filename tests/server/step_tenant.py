"""A tenant with steps, as the tests of those see one."""

from __future__ import annotations

from typing import Any

import httpx
from tests.server.live_server import LiveServer, wait_until

NUMBERS = [{"name": "id", "type": "integer"}]
ALL_SCOPES = ["run", "read", "steps", "secrets"]


class StepTenant:
    """One tenant with a key that may write steps."""

    def __init__(self, server: LiveServer, name: str, key: str) -> None:
        self.server = server
        self.name = name
        self.key = key

    @staticmethod
    def make(server: LiveServer, name: str, **rules: Any) -> StepTenant:
        """A new one, or one with other rules."""
        answer = server.ask("POST", "/v1/admin/tenants", server.admin, {"name": name, **rules})
        assert answer.status_code in (200, 201), answer.text
        answer = server.ask("POST", f"/v1/admin/tenants/{name}/keys", server.admin, {"scopes": ALL_SCOPES})
        return StepTenant(server, name, answer.json()["key"])

    def ask(self, method: str, path: str, content: Any = None, **headers: str) -> httpx.Response:
        return self.server.ask(method, path, self.key, content, **headers)

    def put(self, name: str, statement: str, /, **document: Any) -> httpx.Response:
        """A step, whose rows have an integer `id` unless something else is said."""
        content = {"statement": statement, "output_schema": NUMBERS, **document}
        return self.ask("PUT", f"/v1/steps/{name}", content)

    def start(self, name: str, input_data: Any = None, **request: Any) -> str:
        """The path of a run that was accepted."""
        answer = self.ask("POST", f"/v1/steps/{name}/runs", {"input_data": input_data, **request})
        assert answer.status_code == 202, answer.text
        where: str = answer.headers["location"]
        assert where == f"/v1/steps/{name}/runs/{answer.json()['id']}"
        return where

    def look(self, where: str) -> dict[str, Any]:
        answer = self.ask("GET", where)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def until(self, where: str, **state: Any) -> dict[str, Any]:
        """A run once it is so."""
        found: dict[str, Any] = {}

        def is_so() -> bool:
            found.clear()
            found.update(self.look(where))
            return all(found.get(name) == value for name, value in state.items())

        wait_until(is_so)
        return found

    def run(self, name: str, input_data: Any = None, **request: Any) -> tuple[dict[str, Any], list[Any]]:
        """A run from its beginning to its end, and what it has delivered."""
        where = self.start(name, input_data, **request)
        ended = self.until(where, state="ended")
        rows = self.ask("GET", where + "/rows")
        assert rows.status_code == 200, rows.text
        found: list[Any] = rows.json()
        return ended, found

    @property
    def usage(self) -> dict[str, int]:
        found: dict[str, int] = self.ask("GET", "/v1/usage").json()["total"]
        return found
