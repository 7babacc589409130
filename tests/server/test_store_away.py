"""The store goes away under a running server and comes back: nothing that was told is lost; and it has one owner."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from tests.server.kill_front import all_runs
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.store.postgres import PostgresServer, postgres_server

GRANT = "127.0.0.1:9"


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    """One that these tests may stop."""
    with postgres_server() as server:
        yield server


def is_ready(server: LiveServer) -> bool:
    return server.client.get("/readyz").status_code == 200


def start(tenant: Tenant) -> tuple[int, str]:
    """A run that is to outlive the server: the status over HTTP, and the rule if it was refused."""
    body = {"statement": "return []"}
    answer = tenant.server.ask("POST", "/v1/runs", tenant.key, body, prefer="respond-async")
    return answer.status_code, answer.json().get("rule", "")


def test_postgresql_stops_and_starts_again(tmp_path: Path, own_postgres: PostgresServer) -> None:
    settings, grants = "store_away_seconds = 4", {"http_private": [GRANT]}
    with LiveServer(tmp_path, store=own_postgres.new_database(), settings=settings) as server:
        tenant = server.until_ready().tenant("acme", grants=grants, max_executing=1)
        under_way = tenant.start("n = 0\nfor i in range(20_000_000):\n    n += i\nreturn [{'n': n}]")
        tenant.until(under_way, state="running")
        # That it starts must be on record first.
        needs_store, cancelled = (tenant.start("return [{'a': 1}]", grants=grants) for _ in range(2))
        own_postgres.stop(signal.SIGQUIT)
        try:
            wait_until(lambda: not is_ready(server))
            assert start(tenant) == (503, "server.store_away_seconds")
            assert tenant.run("return [{'a': 1}]").json()["status"] == 200
            assert tenant.until(under_way, state="ended")["status"] == 200
            waiting = tenant.until(needs_store, state="queued")["waiting"]
            assert waiting["rule"] == "server.store_away"
            assert tenant.cancel(cancelled)["status"] == 303
            assert tenant.get("/v1/usage").status_code == 503
            wait_until(lambda: tenant.run("return []").status_code == 503)
            assert tenant.run("return []").json()["rule"] == "server.store_away_seconds"
        finally:
            own_postgres.start()
        wait_until(lambda: is_ready(server))
        assert tenant.until(needs_store, state="ended")["status"] == 200
        # In order this time.
        own_postgres.stop(signal.SIGINT)
        own_postgres.start()
        wait_until(lambda: start(tenant)[0] == 202)
        wait_until(lambda: tenant.is_idle)
        runs = all_runs(tenant)
        wait_until(lambda: tenant.usage["runs"] == len(runs))
        assert {under_way, needs_store, cancelled} < {run["id"] for run in runs}
        assert sum(round(run["usage"]["cpu_seconds"] * 1e6) for run in runs) == tenant.usage["cpu_us"]
        assert server.terminate() == 0
        said = "".join(server.lines)
        assert "the store is there again" in said
        assert "invariant" not in said
        assert "Traceback" not in said


def test_a_server_ends_though_its_database_neither_answers_nor_goes(
    tmp_path: Path, own_postgres: PostgresServer
) -> None:
    store = own_postgres.new_database()
    with LiveServer(tmp_path, store=store, settings="drain_seconds = 0.5") as server:
        tenant = server.until_ready().tenant("acme")
        acknowledged = tenant.start("return [{'a': 1}]")
        tenant.until(acknowledged, state="ended")
        with own_postgres.frozen(), ThreadPoolExecutor(6) as askers:
            # Those who read, and those who write, wait for it.
            reads = [askers.submit(tenant.get, "/v1/usage") for _ in range(3)]
            writes = [askers.submit(start, tenant) for _ in range(3)]
            wait_until(lambda: not is_ready(server))
            server.process.terminate()
            server.process.wait(40)
            # Nobody is told of what has not been read or stored.
            assert all(read.exception() or read.result().status_code >= 500 for read in reads)
            assert all(write.exception() or write.result()[0] >= 500 for write in writes)
        server.terminate()
    with LiveServer(tmp_path, store=store, admin=server.admin) as again:
        tenant.server = again.until_ready()
        assert tenant.look(acknowledged)["status"] == 200
        assert again.terminate() == 0


def test_an_sqlite_file_that_others_lock_costs_acknowledgements_and_nothing_else(tmp_path: Path) -> None:
    with LiveServer(tmp_path, settings='max_unstored_bytes = "64 KiB"') as server:
        tenant = server.until_ready().tenant("acme")
        other = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert start(tenant)[0] == 503
        assert start(tenant) == (503, "server.store_away_seconds")
        assert not is_ready(server)
        assert server.client.get("/readyz").json()["store_answers"] is False
        runs = 0
        while (answer := tenant.run("return [{'a': 1}]")).status_code == 200:
            runs += 1
        assert answer.json()["rule"] == "server.max_unstored_bytes"
        assert runs > 50
        other.execute("ROLLBACK")
        other.close()
        wait_until(lambda: is_ready(server))
        wait_until(lambda: tenant.usage["runs"] == runs)
        assert start(tenant)[0] == 202
        wait_until(lambda: tenant.usage["runs"] == runs + 1)
        assert server.terminate() == 0


def test_a_postgresql_store_belongs_to_one_server(
    tmp_path: Path, own_postgres: PostgresServer, capfd: pytest.CaptureFixture[str]
) -> None:
    from wasmexec.cli import main

    store = own_postgres.new_database()
    schema = store.rpartition("%3D")[2]
    with LiveServer(tmp_path, store=store) as server, own_postgres.connect("postgres") as sql:
        tenant = server.until_ready().tenant("acme")
        assert main(["serve", "--listen", "127.0.0.1:0", "--store", store]) != 0
        assert "another server uses the store postgresql" in capfd.readouterr().err
        # A connection that breaks is made anew.
        assert end_owner(sql) == 1
        wait_until(lambda: start(tenant)[0] == 202)
        # Unless somebody else has had the store meanwhile: what this server knows need not be so any more.
        sql.execute(f"UPDATE {schema}.wx_server SET value = '77' WHERE name = 'epoch'".encode())
        assert end_owner(sql) == 1
        wait_until(lambda: server.process.poll() is not None or "another server has taken" in "".join(server.lines))
        assert server.terminate() != 0
        assert "another server has taken over the store" in "".join(server.lines)


def end_owner(sql: psycopg.Connection[tuple[object, ...]]) -> int:
    """Break the connections that hold a lock as the owner of a store; how many there were."""
    query = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    return len(sql.execute(query).fetchall())
