"""A store that somebody else has written to, or a disk has damaged: every reader says so as a `StoreError`.

Any value in any column (SQLite takes any type everywhere), bytes changed anywhere in the file, a file cut short; the
undamaged store is the control.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wasmexec import ConfigError, HttpExchange, LogRecord, Recording, Status, WasmexecError
from wasmexec.store import RowError, RunStore

ODD: list[Any] = [
    None, -1, 0, 7, 2**31, 2**62, 1e308, float("inf"), "", "x", "[", "{}", "[]", '{"a":NaN}', "1e400", "9" * 5000,
    '"\\ud800"', "[" * 5000, "\0", '{"request_bytes":-5}', '{"number":[]}', "not a time", b"", b"\xff\xfe", b"[1]",
    b"x" * 3000,
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has something in every table."""
    file = tmp_path_factory.mktemp("store") / "runs.sqlite3"
    with RunStore.open(file) as store:
        run = store.begin_run("step", definition="text", attributes={"a": 1})
        recorder = store.record(run, meta={"m": 1})
        exchange = HttpExchange(method="GET", url="http://a.test/", status=200, response_body=b"x")
        assert Recording(exchanges=(exchange,), inputs=(b"[1]",), rows=b"[]").give_to(recorder)
        store.append_logs(run, [LogRecord(1.5, "info", "line")])
        store.append_row_errors(run, [RowError(row=0, status=Status.STATEMENT_RAISED, error={"type": "x"})])
        store.append_output(run, [{"a": 10**30}, {"a": 2}], source_rows=[0, 1])
        store.finish(run, status=Status.FINISHED, warnings=["w"], local_variables={"v": 1})
        store.set_checkpoint("step", {"c": 1})
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    return file


def read_everything(file: Path) -> int:
    """Call every reader; how many of them refused. Each with the one kind of error that its docstring names."""
    refused = 0
    try:
        store = RunStore.open(file, create=False)
    except WasmexecError:
        return 1
    with store:
        readers: list[Callable[[], Any]] = [
            lambda: store.get_run(1).as_dict(),
            lambda: store.runs().as_dict(),
            lambda: [item.as_dict() for item in store.steps()],
            lambda: store.get_step("step"),
            lambda: store.definition(store.get_run(1).definition_sha256 or ""),
            lambda: [item.as_dict() for item in store.logs(1).records],
            lambda: store.row_errors(1),
            lambda: list(store.output(1)),
            lambda: store.checkpoint("step"),
            lambda: store.checkpoint_history("step"),
            lambda: store.recording(1),
            lambda: Recording.from_parts(
                [part for part in store.recorded_parts(1) if part.kind != "http"], store.recorded_exchanges(1)
            ),
        ]
        for reader in readers:
            try:
                reader()
            except WasmexecError:
                refused += 1
    return refused


def columns(file: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(file)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})")]


def test_the_store_itself_is_read(whole: Path) -> None:
    assert read_everything(whole) == 0
    assert len(columns(whole)) > 60


def test_any_value_in_any_column_is_refused_or_read(whole: Path, tmp_path: Path) -> None:
    choose = random.Random(1)
    file = tmp_path / "damaged.sqlite3"
    refused = 0
    for table, column in columns(whole):
        for value in choose.sample(ODD, 2):
            shutil.copy(whole, file)
            with closing(sqlite3.connect(file)) as connection, connection:
                connection.execute("PRAGMA writable_schema=ON")
                connection.execute("PRAGMA ignore_check_constraints=ON")
                try:
                    connection.execute(f"UPDATE OR REPLACE {table} SET {column} = ?", [value])
                except sqlite3.Error:
                    continue
            refused += read_everything(file)
    assert refused > 30


def test_bytes_changed_anywhere_are_refused_or_read(whole: Path, tmp_path: Path) -> None:
    choose = random.Random(1)
    data = whole.read_bytes()
    file = tmp_path / "damaged.sqlite3"
    refused = 0
    for _ in range(40):
        damaged = bytearray(data)
        for _ in range(choose.choice([1, 10, 1000])):
            damaged[choose.randrange(len(damaged))] = choose.randrange(256)
        file.write_bytes(damaged[: choose.choice([len(data), choose.randrange(len(data))])])
        refused += read_everything(file)
    assert refused > 20
    assert read_everything(whole) == 0


def test_a_damaged_part_is_named(whole: Path, tmp_path: Path) -> None:
    file = tmp_path / "damaged.sqlite3"
    shutil.copy(whole, file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE wx_runs SET warnings = '[NaN]'")
        connection.execute("UPDATE wx_recorded_parts SET meta = '[]' WHERE kind = 'http'")
    with RunStore.open(file) as store:
        with pytest.raises(WasmexecError, match=r"^the warnings of run 1 is damaged: unexpected character"):
            store.get_run(1)
        with pytest.raises(WasmexecError, match=r"^part \d+ of the recording of run 1 is damaged: expected an object"):
            list(store.recorded_parts(1))
    with pytest.raises(ConfigError):
        Recording.from_parts([], [])


def test_a_time_that_json_has_not_is_refused(whole: Path, tmp_path: Path) -> None:
    file = tmp_path / "damaged.sqlite3"
    shutil.copy(whole, file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE wx_logs SET time = 9e999")
    with (
        RunStore.open(file) as store,
        pytest.raises(WasmexecError, match=r"^the run store is damaged: a column of type float holds inf$"),
    ):
        store.logs(1)
