"""Runs statements that reach one server on loopback."""

from __future__ import annotations

from typing import Any

from tests.http_caller import private_grant
from tests.servers import WebServer

from wasmexec import Executor, Grants, HttpGrant, Limits, Result, StatementRaised, Status

PRELUDE = """import httpx
asyncio = httpx._client.typing.sys.modules["asyncio"]
"""
"""The statement's way to a module that it may not import; what a library hands out may well be a task or a timeout."""


def run(
    executor: Executor, statement: str, authority: str, *grants: HttpGrant, prelude: str = PRELUDE, **limits: Any
) -> Result:
    """Run a statement that may reach one server, whose URL it knows as `LocalVariable.Server`."""
    return executor.run(
        prelude + statement,
        local_variables={"Server": f"http://{authority}"},
        grants=Grants(http=grants or [private_grant(authority)]),
        limits=Limits(**{"wall_seconds": 30, **limits}),
    )


def rows(executor: Executor, statement: str, server: WebServer, **options: Any) -> list[dict[str, Any]]:
    """What such a statement returns."""
    result = run(executor, statement, server.authority, **options)
    result.raise_for_status()
    return result.rows


def raised(result: Result) -> tuple[str, str]:
    """Type and message of what a statement raised."""
    assert result.status == Status.STATEMENT_RAISED
    assert isinstance(result.error, StatementRaised)
    return result.error.type_name, result.error.exception_message


def assert_three_parts_came_apart(parts: list[dict[str, Any]]) -> None:
    """That a statement saw each part of /chunks?count=3&size=2&pause=0.3 when it came, `at` so many seconds."""
    first, second, third = parts
    assert [part["data"] for part in parts] == ["00", "11", "22"]
    assert second["at"] - first["at"] > 0.1
    assert third["at"] - second["at"] > 0.1
