"""What is kept of runs that have ended, and of answers to requests, is sealed in the store, on both kinds of store."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, inspect, select, text, update
from tests.server.live_server import SERVE, LiveServer, Tenant, wait_until
from tests.server.step_tenant import NUMBERS, StepTenant

from wasmexec.result import Usage
from wasmexec.server.runs.records import EndedRun
from wasmexec.server.storage import kept as kept_module
from wasmexec.server.storage import resealing, sealing
from wasmexec.server.storage.kept import Progress
from wasmexec.server.storage.resealing import Resealing
from wasmexec.server.storage.storage import Storage
from wasmexec.server.storage.tables import attachments, properties, request_keys, runs, sealing_keys
from wasmexec.server.vault.key_file import add_key
from wasmexec.status import Status
from wasmexec.store.database import resolve_url
from wasmexec.workers.answers import Answer

MARK = "hunter22"
STATEMENT = f"import random\nlog.info('{MARK}')\nreturn [{{'n': '{MARK}', 'r': random.random()}}]"
KEPT = {
    runs.c.id: (runs.c.rows, runs.c.logs, runs.c.error, runs.c.warnings), attachments.c.run_id: (attachments.c.data,),
    request_keys.c.key: (request_keys.c.answer,),
}  # fmt: skip


class Place:
    """A store that servers are started on, one after the other, and looked into while none has it."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self.store = store
        self.admin: str | None = None
        self.key_file = folder / "store.key"

    def serve(self) -> LiveServer:
        settings = f"secrets_key_file = '{self.key_file}'"
        server = LiveServer(self.folder, store=self.store, admin=self.admin, settings=settings)
        self.admin = server.admin
        return server

    @property
    def place(self) -> str:
        return self.store if "://" in self.store else str(self.folder / self.store)

    def do(self, work: Callable[[Connection], Any]) -> Any:
        engine = create_engine(resolve_url(self.place))
        with engine.begin() as connection:
            found = work(connection)
        engine.dispose()
        return found

    def execute(self, change: str) -> None:
        """Change something behind the server's back."""
        self.do(lambda connection: connection.execute(text(change)))

    def kept(self) -> list[bytes]:
        """Every value that is kept and is not nothing."""

        def work(connection: Connection) -> list[bytes]:
            found = [
                bytes(value)
                for columns in KEPT.values()
                for column in columns
                for value in connection.execute(select(column).where(column.is_not(None))).scalars()
            ]
            return [value for value in found if value not in (b"[]", b"null")]

        values: list[bytes] = self.do(work)
        return values

    def everything(self) -> bytes:
        """All that is in the tables of the server."""

        def work(connection: Connection) -> bytes:
            names = [name for name in inspect(connection).get_table_names() if name.startswith("wx_")]
            rows = [row for name in names for row in connection.execute(text(f"SELECT * FROM {name}"))]
            return b"\n".join(
                bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                for row in rows
                for value in row
            )

        found: bytes = self.do(work)
        return found


@pytest.fixture
def place(tmp_path: Path, new_store: Callable[[Path], str]) -> Place:
    return Place(tmp_path, new_store(tmp_path))


def ask_for_everything(tenant: Tenant) -> dict[str, Any]:
    """Have every kind of thing kept; where each is, and what is found there."""
    run = tenant.start(STATEMENT, record=True)
    failed = tenant.start(f"raise ValueError('{MARK}')")
    for run_id in (run, failed):
        tenant.until(run_id, state="ended")
    replay = tenant.server.ask(
        "POST", f"/v1/runs/{run}:replay", tenant.key, {"statement": STATEMENT.replace("'n'", "'m'")},
        prefer="respond-async",
    ).json()["id"]  # fmt: skip
    tenant.until(replay, state="ended")
    answered = tenant.server.ask("POST", "/v1/runs", tenant.key, {"statement": STATEMENT}, idempotency_key="k")
    assert MARK in answered.text
    line = json.dumps({"statement": STATEMENT})
    batch = tenant.server.client.post(
        "/v1/runs:batch", content=line, headers={"Authorization": f"Bearer {tenant.key}", "Idempotency-Key": "b"}
    )
    assert MARK in batch.text
    wait_until(lambda: tenant.usage["runs"] == 5)
    paths = [f"/v1/runs/{run}{what}" for what in ("", "/rows", "/logs", "/recording")]
    return {
        path: tenant.get(path).json() for path in (*paths, f"/v1/runs/{failed}", f"/v1/runs/{replay}", "/v1/runs")
    } | {"k": answered.content, "b": batch.content}  # fmt: skip


def assert_found(tenant: Tenant, found: dict[str, Any]) -> None:
    for path, content in found.items():
        if path.startswith("/"):
            assert tenant.get(path).json() == content
    again = tenant.server.ask("POST", "/v1/runs", tenant.key, {"statement": STATEMENT}, idempotency_key="k")
    assert again.content == found["k"]


def test_nothing_that_is_kept_is_there_to_be_read_and_everything_is_found_again(place: Place) -> None:
    with place.serve() as server:
        tenant = server.until_ready().tenant("keeps")
        found = ask_for_everything(tenant)
        assert MARK in json.dumps(found["/v1/runs"])
        assert server.terminate() == 0
    assert len(place.kept()) == 10
    everything = place.everything()
    assert MARK.encode() not in everything
    # The positive control: it is looked for where there would be something.
    assert b"keeps" in everything
    # A new key, and the old one taken away.
    first = {value[1:9] for value in place.kept()}
    command = [*SERVE, "rotate-secrets-key", "--store", place.place, "--secrets-key", str(place.key_file)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with place.serve() as server:
        tenant.server = server.until_ready()
        assert_found(tenant, found)
        wait_until(lambda: "seals nothing any more" in "".join(server.lines))
        assert server.terminate() == 0
    second = {value[1:9] for value in place.kept()}
    assert (len(first), len(second), first & second) == (1, 1, set())
    lines = place.key_file.read_text().splitlines()
    keys = [line for line in lines if line and not line.startswith("#")]
    place.key_file.write_text(keys[0] + "\n")
    with place.serve() as server:
        tenant.server = server.until_ready()
        assert_found(tenant, found)
        assert server.terminate() == 0


def test_rows_log_and_failed_rows_of_steps_are_sealed_too(place: Place) -> None:
    statement = (
        "text = INPUT_DATA[0]['t']\nlog.info(text)\nif INPUT_DATA[0]['id'] == 2:\n    raise ValueError(text)\n"
        "return INPUT_DATA"
    )
    document = {"on_row_error": "skip", "output_schema": [*NUMBERS, {"name": "t", "type": "text"}]}
    parts = ("/rows", "/logs", "/errors")
    with place.serve() as server:
        tenant = StepTenant.make(server.until_ready(), "steps")
        tenant.put("mark", statement, **document)
        where = tenant.start("mark", [{"id": number, "t": MARK} for number in range(4)])
        assert tenant.until(where, state="ended")["status"] == 202
        found = {part: tenant.ask("GET", where + part).json() for part in parts}
        assert [json.dumps(found[part]).count(MARK) > 0 for part in parts] == [True] * 3
        assert server.terminate() == 0
    everything = place.everything()
    assert MARK.encode() not in everything
    assert b"INPUT_DATA" in everything
    # As they were in a store from before, and then with another key.
    place.execute("UPDATE wx_logs SET message = 'old' WHERE seq = 1")
    place.do(lambda connection: connection.execute(properties.delete().where(properties.c.name == "kept")))
    add_key(place.key_file)
    with place.serve() as server:
        tenant.server = server.until_ready()
        wait_until(lambda: "seals nothing any more" in "".join(server.lines))
        found["/logs"]["records"][0]["message"] = "old"
        assert {part: tenant.ask("GET", where + part).json() for part in parts} == found
        assert server.terminate() == 0
    lines = [line for line in place.key_file.read_text().splitlines() if line and not line.startswith("#")]
    place.key_file.write_text(lines[0] + "\n")
    assert MARK.encode() not in place.everything()
    # Moved to the place of another, or put there by somebody else.
    changes = (
        ("/rows", "UPDATE wx_output SET seq = 7"),
        ("/logs", "UPDATE wx_logs SET message = (SELECT message FROM wx_logs WHERE seq = 2) WHERE seq = 3"),
        ("/errors", "UPDATE wx_row_errors SET error = '{}'"),
    )
    with place.serve() as server:
        tenant.server = server.until_ready()
        assert {part: tenant.ask("GET", where + part).json() for part in parts} == found
        for part, change in changes:
            place.execute(change)
            answer = tenant.ask("GET", where + part)
            assert (answer.status_code, answer.json().get("rule")) == (500, "store.seal"), (part, answer.text)
        assert server.terminate() == 0


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ("UPDATE wx_server_runs SET rows = logs", "/rows"),
        ("UPDATE wx_server_runs SET logs = CAST('[1]' AS BLOB)", "/logs"),
        ("UPDATE wx_server_runs SET tenant = 'theirs'", "/rows"),
        ("UPDATE wx_server_runs SET error = rows", ""),
        ("UPDATE wx_server_attachments SET data = (SELECT rows FROM wx_server_runs)", "/recording"),
    ],
)
def test_what_is_moved_or_changed_is_told_to_nobody(tmp_path: Path, change: str, path: str) -> None:
    place = Place(tmp_path, "store.sqlite3")
    with place.serve() as server:
        ours, theirs = server.until_ready().tenant("ours"), server.tenant("theirs")
        run = ours.start(STATEMENT, record=True)
        ours.until(run, state="ended")
        assert ours.get(f"/v1/runs/{run}{path}").status_code == 200
        place.execute(change)
        reader = theirs if "theirs" in change else ours
        answer = reader.get(f"/v1/runs/{run}{path}")
        assert (answer.status_code, answer.json()["rule"]) == (500, "store.seal"), answer.text
        assert MARK not in answer.text
        wait_until(lambda: re.search(rf"run \w+ {run} (was changed, or|is not sealed)", "".join(server.lines)))
        assert server.terminate() == 0


def ended(number: int) -> EndedRun:
    return EndedRun(
        id=f"run_{number:04}", tenant="acme", key_id="key", created_at=1.0, started_at=None, ended_at=1.0,
        attempts=1, wall_seconds=60.0, has_grants=False, kind="kind", lost_cpu_seconds=0.0,
        answer=Answer(Status.FINISHED, Usage(), 1, 0, 0, rows=b"[%d]" % number), is_new=True, keep_rows=True,
        project=None, accounts=(), kept=None,
    )  # fmt: skip


def test_what_a_start_does_not_come_to_is_sealed_while_the_server_runs(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sealing, "_RESEAL_SECONDS", 0.0)
    monkeypatch.setattr(resealing, "_FIRST_SECONDS", 0.0)
    monkeypatch.setattr(kept_module, "_PAGE", 20)
    count = 90

    async def use(work: Callable[[Storage], Any]) -> None:
        storage = Storage(place.place, place.key_file, asyncio.get_running_loop())
        try:
            await work(storage)
        finally:
            await storage.close()

    async def record(storage: Storage) -> None:
        await Resealing(storage).run()
        told: list[Exception | None] = []
        for number in range(count):
            storage.runs.end(ended(number), lambda result, error: told.append(error))
        while len(told) < count:
            await asyncio.sleep(0.005)
        assert not any(told)

    async def look(storage: Storage) -> None:
        # Behind the first page nothing is done yet, and all of it is found.
        assert [storage.kept.rest] == [Progress()]
        assert await storage.runs.payload(f"run_{count - 1:04}", "rows") == b"[%d]" % (count - 1)
        await Resealing(storage).run()
        assert [storage.kept.rest] == [None]
        found = [await storage.runs.payload(f"run_{number:04}", "rows") for number in range(count)]
        assert found == [b"[%d]" % number for number in range(count)]

    asyncio.run(use(record))
    first = {value[1:9] for value in place.kept()}
    add_key(place.key_file)
    asyncio.run(use(look))
    (second,) = {value[1:9] for value in place.kept()}
    assert {second} & first == set()
    assert f"the key {next(iter(first)).hex()} seals nothing any more" in caplog.text
    needed = select(sealing_keys.c.id).where(sealing_keys.c.retired_at.is_(None))
    assert place.do(lambda connection: connection.execute(needed).scalars().all()) == [second.hex()]
    # A store from before: nothing is sealed, and nobody has said that it was.
    old = update(runs).values(rows=b"[7]", error=b'{"a":1}')
    place.do(lambda connection: connection.execute(properties.delete().where(properties.c.name == "kept")))
    place.do(lambda connection: connection.execute(old))

    async def look_again(storage: Storage) -> None:
        assert await storage.runs.payload("run_0089", "rows") == b"[7]"
        await Resealing(storage).run()
        assert await storage.runs.payload("run_0089", "rows") == b"[7]"
        found = await storage.runs.find("run_0000", "acme")
        assert found is not None
        assert found["error"] == b'{"a":1}'

    asyncio.run(use(look_again))
    assert len(place.kept()) == 2 * count
    assert {value[:1] for value in place.kept()} == {b"\x01"}
