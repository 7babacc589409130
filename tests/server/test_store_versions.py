"""Stores of older and newer servers, and what is promised of the present one: that it is on disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, create_engine, inspect, text
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.store.postgres import PostgresServer

from wasmexec.server.documents import TenantRequest
from wasmexec.server.storage.storage import Storage
from wasmexec.server.storage.tables import VERSION, metadata
from wasmexec.server.tenants.keys import Scope, issue
from wasmexec.store.database import resolve_url
from wasmexec.store.errors import StoreError, StoreVersionError

VERSION_1 = Path(__file__).with_name("store_version_1.sql")
OLD_COSTS = ("cpu_us", "wall_us", "http_requests", "http_bytes_sent", "http_bytes_received", "output_bytes",
             "row_count", "log_count")  # fmt: skip
ENDED: dict[str, Any] = {"status": 200, "cpu_us": 5000, "wall_us": 6000, "http_requests": 0, "http_bytes_sent": 0,
         "http_bytes_received": 0, "output_bytes": 9, "row_count": 1, "log_count": 0, "peak_memory_bytes": 1,
         "log_dropped": 0, "rows": b'[{"old":1}]', "logs": b"[]", "error": b"null", "warnings": b"[]"}  # fmt: skip


def execute(place: Path | str, work: Callable[[Connection], object]) -> None:
    """Do something to a store that no server has."""
    engine = create_engine(resolve_url(place))
    with engine.begin() as connection:
        work(connection)
    engine.dispose()


def insert(connection: Connection, table: str, **row: object) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in row)})"), row)


def test_a_store_of_version_1_is_brought_up_to_date_with_what_is_in_it(
    tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    store = new_store(tmp_path)
    place = store if "://" in store else tmp_path / store
    now = time.time()
    admin, admin_record = issue(tenant="operator", name="first", scopes=[Scope.ADMIN], now=now)
    key, record = issue(tenant="acme", name="k", scopes=[Scope.RUN, Scope.READ], now=now)
    # As servers of that version packed it.
    order: dict[str, object] = {
        "image": "", "statement": "return [{'new': 1}]", "schema": None, "mode": "strict", "extra_inputs": [],
        "checkpoint": None, "local_variables": {}, "limits": {}, "secrets": {},
        "grants": {"http": [], "ca_file": None, "proxy": None},
    }  # fmt: skip
    run = {"tenant": "acme", "key_id": record.id, "created_at": now, "attempts": 0, "may_have_effects": 0,
           "wall_seconds": 60.0, "has_grants": 0}  # fmt: skip

    def fill(connection: Connection) -> None:
        script = VERSION_1.read_text("utf-8").partition("\n")[2]
        for statement in script.split(";"):
            if statement.strip():
                connection.execute(text(statement))
        insert(connection, "wx_server", name="version", value="1")
        document = msgspec.json.encode(TenantRequest(name="acme")).decode()
        insert(connection, "wx_server_tenants", name="acme", document=document, created_at=now)
        for item in (admin_record, record):
            insert(connection, "wx_server_keys", id=item.id, tenant=item.tenant, name=item.name, digest=item.digest,
                   scopes=" ".join(sorted(item.scopes)), created_at=item.created_at)  # fmt: skip
        insert(connection, "wx_server_runs", id="run_old", state="ended", ended_at=now, started_at=now, **run, **ENDED)
        insert(connection, "wx_server_usage", tenant="acme", hour=int(now) // 3600 * 3600, runs=1, failed=0,
               **{name: ENDED[name] for name in OLD_COSTS})  # fmt: skip
        ancient = run | {"created_at": now - 40 * 86_400}
        insert(connection, "wx_server_runs", id="run_ancient", state="ended", ended_at=now - 40 * 86_400,
               started_at=now - 40 * 86_400, **ancient, **ENDED)  # fmt: skip
        packed = msgspec.json.encode(order)
        insert(connection, "wx_server_runs", id="run_new", state="queued", order=packed, input=b"null", **run)

    execute(place, fill)
    with LiveServer(tmp_path, admin=admin.reveal(), store=store) as server:
        tenant = Tenant(server, key.reveal())
        assert tenant.until("run_new", state="ended")["status"] == 200
        assert tenant.get("/v1/runs/run_new/rows").json() == [{"new": 1}]
        assert tenant.get("/v1/runs/run_old/rows").json() == [{"old": 1}]
        # What ended more than thirty days ago is deleted soon after the start.
        wait_until(lambda: tenant.get("/v1/runs/run_ancient").status_code == 404)
        assert {run["id"] for run in tenant.get("/v1/runs").json()["runs"]} == {"run_old", "run_new"}
        wait_until(lambda: tenant.usage["runs"] == 2)
        assert tenant.usage["row_count"] == 2
        assert tenant.usage["cpu_us"] > ENDED["cpu_us"]
        assert server.terminate() == 0

    def check(connection: Connection) -> None:
        inspector = inspect(connection)
        for table in metadata.sorted_tables:
            assert {column["name"] for column in inspector.get_columns(table.name)} == {c.name for c in table.columns}
            indexes = {index["name"] for index in inspector.get_indexes(table.name)}
            assert indexes == {index.name for index in table.indexes}
        versions = connection.execute(text("SELECT value FROM wx_server WHERE name = 'version'")).scalars().all()
        assert versions == [str(VERSION)]

    execute(place, check)


def test_a_store_of_a_newer_server_is_left_as_it_is(tmp_path: Path, new_store: Callable[[Path], str]) -> None:
    store = new_store(tmp_path)
    place = store if "://" in store else str(tmp_path / store)

    async def open_and_close() -> None:
        await Storage(place, tmp_path / "store.key", asyncio.get_running_loop()).close()

    asyncio.run(open_and_close())
    change = text("UPDATE wx_server SET value = :value WHERE name = 'version'")
    execute(place, lambda connection: connection.execute(change, {"value": str(VERSION + 1)}))
    with pytest.raises(StoreVersionError, match=f"has revision {VERSION + 1}, and this wasmexec knows .* {VERSION}: "):
        asyncio.run(open_and_close())
    execute(place, lambda connection: connection.execute(change, {"value": "none"}))
    with pytest.raises(StoreError, match="of no version that there is: 'none'"):
        asyncio.run(open_and_close())
    execute(place, lambda connection: connection.execute(change, {"value": str(VERSION)}))
    asyncio.run(open_and_close())


def test_what_is_acknowledged_is_on_disk_whatever_the_defaults_of_the_database_are(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    async def ask(place: str, query: str) -> object:
        storage = Storage(place, tmp_path / "store.key", asyncio.get_running_loop())
        try:
            return await storage.write(lambda connection: connection.execute(text(query)).scalar())
        finally:
            await storage.close()

    file = str(tmp_path / "store.sqlite3")
    # FULL, and the log that readers do not wait for.
    assert asyncio.run(ask(file, "PRAGMA synchronous")) == 2
    assert asyncio.run(ask(file, "PRAGMA journal_mode")) == "wal"
    store = postgres.new_database() + "%20-csynchronous_commit%3Doff"
    assert asyncio.run(ask(store, "SHOW synchronous_commit")) == "on"
