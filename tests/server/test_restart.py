"""Servers that are killed, and that are asked to end, and what the next one finds."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from tests.server.kill_front import all_runs
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.servers import WebServer


def test_what_was_acknowledged_ends_exactly_once_though_the_server_is_killed(tmp_path: Path) -> None:
    accepted: list[str] = []
    with LiveServer(tmp_path) as server:
        tenant = server.until_ready().tenant("acme")

        def submit() -> None:
            with suppress(httpx.HTTPError):
                while True:
                    accepted.append(tenant.start("await sleep(0.05)\nreturn INPUT_DATA", input_data=[{"a": 1}]))

        thread = threading.Thread(target=submit)
        thread.start()
        wait_until(lambda: len(accepted) >= 40)
        server.kill()
        thread.join()
        admin, key, workers = server.admin, tenant.key, server.process
        assert workers.returncode == -9
    with LiveServer(tmp_path, admin=admin) as server:
        tenant = Tenant(server, key)
        ended = [tenant.until(run_id, state="ended") for run_id in accepted]
        assert {(run["status"], run["row_count"]) for run in ended} == {(200, 1)}
        assert tenant.get(f"/v1/runs/{accepted[-1]}/rows").json() == [{"a": 1}]
        wait_until(lambda: tenant.is_idle)
        records = all_runs(tenant)
        # One may have been stored, and the server killed before it could say so.
        assert len(records) - len(accepted) in (0, 1)
        wait_until(lambda: tenant.usage["runs"] == len(records))
        assert tenant.usage["row_count"] == len(records)
        assert sum(round(run["usage"]["cpu_seconds"] * 1e6) for run in records) == tenant.usage["cpu_us"]
        assert server.terminate() == 0


def test_what_may_have_sent_requests_is_not_run_again_by_the_next_server(tmp_path: Path) -> None:
    with WebServer() as web:
        grants = {"http_private": [f"127.0.0.1:{web.port}"]}
        with LiveServer(tmp_path) as server:
            tenant = server.until_ready().tenant("acme", grants=grants, max_executing=1)
            asks = f"import httpx\nawait httpx.AsyncClient().get('{web.url()}')\nawait sleep(20)"
            effects = tenant.start(asks, grants=grants)
            assert web.wait_until(lambda: len(web.requests) == 1)
            tenant.until(effects, is_asleep=True)
            computing = tenant.start("n = 0\nfor i in range(100_000_000):\n    n += i\nreturn []")
            tenant.until(computing, state="running")
            waiting = tenant.start("return [{'a': 1}]", grants=grants)
            assert tenant.look(waiting)["state"] == "queued"
            server.kill()
        with LiveServer(tmp_path, admin=server.admin) as second:
            tenant = Tenant(second, tenant.key)
            lost = tenant.until(effects, state="ended")
            assert (lost["status"], lost["attempts"]) == (304, 1)
            assert "the server was ended while it ran; it had sent HTTP requests" in lost["error"]["message"]
            assert tenant.cancel(computing)["status"] == 303
            assert tenant.until(waiting, state="ended")["status"] == 200
            assert len(web.requests) == 1


def test_a_full_queue_and_a_spent_budget_take_nothing_of_what_was_acknowledged(tmp_path: Path) -> None:
    rules = {"max_executing": 1, "max_queued": 3}
    with LiveServer(tmp_path) as server:
        tenant = server.until_ready().tenant("acme", **rules)
        computing = tenant.start("n = 0\nfor i in range(2_000_000):\n    n += i\nreturn [{'n': n}]")
        tenant.until(computing, state="running")
        accepted = [computing, *(tenant.start("return [{'a': 1}]") for _ in range(3))]
        server.tenant("acme", **rules, cpu_seconds_per_day=0.000001)
        server.kill()
    with LiveServer(tmp_path, admin=server.admin) as second:
        tenant = Tenant(second, tenant.key)
        assert {tenant.until(run_id, state="ended")["status"] for run_id in accepted} == {200}
        wait_until(lambda: tenant.usage["runs"] == 4)
        assert tenant.run("return []").json()["rule"] == "budget.cpu_seconds.day"


def test_a_server_that_is_asked_to_end_lets_runs_end_and_leaves_the_rest_to_the_next(tmp_path: Path) -> None:
    with LiveServer(tmp_path, settings="drain_seconds = 2") as server:
        tenant = server.until_ready().tenant("acme")
        answers: list[httpx.Response] = []
        threads = [
            threading.Thread(target=lambda text=text: answers.append(tenant.run(text)))
            for text in ("await sleep(1)\nreturn [{'a': 1}]", "await sleep(60)")
        ]
        for thread in threads:
            thread.start()
        durable = tenant.start("await sleep(4)\nreturn [{'a': 2}]")
        wait_until(lambda: tenant.counts["asleep"] == 3)
        assert server.terminate() == 0
        for thread in threads:
            thread.join()
        assert sorted(answer.json()["status"] for answer in answers) == [200, 303]
    with LiveServer(tmp_path, admin=server.admin) as second:
        tenant = Tenant(second, tenant.key)
        assert tenant.until(durable, state="ended")["status"] == 200
        assert second.client.get("/livez").status_code == 200
        assert "admin key" not in "".join(second.lines)
        assert [worker.is_running() for worker in second.workers] == [True, True]
        workers = second.workers
        second.kill()
    # Nobody else ends them.
    wait_until(lambda: not any(worker.is_running() for worker in workers))


def test_a_store_belongs_to_one_server(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from wasmexec.cli import main

    store = tmp_path / "store.sqlite3"
    with LiveServer(tmp_path) as server:
        assert main(["serve", "--listen", "127.0.0.1:0", "--store", str(store)]) != 0
        assert f"another server uses the store {store}; stop it, or" in capfd.readouterr().err
        server.kill()
    with LiveServer(tmp_path, admin=server.admin):
        pass


def test_an_address_that_is_taken_and_a_setting_that_there_is_not_are_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from wasmexec.cli import main

    with LiveServer(tmp_path) as server:
        assert main(["serve", "--listen", f"127.0.0.1:{server.port}", "--store", str(tmp_path / "other")]) == 2
        assert f"nothing can listen at 127.0.0.1:{server.port}: Address already in use" in capfd.readouterr().err
    settings = tmp_path / "wrong.toml"
    settings.write_text("worker = 3")
    assert main(["serve", "--config", str(settings)]) == 2
    assert "there is no setting 'worker', only " in capfd.readouterr().err
