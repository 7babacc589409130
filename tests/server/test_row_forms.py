"""Rows of runs and of runs of steps as JSON and as NDJSON, and inputs of steps as NDJSON."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from tests.server.live_server import LiveServer, Tenant
from tests.server.step_tenant import StepTenant

NDJSON = "application/x-ndjson"
ROWS = [{"id": n, "t": 'a\n"\u2028' * (n % 3)} for n in range(5)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module."""
    with LiveServer(tmp_path_factory.mktemp("server")) as server:
        yield server.until_ready()


def lines(answer: httpx.Response) -> list[object]:
    """The rows of an answer, of which each is a line."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, NDJSON)
    assert not answer.content or answer.content.endswith(b"\n")
    return [json.loads(line) for line in answer.content.split(b"\n")[:-1]]


def test_rows_of_a_run_are_there_in_both_forms(server: LiveServer) -> None:
    tenant = server.tenant("runs")
    run, empty = tenant.start("return INPUT_DATA", input_data=ROWS), tenant.start("return []")
    for run_id, rows in ((run, ROWS), (empty, [])):
        tenant.until(run_id, state="ended")
        where = f"/v1/runs/{run_id}/rows"
        assert lines(server.ask("GET", where, tenant.key, accept=f"text/html;q=0.1, {NDJSON}")) == rows
        for accept in ("*/*", "application/json", "application/*;q=0.5"):
            answer = server.ask("GET", where, tenant.key, accept=accept)
            assert (answer.headers["content-type"], answer.json()) == ("application/json", rows)
        refused = server.ask("GET", where, tenant.key, accept="text/csv")
        assert (refused.status_code, refused.json()["rule"]) == (406, "accept")


def test_rows_of_a_step_are_there_in_both_forms_and_come_as_lines(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "steps")
    schema = [{"name": "id", "type": "integer"}, {"name": "t", "type": "text"}]
    made = tenant.put("rows", "return INPUT_DATA", output_schema=schema)
    assert made.status_code == 201, made.text
    tenant.put("fails", "return 1 / 0", output_schema=schema)
    body = b"\n".join([b"", *(json.dumps(row).encode() + b"\r" for row in ROWS), b"  ", b""])
    headers = {"Authorization": f"Bearer {tenant.key}", "Content-Type": f"{NDJSON}; charset=utf-8"}

    def start(name: str, content: bytes, **more: str) -> httpx.Response:
        return server.client.post(f"/v1/steps/{name}/runs", content=content, headers=headers | more)

    where = start("rows", body).headers["location"]
    ended = tenant.until(where, state="ended")
    assert (ended["status"], ended["rows_read"], ended["executions"]) == (200, 5, 5)
    assert lines(tenant.ask("GET", where + "/rows", accept=NDJSON)) == ROWS
    answer = tenant.ask("GET", where + "/rows")
    assert (answer.headers["content-type"], answer.json()) == ("application/json", ROWS)
    # Many chunks.
    many = [{"id": n, "t": "x" * 2000} for n in range(6000)]
    where = start("rows", b"\n".join(json.dumps(row).encode() for row in many[:1])).headers["location"]
    tenant.put("many", "return [{'id': n, 't': 'x' * 2000} for n in range(6000)]", output_schema=schema)
    where = tenant.start("many", [{"id": 1}])
    tenant.until(where, state="ended")
    assert lines(tenant.ask("GET", where + "/rows", accept=NDJSON)) == many
    assert tenant.ask("GET", where + "/rows").json() == many
    # Nothing was delivered.
    where = start("fails", body).headers["location"]
    tenant.until(where, state="ended", status=300)
    assert lines(tenant.ask("GET", where + "/rows", accept=NDJSON)) == []
    assert tenant.ask("GET", where + "/rows").json() == []
    assert tenant.ask("GET", where + "/rows", accept="text/csv").status_code == 406
    # The same lines with the same key are the same request; a line that is none ends nothing.
    first = start("rows", body, **{"Idempotency-Key": "k"})
    assert start("rows", body, **{"Idempotency-Key": "k"}).content == first.content
    for wrong, number in ((b'{"id": 1}\n{"id": 2}]', 2), (b"1 2", 1), (b'{"id":\n1}', 1), (b"\xff", 1)):
        answer = start("rows", wrong)
        assert (answer.status_code, answer.json()["rule"]) == (400, "body"), wrong
        assert f"line {number} of the body is not JSON" in answer.json()["detail"]
    escape = start("rows", b'1], "secrets": {"a": "b"}, "extra_inputs": [2')
    assert escape.status_code == 400


def test_the_rows_of_a_synchronous_run_are_nobodys_in_any_form(server: LiveServer) -> None:
    tenant = Tenant(server, server.tenant("gone").key)
    run_id = tenant.run("return [{'a': 1}]").json()["id"]
    answer = server.ask("GET", f"/v1/runs/{run_id}/rows", tenant.key, accept=NDJSON)
    assert (answer.status_code, answer.json()["rule"]) == (410, "run.kept")
