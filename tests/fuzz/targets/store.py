"""The run store, when somebody else has written to its database."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from tests.fuzz.draw import Draw, mutated_json
from tests.fuzz.targets.rows import scratch_file

from wasmexec import HttpExchange, LogRecord, Recording, Status, WasmexecError
from wasmexec.store import RowError, RunStore

_WRITTEN = (
    "not a time", "2026-11-29 09:00:00.000000", "[", "{}", "[]", '{"a":NaN}', "1e400", '"\\ud800"', "[" * 3000, "\0",
    '{"request_bytes":-5}', '{"number":[]}', '[["a"]]', '{"operations":[[1]]}', "finished", "running", "http", "text",
)  # fmt: skip


class _Place(NamedTuple):
    """One value in the database."""

    table: str
    column: str
    value: Any


class _Stored:
    """A store with something in every table, and a second connection that writes whatever it likes."""

    def __init__(self) -> None:
        file = scratch_file("runs.sqlite3", b"")
        file.unlink()
        self.store = RunStore.open(file)
        run = self.store.begin_run("step", definition="text", attributes={"a": 1})
        recorder = self.store.record(run, meta={"m": 1})
        exchange = HttpExchange(method="GET", url="http://a.test/", status=200, response_body=b"x")
        assert Recording(exchanges=(exchange,), inputs=(b"[1]",), rows=b"[]").give_to(recorder)
        self.store.append_logs(run, [LogRecord(1.5, "info", "line")])
        self.store.append_row_errors(run, [RowError(row=0, status=Status.STATEMENT_RAISED, error={"type": "x"})])
        self.store.append_output(run, [{"a": 10**30}, {"a": 2}], source_rows=[0, 1])
        self.store.finish(run, status=Status.FINISHED, warnings=["w"], local_variables={"v": 1})
        self.store.set_checkpoint("step", {"c": 1})
        self.other = sqlite3.connect(file, isolation_level=None)
        self.other.execute("PRAGMA ignore_check_constraints=ON")
        self.other.execute("PRAGMA foreign_keys=OFF")
        self.other.execute("PRAGMA synchronous=OFF")
        tables = [name for (name,) in self.other.execute("SELECT name FROM sqlite_master WHERE name LIKE 'wx_%'")]
        self.places = [
            _Place(table, row[1], self.other.execute(f"SELECT {row[1]} FROM {table} LIMIT 1").fetchone()[0])
            for table in tables
            if self.other.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)
            for row in self.other.execute(f"PRAGMA table_info({table})").fetchall()
            if table in _READERS
        ]
        self.undamaged = self.read(_READERS)

    def read(self, tables: Iterable[str]) -> list[object]:
        """What the readers of these tables give, for each that does not say what is wrong."""
        found = []
        for reader in (reader for table in tables for reader in _READERS[table]):
            with contextlib.suppress(WasmexecError):
                found.append(reader(self.store))
        return found

    def write(self, place: _Place, value: Any) -> bool:
        """Whether the database takes the value."""
        try:
            self.other.execute(f"UPDATE {place.table} SET {place.column} = ?", [value])
        except (sqlite3.Error, UnicodeEncodeError, OverflowError):
            return False
        return True


@cache
def _stored() -> _Stored:
    return _Stored()


def _recorded(store: RunStore) -> object:
    others = [part for part in store.recorded_parts(1) if part.kind != "http"]
    return Recording.from_parts(others, store.recorded_exchanges(1)).key.hex()


def _run(store: RunStore) -> object:
    return store.get_run(1).as_dict()


def _steps(store: RunStore) -> object:
    return [item.as_dict() for item in store.steps()], store.checkpoint("step").as_dict()


_READERS: dict[str, tuple[Callable[[RunStore], object], ...]] = {
    "wx_runs": (_run, lambda store: store.runs("step").as_dict()),
    "wx_steps": (_steps, _run),
    "wx_checkpoints": (_steps, lambda store: store.checkpoint_history("step").as_dict()),
    "wx_definitions": (lambda store: store.definition(store.get_run(1).definition_sha256 or ""),),
    "wx_logs": (lambda store: store.logs(1).as_dict(),),
    "wx_row_errors": (lambda store: store.row_errors(1).as_dict(),),
    "wx_output": (lambda store: [item.as_dict() for item in store.output(1)],),
    "wx_recordings": (lambda store: store.recording(1).as_dict(), _recorded),
    "wx_recorded_parts": (_recorded,),
}


def store_rows(data: bytes) -> None:
    """Whatever stands in the database: records that can be written as JSON, or an error that has a name."""
    draw = Draw(data)
    stored = _stored()
    changed = [draw.choose(stored.places) for _ in range(1 + draw.below(2))]
    try:
        for place in changed:
            stored.write(place, _value(draw, place.value))
        found = stored.read(dict.fromkeys(place.table for place in changed))
        json.dumps(found, allow_nan=False, ensure_ascii=False)
    finally:
        for place in reversed(changed):
            assert stored.write(place, place.value)
    if draw.chance(40):
        assert stored.read(_READERS) == stored.undamaged


def _value(draw: Draw, before: Any) -> Any:
    kind = draw.below(6)
    if kind == 0:
        return draw.choose(
            [None, 0, -1, 1, draw.integer() & (2**63 - 1), -draw.integer() // 2, 1e308, 0.5, float("inf")]
        )
    if kind == 1:
        return draw.choose(_WRITTEN)
    if kind == 2:
        return draw.text(12)
    if kind == 3:
        return draw.binary(12)
    if isinstance(before, str) and before[:1] in ("{", "["):
        return json.dumps(mutated_json(draw, json.loads(before)))
    if isinstance(before, bytes):
        edited = bytearray(before)
        at = draw.below(len(edited) + 1)
        edited[at : at + draw.below(3)] = draw.binary(3)
        return bytes(edited)
    return draw.json()
