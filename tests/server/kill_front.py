"""A server that is killed again and again under load, on any store, and what the last one finds of what was accepted.

`python -m tests.server.kill_front 200` does it 200 times on each kind of store, which takes some ten minutes each.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from tests.server.live_server import LiveServer, Tenant, wait_until
from tests.store.postgres import postgres_server

CLIENTS = 4
_RUNS = 12
_PAUSE_SECONDS = 0.08
"""Of each client, up to a kill: 200 kills stay below the 10,000 keys that a tenant may have in a day."""
STATEMENT = "await sleep(0.02)\nreturn INPUT_DATA"
FIGURES = ("cpu_us", "row_count", "log_count", "output_bytes", "http_requests")


class Killed(NamedTuple):
    """What came of it: `accepted` runs were acknowledged; of `doubtful` requests only their keys could tell."""

    kills: int
    accepted: int
    doubtful: int
    recorded: int
    seconds: float


def kill_front(folder: Path, store: str, kills: int, seed: int = 0) -> Killed:
    """Kill a server so many times at random moments under load.

    Raises:
        AssertionError: an acknowledged run is lost, or ended other than well, once; the usage is not the sum of the
            records; or a key got another run than before.
    """
    began = time.monotonic()
    chance = random.Random(seed)
    accepted: dict[str, str] = {}
    doubtful: set[str] = set()
    refused: list[str] = []
    admin, key = None, ""
    for number in range(kills):
        with LiveServer(folder, admin=admin, store=store) as server:
            admin = server.admin
            if not key:
                key = server.until_ready().tenant("acme", max_queued=1_000_000).key
            tenant = Tenant(server, key)
            threads = [
                threading.Thread(target=_submit, args=(tenant, f"{number}-{client}", accepted, doubtful, refused))
                for client in range(CLIENTS)
            ]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.05, 1.2))
            server.kill()
            for thread in threads:
                thread.join()
            assert refused == [], refused[0]
    with LiveServer(folder, admin=admin, store=store) as server:
        tenant = Tenant(server, key)
        wait_until(lambda: server.client.get("/readyz").status_code == 200)
        for name in sorted(doubtful):
            # Nobody knows whether it was accepted; its key does.
            run_id = _start(tenant, name)
            assert accepted.setdefault(name, run_id) == run_id, f"{name} is another run than before"
        for name in list(accepted)[-20:]:
            assert _start(tenant, name) == accepted[name], f"{name} is another run than before"
        wait_until(lambda: tenant.is_idle)
        records = all_runs(tenant)
        assert len(records) == len({record["id"] for record in records})
        assert {record["id"] for record in records} == set(accepted.values())
        assert {(record["state"], record["status"], record["row_count"]) for record in records} == {("ended", 200, 1)}
        wait_until(lambda: tenant.usage["runs"] == len(records))
        usage = tenant.usage
        sums = {name: sum(_figure(record, name) for record in records) for name in FIGURES}
        assert {name: usage[name] for name in FIGURES} == sums
        assert (usage["runs"], usage["failed"]) == (len(records), 0)
        assert server.terminate() == 0
        assert "invariant" not in "".join(server.lines)
    return Killed(kills, len(accepted) - len(doubtful), len(doubtful), len(records), time.monotonic() - began)


def _submit(tenant: Tenant, prefix: str, accepted: dict[str, str], doubtful: set[str], refused: list[str]) -> None:
    """Ask for some runs, one after the other, each with a key of its own, until the server is gone."""
    for number in range(_RUNS):
        time.sleep(_PAUSE_SECONDS)
        name = f"{prefix}-{number}"
        doubtful.add(name)
        try:
            accepted[name] = _start(tenant, name)
        except (httpx.HTTPError, RuntimeError):
            # The latter is what a client says that was closed with its server.
            return
        except AssertionError as refusal:
            refused.append(str(refusal))
            return
        doubtful.discard(name)


def _start(tenant: Tenant, name: str) -> str:
    body = {"statement": STATEMENT, "input_data": [{"name": name}]}
    answer = tenant.server.ask(
        "POST", "/v1/runs", tenant.key, body, prefer="respond-async", idempotency_key=name
    )  # fmt: skip
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def all_runs(tenant: Tenant) -> list[dict[str, Any]]:
    """Every run of a tenant, page by page."""
    records: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = tenant.get(f"/v1/runs?limit=200{cursor}").json()
        records += page["runs"]
        if page["next"] is None:
            return records
        cursor = f"&cursor={page['next']}"


def _figure(record: dict[str, Any], name: str) -> int:
    if name == "cpu_us":
        micros: int = round(record["usage"]["cpu_seconds"] * 1e6)
        return micros
    return int(record[name] if name in record else record["usage"][name])


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        print("sqlite", kill_front(Path(folder), "store.sqlite3", kills))
    with postgres_server() as postgres, tempfile.TemporaryDirectory() as folder:
        print("postgresql", kill_front(Path(folder), postgres.new_database(), kills))


if __name__ == "__main__":
    main()
