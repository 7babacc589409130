"""Steps over HTTP: a real process, real workers, SQLite; documents, versions, checkpoints, runs bulk and row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.server.live_server import LiveServer, wait_until
from tests.server.step_tenant import NUMBERS, StepTenant
from tests.servers import WebServer

BULK = {"processing": "bulk"}
DOUBLES = "return [{'id': INPUT_DATA[0]['id'] * 2}]"
FAILS_AT_3 = "if INPUT_DATA[0]['id'] == 3:\n    raise ValueError('three')\nlog.info('row')\n" + DOUBLES
SLEEPS = "await sleep(30)\nreturn []"


def numbers(count: int) -> list[dict[str, int]]:
    return [{"id": number} for number in range(count)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One for all tests of this module; each makes tenants of its own."""
    settings = "step_processes = 4\nkeep_step_runs = 6\n[limits]\nwall_seconds = 40"
    with LiveServer(tmp_path_factory.mktemp("steps"), settings=settings) as server:
        server.until_ready()
        yield server
        assert server.terminate() == 0
        assert "invariant" not in "".join(server.lines)
        assert "Traceback" not in "".join(server.lines)


def test_a_step_is_made_changed_found_and_deleted(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "versions")
    made = tenant.put("orders", DOUBLES, description="Doubles.")
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert made.json()["document"]["description"] == "Doubles."
    assert tenant.put("orders", DOUBLES, description="Doubles.").headers["etag"] == '"1"'
    assert tenant.put("orders", "return []").headers["etag"] == '"2"'
    present = tenant.ask("GET", "/v1/steps/orders").json()
    assert (present["version"], present["document"]["statement"]) == (2, "return []")
    assert [item["version"] for item in present["versions"]] == [2, 1]
    assert tenant.ask("GET", "/v1/steps/orders/versions/1").json()["document"]["statement"] == DOUBLES
    assert tenant.ask("GET", "/v1/steps/orders/versions/3").status_code == 404
    listed = tenant.ask("GET", "/v1/steps").json()["steps"]
    assert [(item["name"], item["version"]) for item in listed] == [("orders", 2)]
    content = {"statement": "return []", "output_schema": NUMBERS, "description": "x"}
    lost = tenant.ask("PUT", "/v1/steps/orders", content, if_match='"1"')
    assert (lost.status_code, lost.json()["rule"], lost.json()["used"]) == (412, "version", 2)
    there = tenant.ask("PUT", "/v1/steps/orders", content, if_none_match="*")
    assert there.status_code == 412
    assert tenant.ask("PUT", "/v1/steps/orders", content, if_match='"2"').headers["etag"] == '"3"'
    assert tenant.ask("PUT", "/v1/steps/orders", content, if_match="3").status_code == 400
    assert tenant.ask("DELETE", "/v1/steps/orders", if_match='"1"').status_code == 412
    assert tenant.ask("DELETE", "/v1/steps/orders").status_code == 204
    assert tenant.ask("GET", "/v1/steps/orders").status_code == 404
    assert tenant.ask("DELETE", "/v1/steps/orders").status_code == 404
    assert tenant.put("orders", "return []").headers["etag"] == '"1"'


def test_a_document_names_nothing_of_the_server_and_its_mistakes_have_their_place(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "documents")
    for wrong, what in (
        ({"secrets": {"Key": {"env": "HOME"}}}, "unknown key 'env'; a secret has hosts, also_in"),
        ({"secrets": {"Key": {"file": "/etc/passwd"}}}, "unknown key 'file'; a secret has hosts, also_in"),
        ({"statement_file": "/etc/passwd"}, "unknown key 'statement_file'"),
        ({"output_schema": "/etc/passwd"}, "expected a list of columns or a JSON Schema"),
        ({"inputs": [{"name": "a", "schema": "/etc/passwd"}]}, "schema: expected a list of columns or a JSON Schema"),
        ({"grants": {"ca_file": "/etc/passwd"}}, "unknown key 'ca_file'; grants has http"),
        ({"grants": {"proxy": "env"}}, "unknown key 'proxy'; grants has http"),
        ({"image": "core"}, "unknown key 'image'"),
        ({"name": "another"}, "name: expected 'a', as in the address"),
        ({"checkpoint_column": "idd"}, "the output schema has no column 'idd'"),
        ({"limits": {"wall_seconds": -1}}, "wall_seconds"),
    ):
        refused = tenant.put("a", "return []", **wrong)
        assert (refused.status_code, refused.json()["rule"]) == (400, "step"), wrong
        assert what in refused.json()["mistakes"][0]["message"]
        assert refused.json()["mistakes"][0]["line"] == 1
    no_json = server.client.put(
        "/v1/steps/a", content=b"{", headers={"Authorization": f"Bearer {tenant.key}", "Content-Type": "text/plain"}
    )
    assert (no_json.status_code, no_json.json()["rule"]) == (400, "step")
    assert tenant.ask("GET", "/v1/steps").json() == {"steps": []}
    right = tenant.put("a", "return []", secrets={"Key": {}}, checkpoint_column="id", limits={"wall_seconds": 3})
    assert right.status_code == 201


def test_what_a_step_asks_for_is_held_against_its_tenant_when_it_is_made_and_when_it_runs(server: LiveServer) -> None:
    rules: dict[str, Any] = {"limits": {"wall_seconds": 5}, "grants": {"http": ["GET https://api.example.com"]}}
    tenant = StepTenant.make(server, "ceilings", max_steps=2, **rules)
    over = tenant.put("a", "return []", limits={"wall_seconds": 6})
    assert (over.status_code, over.json()["rule"], over.json()["value"]) == (400, "limit.wall_seconds", 5)
    reaches = tenant.put("a", "return []", grants={"http": ["b.example.com"]})
    assert (reaches.status_code, reaches.json()["rule"]) == (400, "grant.http")
    private = {"http": [{"host": "api.example.com", "allow_private": True}]}
    assert tenant.put("a", "return []", grants=private).json()["rule"] == "grant.http"
    assert tenant.put("a", "return []", **BULK, limits={"wall_seconds": 4}).status_code == 201
    assert tenant.put("b", "return []").status_code == 201
    third = tenant.put("c", "return []")
    assert (third.status_code, third.json()["rule"], third.json()["value"]) == (409, "count.steps", 2)
    assert tenant.put("b", "return [] ").status_code == 200
    assert tenant.ask("DELETE", "/v1/steps/b").status_code == 204
    assert tenant.put("c", "return []").status_code == 201
    StepTenant.make(server, "ceilings", max_steps=2, limits={"wall_seconds": 3})
    refused = tenant.ask("POST", "/v1/steps/a/runs", {})
    assert (refused.status_code, refused.json()["rule"]) == (400, "limit.wall_seconds")
    none = StepTenant.make(server, "no-steps", max_steps=0)
    assert none.put("a", "return []").json()["rule"] == "count.steps"


def test_a_bulk_run_has_inputs_variables_secrets_and_a_checkpoint_that_goes_on(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "bulk")
    made = tenant.put(
        "since",
        "log.info(f'after {DATA_CHECKPOINT}')\nlog.info(LocalVariable.Key)\n"
        "new = [row for row in INPUT_DATA if row['id'] > (DATA_CHECKPOINT or 0)]\n"
        "return [{'id': row['id'], 'more': INPUT_DATA2, 'size': LocalVariable.Size} for row in new]",
        **BULK, checkpoint_column="id", secrets={"Key": {}},
        local_variables={"Size": {"type": "integer", "initial": 5, "update_from": "id"}},
        output_schema={"type": "object", "properties": {"id": {"type": "integer"}}},
    )  # fmt: skip
    assert made.status_code == 201, made.text
    never = tenant.ask("GET", "/v1/steps/since/checkpoint")
    assert (never.json()["version"], never.json()["value"], never.headers["etag"]) == (0, None, '"0"')
    values = {"secrets": {"Key": "hunter22"}, "local_variables": {"Size": 2**40}, "extra_inputs": [[{"b": 1}]]}
    ended, rows = tenant.run("since", numbers(3), **values)
    assert (ended["status"], ended["row_count"], ended["rows_read"], ended["executions"]) == (200, 2, 3, 1)
    assert rows == [{"id": number, "more": [{"b": 1}], "size": 2**40} for number in (1, 2)]
    assert (ended["checkpoint"], ended["checkpoint_version"], ended["local_variables"]) == (2, 1, {"Size": 2})
    where = f"/v1/steps/since/runs/{ended['id']}"
    log = tenant.ask("GET", where + "/logs").json()["records"]
    assert log[0]["message"] == "after None"
    assert "hunter22" not in str(log)
    again, rows = tenant.run("since", numbers(5), **values)
    assert ([row["id"] for row in rows], again["checkpoint"]) == ([3, 4], 4)
    for asked, what in (
        ({}, "secret Key: it has no value"),
        ({"secrets": {"Key": "hunter22", "Other": "x"}}, "secret Other: the step has no such secret"),
    ):
        refused = tenant.ask("POST", "/v1/steps/since/runs", asked)
        assert (refused.status_code, refused.json()["detail"]) == (400, what)
    wrong, rows = tenant.run("since", numbers(1), secrets={"Key": "hunter22"}, local_variables={"Other": 1})
    assert (wrong["status"], rows, wrong["error"]["type"]) == (400, [], "ConfigError")
    wait_until(lambda: tenant.usage["runs"] == 3)
    assert (tenant.usage["failed"], tenant.usage["log_count"]) == (1, 4)


def test_a_checkpoint_is_set_and_reset_by_hand_and_lost_updates_are_refused(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "checkpoints")
    tenant.put("a", "return [{'id': DATA_CHECKPOINT['n']}]", **BULK)
    path = "/v1/steps/a/checkpoint"
    first = tenant.ask("PUT", path, {"n": 7}, if_none_match="*")
    assert (first.status_code, first.json()["cause"], first.headers["etag"]) == (200, "set", '"1"')
    assert tenant.run("a")[1] == [{"id": 7}]
    assert tenant.ask("PUT", path, {"n": 8}, if_none_match="*").status_code == 412
    lost = tenant.ask("PUT", path, {"n": 9}, if_match='"7"')
    assert (lost.status_code, lost.json()["used"]) == (412, 1)
    assert tenant.ask("PUT", path, {"n": 2**70}, if_match='"1"').json()["value"] == {"n": 2**70}
    reset = tenant.ask("DELETE", path, if_match='"2"')
    assert (reset.json()["value"], reset.json()["version"], reset.json()["cause"]) == (None, 3, "reset")
    long = tenant.ask("PUT", path, "x" * 70_000)
    assert (long.status_code, long.json()["rule"]) == (400, "checkpoint.bytes")
    assert tenant.ask("GET", "/v1/steps/nobody/checkpoint").status_code == 404
    assert tenant.ask("PUT", "/v1/steps/nobody/checkpoint", 1).status_code == 404


def test_only_the_newest_runs_are_kept_and_a_list_of_them_has_pages(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "keeps")
    tenant.put("a", "return INPUT_DATA", **BULK)
    made = [tenant.run("a", [{"id": number}])[0]["id"] for number in range(8)]
    first = tenant.ask("GET", "/v1/steps/a/runs?limit=4").json()
    second = tenant.ask("GET", f"/v1/steps/a/runs?limit=4&cursor={first['next']}").json()
    listed = [run["id"] for page in (first, second) for run in page["runs"]]
    assert listed == made[:1:-1]
    assert second["next"] is None
    assert tenant.ask("GET", f"/v1/steps/a/runs/{made[1]}").status_code == 404
    assert tenant.ask("GET", f"/v1/steps/a/runs/{made[2]}/rows").json() == [{"id": 2}]
    assert tenant.ask("GET", "/v1/steps/a/runs?cursor=x").json()["rule"] == "query"


def test_a_long_second_input_goes_to_the_workers_once(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "joins")
    tenant.put("a", "return [{'id': INPUT_DATA[0]['id'] + len(INPUT_DATA2)}]")
    ended, rows = tenant.run("a", numbers(20), extra_inputs=[["x" * 1000] * 500])
    assert (ended["status"], rows) == (200, [{"id": 500 + number} for number in range(20)])


def test_a_checkpoint_that_is_too_large_fails_the_run_and_leaves_the_old_one(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "large")
    texts = [{"name": "t", "type": "text"}]
    tenant.put("a", "return INPUT_DATA", **BULK, checkpoint_column="t", output_schema=texts)
    tenant.run("a", [{"t": "small"}])
    ended, rows = tenant.run("a", [{"t": "x" * 70_000}])
    assert (ended["status"], rows) == (306, [])
    assert "the checkpoint is too large for the run store: 70,002" in ended["error"]["message"]
    assert tenant.ask("GET", "/v1/steps/a/checkpoint").json()["value"] == "small"


def test_a_long_row_is_checked_by_its_schema_and_delivered(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "long")
    texts = [{"name": "t", "type": "text"}]
    inputs = [{"name": "a", "schema": texts}]
    tenant.put("a", "return INPUT_DATA", inputs=inputs, output_schema=texts, on_row_error="skip")
    data = [{"t": "x" * 2_000_000}, {"t": "y"}, {"u": "z" * 2_000_000}]
    ended, rows = tenant.run("a", data)
    assert (ended["status"], ended["rows_failed"], rows) == (202, 1, data[:2])


def test_two_runs_at_once_cannot_both_set_the_checkpoint(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "conflict")
    tenant.put("a", "await sleep(1)\nreturn INPUT_DATA", **BULK, checkpoint_column="id")
    runs = [tenant.start("a", [{"id": number}]) for number in (1, 2)]
    ended = [tenant.until(where, state="ended") for where in runs]
    assert sorted(run["status"] for run in ended) == [200, 303]
    loser = next(number for number, run in enumerate(ended) if run["status"] == 303)
    assert ended[loser]["error"]["type"] == "CheckpointConflictError"
    assert tenant.ask("GET", runs[loser] + "/rows").json() == []
    winner = ended[1 - loser]
    assert tenant.ask("GET", "/v1/steps/a/checkpoint").json()["value"] == winner["checkpoint"]


def test_row_by_row_a_run_fails_with_its_first_failing_row_or_skips_it(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "rows")
    tenant.put("fails", FAILS_AT_3)
    failed, rows = tenant.run("fails", numbers(50))
    assert (failed["status"], failed["rows_failed"], rows) == (300, 1, [])
    assert failed["error"]["type_name"] == "ValueError"
    inputs = [{"name": "a", "schema": NUMBERS}]
    tenant.put("skips", FAILS_AT_3, on_row_error="skip", inputs=inputs, checkpoint_column="id")
    data: list[Any] = [*numbers(299), {"id": "x"}]
    skipped, rows = tenant.run("skips", data)
    assert (skipped["status"], skipped["rows_read"], skipped["rows_failed"]) == (202, 300, 2)
    assert rows == [{"id": 2 * number} for number in range(299) if number != 3]
    assert (skipped["checkpoint"], skipped["row_count"]) == (2 * 298, 298)
    where = f"/v1/steps/skips/runs/{skipped['id']}"
    first = tenant.ask("GET", where + "/errors?limit=1").json()
    assert [(item["row"], item["status"]) for item in first["errors"]] == [(3, 300)]
    second = tenant.ask("GET", f"{where}/errors?after={first['next_after']}").json()
    assert [(item["row"], item["error"]["type"]) for item in second["errors"]] == [(299, "InputSchemaError")]
    assert second["next_after"] is None
    log = tenant.ask("GET", where + "/logs?limit=10000").json()["records"]
    assert [record["row"] for record in log] == [number for number in range(299) if number != 3]
    page = tenant.ask("GET", "/v1/steps/skips/runs?limit=1").json()
    assert [run["id"] for run in page["runs"]] == [skipped["id"]]
    assert page["next"] is None


def test_rows_that_wait_do_so_together_and_few_are_queued(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "sleepers", max_queued=8)
    tenant.put("a", "await sleep(0.5)\n" + DOUBLES, concurrency=40)
    where = tenant.start("a", numbers(80))
    most = {"queued": 0, "asleep": 0}
    listed = []

    def is_over() -> bool:
        # They are no runs that anybody has asked for.
        listed.extend(tenant.ask("GET", "/v1/runs").json()["runs"])
        counts = tenant.ask("GET", "/v1/quotas").json()["runs"]
        most.update({name: max(count, counts[name]) for name, count in most.items()})
        return bool(tenant.look(where)["state"] == "ended")

    wait_until(is_over)
    assert tenant.look(where)["status"] == 200
    assert most["asleep"] > 12
    assert most["queued"] <= 8
    assert listed == []


def test_a_run_that_is_cancelled_ends_wherever_it_is(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "cancels")
    for name, processing in (("bulk", "bulk"), ("rows", "row_by_row")):
        tenant.put(name, SLEEPS, processing=processing)
        where = tenant.start(name, numbers(100))
        wait_until(lambda: tenant.ask("GET", "/v1/quotas").json()["runs"]["asleep"] > 0)
        rows = tenant.ask("GET", where + "/rows")
        assert (rows.status_code, rows.json()["rule"]) == (409, "run.ended")
        in_use = tenant.ask("DELETE", f"/v1/steps/{name}")
        assert (in_use.status_code, in_use.json()["rule"]) == (409, "step.in_use")
        cancelled = tenant.ask("POST", where + ":cancel").json()
        assert (cancelled["state"], cancelled["status"]) == ("ended", 303)
        counts = tenant.ask("GET", "/v1/quotas").json()["runs"]
        assert (counts["queued"], counts["executing"], counts["asleep"]) == (0, 0, 0)
    assert tenant.ask("POST", where + ":cancel").json()["status"] == 303
    # Three of four processes at most are one tenant's.
    running = [tenant.start("bulk") for _ in range(4)]
    for where in running[:3]:
        tenant.until(where, state="running")
    waits = tenant.look(running[3])
    assert (waits["state"], waits["waiting"]["rule"], waits["waiting"]["position"]) == ("queued", "step_processes", 1)
    other = StepTenant.make(server, "beside")
    other.put("a", DOUBLES)
    assert other.run("a", numbers(2))[1] == [{"id": 0}, {"id": 2}]
    for where in reversed(running):
        assert tenant.ask("POST", where + ":cancel").json()["status"] == 303
    assert tenant.ask("DELETE", "/v1/steps/bulk").status_code == 204
    assert tenant.ask("GET", running[0]).status_code == 404


def test_a_step_reaches_what_was_granted_and_its_secret_goes_there_only(server: LiveServer) -> None:
    with WebServer() as web:
        host = f"127.0.0.1:{web.port}"
        tenant = StepTenant.make(server, "asks", grants={"http_private": [f"GET {host}"]})
        asks = (
            f"import httpx\nclient = httpx.AsyncClient(headers={{'x-key': LocalVariable.Key}})\n"
            f"await client.get('{web.url()}')\nreturn INPUT_DATA"
        )
        grant = {"host": "127.0.0.1", "ports": [web.port], "methods": ["GET"], "allow_private": True}
        secrets = {"Key": {"hosts": [f"http://{host}"]}}
        made = tenant.put("a", asks, grants={"http": [grant]}, secrets=secrets)
        assert made.status_code == 201, made.text
        ended, _ = tenant.run("a", numbers(3), secrets={"Key": "hunter22-hunter22"})
        assert ended["status"] == 200, ended
        assert ended["usage"]["http_requests"] == 3
        assert len(web.requests) == 3
        assert {seen["x-key"] for seen in web.headers_seen} == {"hunter22-hunter22"}


def test_a_stored_secret_goes_where_it_was_stored_for_and_changes_are_on_the_audit_log(server: LiveServer) -> None:
    with WebServer() as web:
        host = f"127.0.0.1:{web.port}"
        tenant = StepTenant.make(server, "vault", grants={"http_private": [host]})
        stored = tenant.ask("PUT", "/v1/secrets/api", {"value": "hunter22-hunter22", "hosts": [f"http://{host}"]})
        assert stored.status_code in (200, 201), stored.text
        grant = {"host": "127.0.0.1", "ports": [web.port], "allow_private": True}
        asks = (
            "import httpx\nclient = httpx.AsyncClient(headers={'x-key': LocalVariable.Key})\n"
            f"await client.get('{web.url()}')\nreturn [{{'id': len(LocalVariable.Key)}}]"
        )
        # The step would have the statement hold it.
        made = tenant.put("a", asks, **BULK, grants={"http": [grant]}, secrets={"Key": {}})
        assert made.status_code == 201, made.text
        ended, _ = tenant.run("a", stored_secrets={"Key": "api"})
        assert ended["status"] == 200, ended
        assert [seen["x-key"] for seen in web.headers_seen] == ["hunter22-hunter22"]
        for asked, rule in (
            ({"stored_secrets": {"Key": "nothing"}}, "secret.stored"),
            ({"stored_secrets": {"Key": "api"}, "secrets": {"Key": "hunter22"}}, "secret.name"),
            ({"stored_secrets": {"Key": "api", "Other": "api"}}, "secrets"),
        ):
            refused = tenant.ask("POST", "/v1/steps/a/runs", asked)
            assert (refused.status_code, refused.json()["rule"]) == (400, rule)
        tenant.ask("PUT", "/v1/steps/a/checkpoint", {"a": "secret"})
        tenant.ask("DELETE", "/v1/steps/a/checkpoint")
        tenant.ask("DELETE", "/v1/steps/a")
        log = tenant.ask("GET", "/v1/audit").json()
        rows = next(value for value in log.values() if isinstance(value, list))
        actions = [row["action"] for row in rows if row["target"] == "a"]
        assert sorted(actions) == ["checkpoint.reset", "checkpoint.set", "step.delete", "step.put"]
        assert "secret" not in str([row["detail"] for row in rows if row["target"] == "a"])


def test_ids_of_another_tenant_look_as_if_they_did_not_exist(server: LiveServer) -> None:
    owner, other = StepTenant.make(server, "owner"), StepTenant.make(server, "other")
    owner.put("shared", DOUBLES)
    ended, _ = owner.run("shared", numbers(2))
    other.put("own", DOUBLES)
    run = ended["id"]
    parts = (("GET", ""), ("GET", "/rows"), ("GET", "/logs"), ("GET", "/errors"), ("POST", ":cancel"))
    for method, theirs, nobodys in (
        ("GET", "/v1/steps/shared", "/v1/steps/none"),
        ("DELETE", "/v1/steps/shared", "/v1/steps/none"),
        ("GET", "/v1/steps/shared/versions/1", "/v1/steps/none/versions/1"),
        ("GET", "/v1/steps/shared/checkpoint", "/v1/steps/none/checkpoint"),
        ("PUT", "/v1/steps/shared/checkpoint", "/v1/steps/none/checkpoint"),
        ("DELETE", "/v1/steps/shared/checkpoint", "/v1/steps/none/checkpoint"),
        ("POST", "/v1/steps/shared/runs", "/v1/steps/none/runs"),
        ("GET", "/v1/steps/shared/runs", "/v1/steps/none/runs"),
        *(
            (method, f"/v1/steps/{step}/runs/{run}{part}", f"/v1/steps/{step}/runs/stp_{'x' * 24}{part}")
            for method, part in parts
            for step in ("shared", "own")
        ),
    ):
        content: dict[str, Any] | None = {} if method in ("PUT", "POST") else None
        found, missing = other.ask(method, theirs, content), other.ask(method, nobodys, content)
        assert (found.status_code, found.content) == (404, missing.content), (method, theirs)
        assert missing.status_code == 404
    assert owner.ask("GET", f"/v1/steps/shared/runs/{run}").status_code == 200
    # Each has a step of that name, and a checkpoint of its own.
    other.put("shared", DOUBLES)
    owner.ask("PUT", "/v1/steps/shared/checkpoint", 7)
    assert other.ask("GET", "/v1/steps/shared/checkpoint").json()["version"] == 0


def test_keys_need_the_scope_of_what_they_do(server: LiveServer) -> None:
    tenant = StepTenant.make(server, "scopes")
    tenant.put("a", DOUBLES)
    path = "/v1/admin/tenants/scopes/keys"
    running = server.ask("POST", path, server.admin, {"scopes": ["run"]}).json()["key"]
    reading = server.ask("POST", path, server.admin, {"scopes": ["read"]}).json()["key"]
    for key, method, where in (
        (running, "PUT", "/v1/steps/a"), (running, "PUT", "/v1/steps/a/checkpoint"), (running, "GET", "/v1/steps/a"),
        (reading, "POST", "/v1/steps/a/runs"), (reading, "DELETE", "/v1/steps/a"),
    ):  # fmt: skip
        refused = server.ask(method, where, key, {})
        assert (refused.status_code, refused.json()["rule"]) == (403, "key.scope")
    assert server.ask("POST", "/v1/steps/a/runs", running, {"input_data": []}).status_code == 202
