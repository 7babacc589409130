"""The operator's part: tenants listed, changed, paused and deleted; workers replaced, and the server drained."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tests.server.live_server import LiveServer, Tenant, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("admin"), settings="drain_seconds = 5") as server:
        server.until_ready()
        yield server
        assert server.terminate() == 0
        assert "invariant" not in "".join(server.lines)
        assert "Traceback" not in "".join(server.lines)


def ask(server: LiveServer, method: str, path: str, content: Any = None) -> httpx.Response:
    """A request of the operator."""
    return server.ask(method, f"/v1/admin{path}", server.admin, content)


def test_tenants_are_listed_by_name_and_page_with_what_they_do_now(server: LiveServer) -> None:
    for name in ("list-a", "list-b", "list-c"):
        server.tenant(name, max_executing=1)
    busy = server.tenant("list-b")
    computing = busy.start("while True: pass")
    busy.until(computing, state="running")
    pages: list[list[str]] = []
    after: str | None = "list"
    while after is not None:
        answer = ask(server, "GET", f"/tenants?limit=2&after={after}").json()
        pages.append([tenant["name"] for tenant in answer["tenants"]])
        after = answer["next"]
    assert pages[0] == ["list-a", "list-b"]
    assert all(len(page) <= 2 for page in pages)
    assert sorted(name for page in pages for name in page) == [name for page in pages for name in page]
    found = ask(server, "GET", "/tenants/list-b").json()
    assert (found["queued"], found["executing"], found["asleep"], found["paused"]) == (0, 1, 0, False)
    assert found["rules"]["name"] == "list-b"
    busy.cancel(computing)
    wait_until(lambda: ask(server, "GET", "/tenants/list-b").json()["cpu_seconds_today"] > 0)
    assert ask(server, "GET", "/tenants?limit=0").status_code == 400


def test_a_tenant_is_put_whole_and_unknown_ones_and_other_names_are_refused(server: LiveServer) -> None:
    made = ask(server, "PUT", "/tenants/put", {"weight": 3, "max_executing": 2})
    assert (made.status_code, made.json()["rules"]["weight"]) == (201, 3)
    changed = ask(server, "PUT", "/tenants/put", {"name": "put", "weight": 4})
    assert (changed.status_code, changed.json()["rules"]["max_executing"]) == (200, None)
    other = ask(server, "PUT", "/tenants/put", {"name": "other"})
    assert (other.status_code, other.json()["rule"]) == (400, "tenant.name")
    assert ask(server, "PUT", "/tenants/put", {"weight": 0}).json()["rule"] == "body"
    for method in ("GET", "DELETE"):
        missing = ask(server, method, "/tenants/missing")
        assert (missing.status_code, missing.json()["rule"]) == (404, "tenant")
    assert ask(server, "POST", "/tenants/missing:pause").status_code == 404
    key = server.tenant("curious").key
    for path in ("/tenants", "/tenants/put", "/workers"):
        assert server.ask("GET", f"/v1/admin{path}", key).status_code == 403


def test_a_paused_tenant_starts_nothing_until_it_goes_on(server: LiveServer) -> None:
    tenant = server.tenant("pauses")
    asleep = tenant.start("await sleep(0.3)\nreturn [{'a': 1}]")
    tenant.until(asleep, is_asleep=True)
    assert ask(server, "POST", "/tenants/pauses:pause").json()["paused"] is True
    waiting = tenant.start("return []")
    refused = tenant.run("return []")
    assert (refused.status_code, refused.json()["rule"]) == (503, "tenant.paused")
    assert refused.json()["changed_by"] == "operator"
    # What runs may end.
    assert tenant.until(asleep, state="ended")["status"] == 200
    told = tenant.look(waiting)["waiting"]
    assert (told["rule"], told["changed_by"]) == ("tenant.paused", "operator")
    # Other rules leave it as it is, and a restart finds it so.
    assert ask(server, "PUT", "/tenants/pauses", {"weight": 2}).json()["paused"] is True
    with sqlite3.connect(server.folder / "store.sqlite3") as store:
        documents = store.execute("SELECT document FROM wx_server_tenants WHERE name = 'pauses'").fetchall()
    assert '"paused":true' in documents[0][0]
    assert tenant.look(waiting)["state"] == "queued"
    assert ask(server, "POST", "/tenants/pauses:resume").json()["paused"] is False
    assert tenant.until(waiting, state="ended")["status"] == 201
    assert tenant.run("return []").status_code == 200


def tables_with(file: Path, marker: str) -> set[str]:
    """Tables of a store in which a text or bytes contain something."""
    found = set()
    with sqlite3.connect(file) as store:
        for (table,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in store.execute(f'SELECT * FROM "{table}"'):
                if any(marker in str(value) for value in row if isinstance(value, (str, bytes))):
                    found.add(table)
    return found


def test_no_table_has_anything_that_a_deleted_tenant_had_sent(server: LiveServer) -> None:
    tenant, marker = server.tenant("forgotten"), "marker4711"
    body = {"statement": f"log.info('{marker}')\nreturn [{{'a': '{marker}'}}]", "record": True}
    headers = {"prefer": "respond-async", "idempotency_key": marker}
    run_id = server.ask("POST", "/v1/runs", tenant.key, body, **headers).json()["id"]
    assert tenant.until(run_id, state="ended")["status"] == 200
    again = server.ask("POST", f"/v1/runs/{run_id}:replay", tenant.key, {}, prefer="wait=20")
    assert again.json()["status"] == 200
    file = server.folder / "store.sqlite3"
    # What was sent is sealed there: it is found by whose it is.
    kept = {"wx_server_runs", "wx_server_attachments", "wx_server_request_keys"}
    assert (tables_with(file, run_id), tables_with(file, marker)) == (kept, {"wx_server_request_keys"})
    assert ask(server, "DELETE", "/tenants/forgotten").status_code == 204
    for text in (run_id, again.json()["id"], marker):
        assert tables_with(file, text) == set()


def test_nothing_is_left_of_a_tenant_that_was_deleted(server: LiveServer) -> None:
    tenant = server.tenant("deleted")
    ended = tenant.start("return [{'a': 1}]")
    tenant.until(ended, state="ended")
    computing = tenant.start("while True: pass")
    tenant.until(computing, state="running")
    waiting = [tenant.start("await sleep(60)\nreturn []") for _ in range(3)]
    keys = {"scopes": ["steps", "run", "read"]}
    steps = Tenant(server, ask(server, "POST", "/tenants/deleted/keys", keys).json()["key"])
    document = {"statement": "return [{'c': DATA_CHECKPOINT}]", "output_schema": [{"name": "c", "type": "json"}]}
    assert server.ask("PUT", "/v1/steps/counts", steps.key, document).status_code == 201
    assert server.ask("PUT", "/v1/steps/counts/checkpoint", steps.key, {"n": 7}).status_code == 200
    refused = ask(server, "DELETE", "/tenants/deleted")
    assert (refused.status_code, refused.json()["rule"]) == (409, "tenant.runs")
    # The control: it is still there.
    assert tenant.look(ended)["status"] == 200
    gone = ask(server, "DELETE", "/tenants/deleted?cancel=true")
    assert (gone.status_code, gone.content) == (204, b"")
    assert tenant.get(f"/v1/runs/{ended}").status_code == 401
    assert ask(server, "GET", "/tenants/deleted").status_code == 404
    again = server.tenant("deleted")
    for run_id in (ended, computing, *waiting):
        assert again.get(f"/v1/runs/{run_id}").status_code == 404
    assert again.usage["runs"] == 0
    steps = Tenant(server, ask(server, "POST", "/tenants/deleted/keys", keys).json()["key"])
    assert steps.get("/v1/steps/counts").status_code == 404
    assert server.ask("PUT", "/v1/steps/counts", steps.key, document).json()["version"] == 1
    assert steps.get("/v1/steps/counts/checkpoint").json()["version"] == 0
    assert again.run("return []").status_code == 200
    with sqlite3.connect(server.folder / "store.sqlite3") as store:
        assert store.execute("SELECT count(*) FROM wx_server_keys WHERE tenant = 'deleted'").fetchone() == (2,)


def test_workers_are_replaced_one_after_the_other_and_nothing_is_lost(server: LiveServer) -> None:
    tenant = server.tenant("rolling")
    before = {worker.pid for worker in server.workers}
    asleep = [tenant.start("await sleep(1.5)\nreturn [{'a': 1}]") for _ in range(4)]
    statuses: list[int] = []
    ends = threading.Event()

    def go_on() -> None:
        while not ends.is_set():
            statuses.append(tenant.run("return [{'a': 1}]").json()["status"])

    running = threading.Thread(target=go_on)
    running.start()
    try:
        answer = ask(server, "POST", "/workers:restart")
        assert (answer.status_code, answer.json()["is_restarting"]) == (202, True)
        seen = []

        def is_done() -> bool:
            found = ask(server, "GET", "/workers").json()
            seen.append(sum(worker["state"] == "ready" for worker in found["workers"]))
            return not found["is_restarting"]

        wait_until(is_done)
    finally:
        ends.set()
        running.join()
    # There were never fewer than two that take runs.
    assert min(seen) == 2
    assert [tenant.until(run_id, state="ended")["attempts"] for run_id in asleep] == [1] * 4
    assert set(statuses) == {200}
    assert len(statuses) > 5
    wait_until(lambda: len(server.workers) == 2)
    assert not before & {worker.pid for worker in server.workers}
    found = ask(server, "GET", "/workers").json()
    assert (found["recycled"], found["deaths"], found["slots"]) == (2, 0, 4)
    for worker in found["workers"]:
        assert worker["private_bytes"] > 5_000_000
        assert 0 < worker["age_seconds"] < 60


def test_a_worker_that_does_not_answer_gets_no_runs_while_there_is_another(server: LiveServer) -> None:
    tenant = server.tenant("silent")
    wait_until(lambda: len(server.workers) == 2 and server.client.get("/readyz").json()["workers"] == 2)
    stopped = psutil.Process(server.workers[0].pid)
    stopped.suspend()
    try:
        wait_until(lambda: any(
            (worker["pid"], worker["state"]) == (stopped.pid, "silent")
            for worker in ask(server, "GET", "/workers").json()["workers"]
        ))  # fmt: skip
        answers = [tenant.run("return [{'a': 1}]").json()["status"] for _ in range(5)]
        assert server.client.get("/readyz").status_code == 200
    finally:
        stopped.resume()
    assert answers == [200] * 5


def test_an_old_worker_is_replaced_by_one_that_has_answered(tmp_path_factory: pytest.TempPathFactory) -> None:
    with LiveServer(tmp_path_factory.mktemp("aged"), settings="recycle_seconds = 2") as server:
        tenant: Tenant = server.until_ready().tenant("aged")
        first = {worker.pid for worker in server.workers}

        def all_are_new() -> bool:
            assert tenant.run("return [{'a': 1}]").json()["attempts"] == 1
            return not first & {worker.pid for worker in server.workers}

        wait_until(all_are_new)
        assert server.ask("GET", "/v1/admin/workers", server.admin).json()["deaths"] == 0


def test_a_drained_server_ends_what_runs_and_goes_on_after_the_next_start(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("drained")
    with LiveServer(folder, settings="drain_seconds = 20") as server:
        tenant = server.until_ready().tenant("drained", max_executing=1)
        running = tenant.start("await sleep(1)\nreturn [{'a': 1}]")
        tenant.until(running, is_asleep=True)
        computing = tenant.start("while True: pass", limits={"cpu_seconds": 1})
        tenant.until(computing, state="running")
        waiting = tenant.start("return [{'b': 1}]")
        answer = ask(server, "POST", "/drain")
        assert (answer.status_code, answer.json()["drain_seconds"]) == (202, 20)
        wait_until(lambda: server.client.get("/readyz").status_code == 503)
        refused = tenant.run("return []")
        assert (refused.status_code, refused.json()["rule"]) == (503, "server.draining")
        server.process.wait(60)
        assert server.terminate() == 0
        admin, key = server.admin, tenant.key
    with LiveServer(folder, admin=admin) as server:
        tenant = Tenant(server, key)
        assert tenant.until(waiting, state="ended")["status"] == 200
        assert tenant.look(running)["status"] == 200
        assert tenant.look(computing)["status"] == 302


def test_a_backup_that_was_taken_while_the_server_ran_is_a_store(
    server: LiveServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tenant = server.tenant("backed-up")
    ended = tenant.start("return [{'a': 1}]")
    tenant.until(ended, state="ended")
    waiting = [tenant.start("await sleep(600)\nreturn []") for _ in range(3)]
    folder = tmp_path_factory.mktemp("restored")
    with (
        closing(sqlite3.connect(server.folder / "store.sqlite3")) as store,
        closing(sqlite3.connect(folder / "store.sqlite3")) as copy,
    ):
        store.backup(copy)
    # Without its keys a store is none.
    shutil.copy2(server.folder / "store.sqlite3.key", folder)
    later = tenant.start("return []")
    with LiveServer(folder, admin=server.admin) as restored:
        again = Tenant(restored, tenant.key)
        assert again.get(f"/v1/runs/{ended}/rows").json() == [{"a": 1}]
        assert again.look(waiting[0])["state"] != "ended"
        for run_id in waiting:
            assert again.cancel(run_id)["status"] == 303
        assert again.get(f"/v1/runs/{later}").status_code == 404
        assert restored.terminate() == 0
    for run_id in waiting:
        tenant.cancel(run_id)
