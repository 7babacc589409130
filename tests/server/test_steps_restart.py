"""Runs of steps whose server, process or worker is killed: what is delivered is delivered once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from tests.server.live_server import LiveServer, wait_until
from tests.server.step_tenant import StepTenant
from tests.servers import WebServer

from wasmexec._wall import seccomp
from wasmexec.server.storage.tables import COSTS, step_runs, usage

SLOWLY = "await sleep(0.02)\nreturn INPUT_DATA"


def numbers(count: int) -> list[dict[str, int]]:
    return [{"id": number} for number in range(count)]


def step_processes(server: LiveServer) -> list[psutil.Process]:
    """Those that read inputs."""
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if any("server.steps.child" in part for part in child.cmdline())]


def is_behind_the_wall(pid: int) -> bool:
    """Whether a process has nothing of our environment, no privileges, and as few system calls as the system offers."""
    status = Path(f"/proc/{pid}/status").read_text()
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    is_filtered = "Seccomp:\t2" in status or not seccomp.is_offered()
    return b"PATH=" not in environment and "NoNewPrivs:\t1" in status and is_filtered


def usage_of_records(folder: Path) -> tuple[int, ...]:
    """What the records of runs of steps add up to, and how many there are."""
    return _sums(folder, step_runs.name, "count(*)")


def usage_of_tenants(folder: Path) -> tuple[int, ...]:
    return _sums(folder, usage.name, "sum(runs)")


def _sums(folder: Path, table: str, runs: str) -> tuple[int, ...]:
    sums = ", ".join(f"sum({name})" for name in COSTS)
    with closing(sqlite3.connect(folder / "store.sqlite3")) as connection:
        found: tuple[int, ...] = connection.execute(f"SELECT {runs}, {sums} FROM {table}").fetchone()
        return found


def test_what_was_acknowledged_is_delivered_once_though_the_server_is_killed(tmp_path: Path) -> None:
    with WebServer() as web:
        grants = {"http_private": [f"GET 127.0.0.1:{web.port}"]}
        with LiveServer(tmp_path, settings="step_processes = 3") as server:
            tenant = StepTenant.make(server.until_ready(), "acme", grants=grants)
            tenant.put("rows", SLOWLY, checkpoint_column="id", concurrency=4)
            asks = f"import httpx\nawait httpx.AsyncClient().get('{web.url()}')\nawait sleep(20)\nreturn []"
            grant = {"host": "127.0.0.1", "ports": [web.port], "methods": ["GET"], "allow_private": True}
            tenant.put("asks", asks, processing="bulk", grants={"http": [grant]})
            rows, effects = tenant.start("rows", numbers(400)), tenant.start("asks")
            assert web.wait_until(lambda: len(web.requests) == 1)
            waits = tenant.start("rows", [{"id": 7000}], extra_inputs=["MARKER-OF-AN-INPUT"])
            wait_until(lambda: (tenant.look(rows).get("executions") or 0) > 20)
            server.kill()
            stored = b"".join(file.read_bytes() for file in tmp_path.glob("store.sqlite3*"))
            assert b"MARKER-OF-AN-INPUT" not in stored
            # The positive control: what is no secret is there as it came.
            assert SLOWLY.encode()[:17] in stored
        with LiveServer(tmp_path, admin=server.admin) as second:
            tenant = StepTenant(second, "acme", tenant.key)
            lost = tenant.until(effects, state="ended")
            assert lost["status"] == 304
            text = "the server was ended while it ran; it may have sent HTTP requests, so it was not begun anew"
            assert text in lost["error"]["message"]
            ended = [tenant.until(where, state="ended") for where in (rows, waits)]
            # Both began from the same checkpoint, or one after the other.
            delivered = {run["id"]: run["status"] for run in ended}
            assert sorted(delivered.values()) in ([200, 200], [200, 303])
            for where, run in zip((rows, waits), ended, strict=True):
                found = tenant.ask("GET", where + "/rows").json()
                wanted = numbers(400) if where == rows else [{"id": 7000}]
                assert found == (wanted if run["status"] == 200 else [])
            assert ended[0]["attempts"] == 2
            assert len(web.requests) == 1
            wait_until(lambda: tenant.usage["runs"] == 3)
            assert second.terminate() == 0
            assert usage_of_records(tmp_path) == usage_of_tenants(tmp_path)


def test_a_server_that_is_asked_to_end_leaves_what_can_begin_anew_to_the_next(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        tenant = StepTenant.make(server.until_ready(), "acme", grants={"http": ["api.example.com"]})
        tenant.put("rows", SLOWLY)
        tenant.put("may_ask", "await sleep(30)\nreturn []", processing="bulk", grants={"http": ["api.example.com"]})
        rows, may_ask = tenant.start("rows", numbers(300)), tenant.start("may_ask")
        wait_until(lambda: (tenant.look(rows).get("executions") or 0) > 10)
        tenant.until(may_ask, state="running")
        assert server.terminate() == 0
        assert "Traceback" not in "".join(server.lines)
    with LiveServer(tmp_path, admin=server.admin) as second:
        tenant = StepTenant(second, "acme", tenant.key)
        stopped = tenant.look(may_ask)
        assert (stopped["status"], stopped["error"]["message"]) == (303, "cancelled: the server was stopped")
        assert tenant.until(rows, state="ended")["status"] == 200
        assert tenant.ask("GET", rows + "/rows").json() == numbers(300)


def test_a_process_that_dies_is_replaced_and_so_is_a_worker(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        tenant = StepTenant.make(server.until_ready(), "acme")
        tenant.put("rows", SLOWLY)
        where = tenant.start("rows", numbers(500))

        def is_under_way(attempts: int) -> bool:
            run = tenant.look(where)
            return bool(run["attempts"] == attempts and (run.get("executions") or 0) > 10)

        wait_until(lambda: is_under_way(1))
        [process] = step_processes(server)
        assert is_behind_the_wall(process.pid)
        assert not is_behind_the_wall(server.process.pid)
        process.kill()
        wait_until(lambda: is_under_way(2))
        for worker in server.workers[:1]:
            worker.kill()
        ended = tenant.until(where, state="ended")
        assert (ended["status"], ended["attempts"], ended["row_count"]) == (200, 2, 500)
        assert tenant.ask("GET", where + "/rows").json() == numbers(500)
        # Every time: then it is its own fault.
        where = tenant.start("rows", numbers(2000))
        for attempt in (1, 2, 3):
            wait_until(partial(is_under_way, attempt))
            [process] = step_processes(server)
            process.kill()
        ended = tenant.until(where, state="ended")
        assert (ended["status"], ended["error"]["type"], ended["error"]["trap"]) == (304, "GuestLostError", "worker")
        assert "that was attempt 3" in ended["error"]["message"]
        counts: dict[str, Any] = tenant.ask("GET", "/v1/quotas").json()["runs"]
        assert (counts["queued"], counts["executing"], counts["asleep"]) == (0, 0, 0)
        assert server.terminate() == 0
        assert "invariant" not in "".join(server.lines)


def test_a_run_whose_request_was_changed_ends_and_holds_up_no_other(tmp_path: Path) -> None:
    with LiveServer(tmp_path, settings="step_processes = 1") as server:
        tenant = StepTenant.make(server.until_ready(), "acme")
        tenant.put("rows", SLOWLY)
        first = tenant.start("rows", numbers(300))
        changed, good = (tenant.start("rows", numbers(2)) for _ in range(2))
        assert tenant.look(changed)["state"] == "queued"
        server.kill()
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as store, store:
        run_id = changed.rpartition("/")[2]
        change = "UPDATE wx_server_step_runs SET request = CAST(x'01' || request AS BLOB) WHERE id = ?"
        count = store.execute(change, (run_id,))
        assert count.rowcount == 1
    with LiveServer(tmp_path, admin=server.admin) as second:
        tenant = StepTenant(second, "acme", tenant.key)
        ended = tenant.until(changed, state="ended")
        assert (ended["status"], run_id in ended["error"]["message"]) == (304, True)
        assert [tenant.until(where, state="ended")["status"] for where in (first, good)] == [200, 200]
        assert second.terminate() == 0
        assert "Traceback" not in "".join(second.lines)
