"""A recorded run, repeated without its server: the same rows, or what an edit of the statement changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.servers import WebServer
from tests.step.helpers import make_step, write_step
from tests.step.test_step_cli import Cli

import wasmexec
from wasmexec import ConfigError
from wasmexec.step import Step
from wasmexec.store import RecordingNotFoundError, RunStore, StoreBounds

STATEMENT = """
import httpx, random, time
answer = httpx.get("http://{authority}/echo?n=%d" % INPUT_DATA[0]["n"])
log.info(time.time())
return [{{"path": answer.json()["path"], "drawn": random.random(), "since": DATA_CHECKPOINT, "at": time.time()}}]
"""
COLUMNS = (
    "  - {name: path, type: text}\n  - {name: drawn, type: double}\n  - {name: at, type: double}\n"
    "  - {name: since, type: integer, allow_null: true}\n"
)


def test_a_recorded_run_repeats_byte_for_byte_and_shows_what_an_edit_changed(
    tmp_path: Path, executor: wasmexec.Executor
) -> None:
    with RunStore.open(tmp_path / "runs.sqlite3") as store:
        store.set_checkpoint("step", 7)
        with WebServer() as server:
            text = STATEMENT.format(authority=server.authority)
            grants = f"{{http: [{{host: 127.0.0.1, ports: [{server.port}], allow_private: true}}]}}"
            step = make_step(tmp_path, text, columns=COLUMNS, grants=grants)
            run = step.run([{"n": 1}, {"n": 2}, {"n": 3}], executor=executor, store=store, record=True)
            assert (run.status, [row["path"] for row in run.rows]) == (200, ["/echo?n=1", "/echo?n=2", "/echo?n=3"])
            made = len(server.requests)
        assert run.run_id is not None
        # A later checkpoint does not matter: the recording has its own. The server is gone.
        store.set_checkpoint("step", 8)
        replay = step.replay(run.run_id, store, executor=executor)
        assert replay.is_identical
        assert [row for item in replay.executions for row in item.result.rows] == run.rows
        assert [item.execution for item in replay.executions] == [0, 1, 2]
        assert made == 3
        edited = make_step(tmp_path, text.replace('["path"]', '["path"] + "!"'), columns=COLUMNS, grants=grants)
        changed = edited.replay(run.run_id, store, executor=executor)
        assert not changed.is_identical
        report = changed.executions[1].report
        assert report is not None
        assert (report.is_statement_changed, report.requests) == (True, ())
        [row] = report.rows
        assert (row.kind, row.row["path"], row.recorded_row["path"]) == ("changed", "/echo?n=2!", "/echo?n=2")
        assert row.row["drawn"] == row.recorded_row["drawn"]
        other = make_step(tmp_path, text.replace("?n=", "?m="), columns=COLUMNS, grants=grants)
        report = other.replay(run.run_id, store, executor=executor).executions[0].report
        assert report is not None
        assert [(item.kind, item.parts) for item in report.requests] == [("changed", ("url",))]


def test_what_was_not_recorded_cannot_be_replayed(tmp_path: Path, executor: wasmexec.Executor) -> None:
    step = make_step(tmp_path, "return [{'id': 1}]")
    with RunStore.open(tmp_path / "runs.sqlite3") as store:
        run = step.run(executor=executor, store=store)
        with pytest.raises(RecordingNotFoundError):
            step.replay(run.run_id or 0, store, executor=executor)
    with pytest.raises(ConfigError, match="record needs a store"):
        step.run(executor=executor, record=True)


def test_the_command_replays_and_shows_differences(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    write_step(tmp_path, "import random\nreturn [{'id': random.getrandbits(40)}]", processing="bulk")
    first = cli("run", "step.step.yaml", "--record", "--format", "jsonl")
    assert first.code == 0
    same = cli("replay", "1")
    assert (same.code, same.out, same.err) == (0, "", "run 1: 1 execution, all as recorded\n")
    write_step(tmp_path, "import random\nreturn [{'id': random.getrandbits(40) + 1}]", processing="bulk")
    edited = cli("replay", "1")
    assert edited.code == 1
    number = int(first.out.split(":")[1].rstrip("}\n"))
    assert edited.out == (
        f'execution 0: the statement was edited\n  row changed:\n    - {{"id":{number}}}\n    + {{"id":{number + 1}}}\n'
    )
    missing = cli("replay", "99")
    assert (missing.code, missing.err) == (2, "error: there is no run 99\n")
    assert cli("run", "step.step.yaml").code == 0
    assert (cli("replay", "2").code, cli("replay", "2").err) == (2, "error: run 2 was not recorded\n")


def test_rows_that_the_input_schema_refused_are_in_the_recording_and_checked_again(
    tmp_path: Path, executor: wasmexec.Executor
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": 1}\n{"id": "two"}\nnot json\n{"id": 4}\n')

    def step(kind: str) -> Step:
        inputs = f"[{{name: x, schema: [{{name: id, type: {kind}}}]}}]"
        return make_step(tmp_path, "return [{'id': 1}]", inputs=inputs, on_row_error="skip")

    with RunStore.open(tmp_path / "runs.sqlite3") as store:
        run = step("integer").run(path, executor=executor, store=store, record=True)
        assert (run.status, run.rows_out, run.rows_failed) == (202, 2, 2)
        same = step("integer").replay(run.run_id or 0, store, executor=executor)
        assert same.is_identical
        assert [item.execution for item in same.executions] == [0, 3]
        assert [item.row for item in same.refused] == [1, 2]
        assert (same.refused[0].error["pointer"], same.refused[0].error["rule"]) == ("/1/id", "type")
        assert str(same.refused[1].error["message"]).startswith(f"{path}, line 3: not JSON")
        # The schema was edited: it takes one of them now, and one is as wrong as ever.
        edited = step("text").replay(run.run_id or 0, store, executor=executor)
        assert not edited.is_identical
        assert [item.is_identical for item in edited.refused] == [False, True]
        assert edited.refused[0].error_now is None
        other = step("datetime").replay(run.run_id or 0, store, executor=executor)
        assert (other.refused[0].error_now or {})["rule"] == "datetime"


def test_the_command_shows_refused_rows_and_a_run_of_which_nothing_was_executed(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    schema = "[{name: x, schema: [{name: id, type: integer}]}]"
    write_step(tmp_path, "return INPUT_DATA", inputs=schema, on_row_error="skip")
    cli.write("in.csv", "id\n1\nb\n")
    assert cli("run", "step.step.yaml", "--record", "--input", "in.csv").code == 0
    same = cli("replay", "1")
    assert (same.code, same.out, same.err) == (0, "", "run 1: 1 execution and 1 refused row, all as recorded\n")
    write_step(tmp_path, "return INPUT_DATA", inputs=schema.replace("integer", "text"))
    edited = cli("replay", "1")
    assert (edited.code, edited.err) == (1, "run 1: 1 execution and 1 refused row, 1 different\n")
    assert edited.out == (
        "input row 1 was refused: in.csv: /1/id: line 3: column 'id' wants an integer, but the cell is 'b': correct "
        "the cell, or make the column a text\n"
        "  the input takes it now; what the statement makes of it only a new run can tell\n"
    )
    assert json.loads(cli("replay", "1", "--format", "json").out)["refused"][0]["error_now"] is None
    write_step(tmp_path, "return INPUT_DATA", inputs=schema, processing="bulk")
    assert cli("run", "step.step.yaml", "--record", "--input", "in.csv").code == 5
    nothing = cli("replay", "2")
    assert (nothing.code, nothing.out) == (2, "")
    assert "nothing of run 2 was executed, so nothing can be repeated; it ended with: in.csv: /1/id: " in nothing.err


def test_a_recording_that_became_too_large_is_replayed_as_far_as_it_goes_and_never_identical(
    tmp_path: Path, executor: wasmexec.Executor
) -> None:
    step = make_step(tmp_path, "return INPUT_DATA")
    with RunStore.open(tmp_path / "runs.sqlite3", bounds=StoreBounds(recording_bytes=5000)) as store:
        rows = [{"id": number} for number in range(40)]
        run = step.run(rows, executor=executor, store=store, record=True)
        assert (run.status, run.rows) == (200, rows)
        assert [text for text in run.warnings if text.startswith("the recording is incomplete: ")]
        replay = step.replay(run.run_id or 0, store, executor=executor)
        assert 3 < len(replay.executions) < 40
        assert all(item.is_identical for item in replay.executions)
        assert (replay.is_identical, replay.incomplete) == (False, "it is larger than 5,000 bytes")
    again = Cli(tmp_path)("replay", str(run.run_id))
    assert again.code == 1
    note = "note: the recording is incomplete, there were more executions: it is larger than 5,000 bytes\n"
    assert again.err == f"{note}run 1: {len(replay.executions)} executions, all as recorded\n"


def test_a_long_recording_is_read_once(tmp_path: Path, executor: wasmexec.Executor) -> None:
    step = make_step(tmp_path, "return INPUT_DATA")
    with RunStore.open(tmp_path / "runs.sqlite3") as store:
        rows = [{"id": number} for number in range(150)]
        run = step.run(rows, executor=executor, store=store, record=True)
        began: list[object] = []
        event.listen(store._database.engine, "begin", began.append)
        replay = step.replay(run.run_id or 0, store, executor=executor)
        assert replay.is_identical
        assert [row for item in replay.executions for row in item.result.rows] == rows
        # 64 parts a time, and each execution has at least seven.
        assert len(began) < len(rows) / 4
