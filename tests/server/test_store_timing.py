"""What recording runs costs, and how soon a server goes on with very many that wait."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from pathlib import Path

import pytest
from tests.server.live_server import LiveServer, Tenant, wait_until

from wasmexec.result import Usage
from wasmexec.server.runs.records import EndedRun
from wasmexec.server.storage.storage import Storage
from wasmexec.server.vault.key_file import read_key_file
from wasmexec.server.vault.places import input_place, order_place
from wasmexec.server.vault.vault import Vault
from wasmexec.status import Status
from wasmexec.workers.answers import Answer

pytestmark = pytest.mark.timing

WAITING = 100_000


def test_a_server_with_very_many_accepted_runs_starts_the_first_soon(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        tenant = server.until_ready().tenant("acme", max_queued=1_000_000)
        key_id = tenant.key.split("_")[1]
        server.kill()
    order: dict[str, object] = {
        "image": "", "statement": "return [{'a': 1}]", "schema": None, "mode": "strict", "extra_inputs": [],
        "checkpoint": None, "local_variables": {}, "limits": {}, "secrets": {},
        "grants": {"http": [], "ca_file": None, "proxy": None},
    }  # fmt: skip
    packed = json.dumps(order).encode()
    vault = Vault(read_key_file(tmp_path / "store.sqlite3.key"))

    def sealed(number: int) -> tuple[bytes, bytes]:
        """What a run is to do: sealing it takes as long as all else, so those that are not reached share one text."""
        number = min(number, 2000)
        if number not in texts:
            name = f"run_{number:08d}"
            order, data = order_place("acme", name), input_place("acme", name)
            texts[number] = vault.seal(packed, order), vault.seal(b"null", data)
        return texts[number]

    texts: dict[int, tuple[bytes, bytes]] = {}
    now = time.time() - WAITING / 1000
    sql = sqlite3.connect(tmp_path / "store.sqlite3")
    with sql:
        sql.executemany(
            'INSERT INTO wx_server_runs (id, tenant, key_id, state, may_have_effects, created_at, attempts, "order", '
            "input, wall_seconds, has_grants) VALUES (?, 'acme', ?, 'queued', 0, ?, 0, ?, ?, 60, 0)",
            ((f"run_{number:08d}", key_id, now + number / 1000, *sealed(number)) for number in range(WAITING)),
        )
    sql.close()
    began = time.monotonic()
    with LiveServer(tmp_path, admin=server.admin) as server:
        tenant = Tenant(server, tenant.key)
        listening = time.monotonic() - began
        tenant.until("run_00000000", state="ended")
        dispatched = time.monotonic() - began
        # The last is known as well, and somebody who comes now is answered.
        assert tenant.look(f"run_{WAITING - 1:08d}")["state"] == "queued"
        known = time.monotonic() - began
        assert tenant.cancel(f"run_{WAITING - 1:08d}")["status"] == 303
        wait_until(lambda: f"{WAITING:,} accepted runs go on" in "".join(server.lines))
    print(f"listening after {listening:.2f} s, the first run ended after {dispatched:.2f} s, all known: {known:.2f} s")
    assert dispatched < 5.0


def test_recording_a_run_takes_little_of_the_processor(tmp_path: Path) -> None:
    def ended(number: int) -> EndedRun:
        now = time.time()
        return EndedRun(
            id=f"run_{number:024d}", tenant="acme", key_id="key", created_at=now, started_at=now, ended_at=now,
            attempts=1, wall_seconds=60.0, has_grants=False, kind="kind", lost_cpu_seconds=0.0,
            answer=Answer(Status.FINISHED, Usage(), 1, 0, 0), is_new=True, keep_rows=False, kept=None, project=None,
            accounts=(),
        )  # fmt: skip

    async def measure(place: str) -> float:
        storage = Storage(place, tmp_path / "store.key", asyncio.get_running_loop())
        told: list[Exception | None] = []
        runs = 2000
        began = await storage.write(lambda connection: time.thread_time())
        for number in range(runs):
            storage.runs.end(ended(number), lambda result, error: told.append(error))
            if number % 5 == 4:
                # A thousand runs in a second.
                await asyncio.sleep(0.005)
        while len(told) < runs:
            await asyncio.sleep(0.01)
        spent = await storage.write(lambda connection: time.thread_time()) - began
        assert not any(told)
        await storage.close()
        return spent / runs

    spent = min(asyncio.run(measure(str(tmp_path / f"{number}.sqlite3"))) for number in range(3))
    print(f"{spent * 1e6:.0f} us of the writer a run")
    assert spent < 0.0003
