"""`wasmexec step` as a process of its own, on the real image and a real store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from sqlalchemy import create_engine, text
from tests.step.helpers import write_step

from wasmexec import Status
from wasmexec.store import RunStateError, RunStore

COMMAND = [sys.executable, "-m", "wasmexec", "step"]


class Outcome:
    """What a finished command left behind."""

    def __init__(self, process: subprocess.CompletedProcess[str]) -> None:
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr


class Cli:
    """Runs step commands in a folder with a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "WASMEXEC_STORE": str(folder / "runs.sqlite3")}

    def __call__(self, *arguments: str, stdin: str = "") -> Outcome:
        return Outcome(
            subprocess.run(
                [*COMMAND, *arguments], input=stdin, capture_output=True, check=False, cwd=self.folder, timeout=120,
                env=self.environment, encoding="utf-8",
            )
        )  # fmt: skip

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return name


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs step commands in a folder of their own."""
    return Cli(tmp_path)


def test_a_step_runs_with_its_checkpoint_and_has_a_history(cli: Cli) -> None:
    write_step(cli.folder, "return [{'id': (DATA_CHECKPOINT or 0) + 1}]", checkpoint_column="id")
    first = cli("run", "step.step.yaml", "--input", cli.write("in.jsonl", "{}\n{}\n"))
    assert (first.code, first.out) == (0, '[\n{"id":1},\n{"id":1}\n]\n')
    assert first.err.startswith("step: 200 finished, 2 rows in, 2 out, checkpoint null -> 1, run 1 (")
    second = cli("run", "step.step.yaml", "--input", "-", "--format", "csv", stdin="[{}]")
    assert (second.code, second.out) == (0, "id\n2\n")
    assert cli("checkpoint", "get", "step").out == "2\n"
    runs = json.loads(cli("history", "step.step.yaml", "--format", "json").out)
    assert [(run["run_id"], run["status"], run["rows_in"], run["checkpoint_after"]) for run in runs] == [
        (2, 200, 1, 2), (1, 200, 2, 1),
    ]  # fmt: skip
    assert cli("show", "1", "--rows").out == '{"id":1}\n{"id":1}\n'
    assert "checkpoint_column: id" in cli("show", "1", "--definition").out
    assert "status name               finished\n" in cli("show", "2").out
    assert cli("checkpoint", "set", "step", "41").code == 0
    assert cli("run", "step.step.yaml", "--format", "jsonl").out == '{"id":42}\n'
    assert cli("checkpoint", "reset", "step").code == 0
    assert cli("run", "step.step.yaml", "--format", "jsonl").out == '{"id":1}\n'
    history = cli("checkpoint", "get", "step", "--history").out
    assert [word for word in ("reset", "set", "run") if word not in history] == []


def test_nothing_is_kept_without_a_store(cli: Cli) -> None:
    write_step(cli.folder, "return [{'id': 1 if DATA_CHECKPOINT is None else 2}]", checkpoint_column="id")
    for _ in range(2):
        assert cli("run", "step.step.yaml", "--no-store", "--format", "jsonl").out == '{"id":1}\n'
    assert not (cli.folder / "runs.sqlite3").exists()
    assert cli("run", "step.step.yaml", "--no-store", "--checkpoint", "3", "--format", "jsonl").out == '{"id":2}\n'


def test_output_goes_to_a_file_whole_or_not_at_all(cli: Cli) -> None:
    write_step(cli.folder, "return [{'id': 6 // INPUT_DATA[0]['id']}]")
    cli.write("good.jsonl", '{"id": 1}\n{"id": 2}\n')
    cli.write("bad.jsonl", '{"id": 1}\n{"id": 0}\n')
    taken = cli("run", "step.step.yaml", "--input", "good.jsonl", "--format", "table", "--row-column", "id")
    assert (taken.code, "--row-column id: the rows have a column of this name" in taken.err) == (2, True)
    outcome = cli("run", "step.step.yaml", "--input", "good.jsonl", "--output", "out.csv", "--row-column", "row")
    assert (outcome.code, outcome.out) == (0, "")
    assert (cli.folder / "out.csv").read_text() == "row,id\n0,6\n1,3\n"
    failed = cli("run", "step.step.yaml", "--input", "bad.jsonl", "--output", "out.csv")
    assert failed.code == 1
    assert "error: input row 1: ZeroDivisionError: integer division or modulo by zero (line 1)" in failed.err
    assert "step: 300 statement raised, 2 rows in, 0 out, 1 failed, run 2 (" in failed.err
    assert (cli.folder / "out.csv").read_text() == "row,id\n0,6\n1,3\n"
    assert sorted(path.name for path in cli.folder.iterdir() if "out" in path.name) == ["out.csv"]
    assert json.loads(cli("show", "2", "--errors").out)["row"] == 1


def test_the_whole_record_is_one_json_object(cli: Cli) -> None:
    write_step(cli.folder, "log.warn('w')\nreturn [{'id': 1}]", local_variables="{L: {type: integer, update_from: id}}")
    record = json.loads(cli("run", "step.step.yaml", "--result", "--local", "L=7").out)
    assert (record["status"], record["rows"], record["local_variables"]) == (200, [{"id": 1}], {"L": 1})
    assert [(item["level"], item["message"], item["row"]) for item in record["logs"]] == [("warn", "w", None)]
    assert record["usage"]["wall_seconds"] > 0


@pytest.mark.parametrize("processing", ["bulk", "row_by_row"])
def test_an_interrupt_cancels_the_run_and_is_on_record(cli: Cli, processing: str) -> None:
    write_step(cli.folder, "log.info('started')\nawait sleep(60)\nreturn []", processing=processing)
    cli.write("in.jsonl", "{}\n" * 20)
    process = subprocess.Popen(
        [*COMMAND, "run", "step.step.yaml", "--input", "in.jsonl"], cwd=cli.folder, env=cli.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    if processing == "bulk":
        assert process.stderr.readline().endswith(" started\n")
    else:
        while not (cli.folder / "runs.sqlite3").exists():
            time.sleep(0.05)
        time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (3, "")
    assert "303 cancelled" in err
    assert "Traceback" not in err
    assert json.loads(cli("history", "--format", "json").out)[0]["status"] == 303


def test_check_reports_the_file_its_cases_and_its_statement(cli: Cli) -> None:
    write_step(cli.folder, "import os\nx: int = 1\nreturn []")
    cli.write("step.tests.yaml", "cases:\n  - expct: {}\n")
    outcome = cli("check", "step.step.yaml")
    assert outcome.code == 2
    assert outcome.out.startswith(
        "step.tests.yaml:2:5: a case needs 'expect': what must come out: status, rows, error,"
    )
    assert "step.tests.yaml:2:5: unknown key 'expct', did you mean 'expect'?" in outcome.out
    assert "step.step.yaml:2:3: " in outcome.out or "step.step.yaml:3:" in outcome.out
    broken = cli("check", cli.write("b.yaml", "nam: 1\n"), "--format", "json")
    assert (broken.code, [item["line"] for item in json.loads(broken.out)]) == (2, [1, 1, 1])
    assert cli("run", "b.yaml").code == 2


OLD_DRAFT = "  $schema: http://json-schema.org/draft-03/schema#\n  properties: {id: {type: integer, required: true}}\n"


def test_check_and_run_note_a_schema_that_is_checked_by_the_slower_engine(cli: Cli) -> None:
    schema = "{$schema: 'http://json-schema.org/draft-03/schema', properties: {n: {type: integer}}}"
    inputs = f"[{{name: orders, schema: {schema}}}, {{name: rates}}]"
    write_step(cli.folder, "return [{'id': row['n']} for row in INPUT_DATA]", columns=OLD_DRAFT, inputs=inputs)
    note = "rows are checked by jsonschema, the reference implementation, which is some 100 times slower"
    checked = cli("check", "step.step.yaml", "--no-statement")
    assert (checked.code, checked.out) == (0, "")
    for name in ("output_schema", "input orders"):
        assert f"note: step.step.yaml: {name}: {note}: jsonschema-rs does not know draft-03\n" in checked.err
    run = cli("run", "step.step.yaml", "--input", cli.write("in.jsonl", '{"n": 1}\n{"n": 2}\n'))
    assert (run.code, run.out) == (0, '[\n{"id":1},\n{"id":2}\n]\n')
    assert f"note: output_schema: {note}" in run.err
    refused = cli("run", "step.step.yaml", "--input", cli.write("bad.jsonl", '{"n": 1}\n{"n": "x"}\n'))
    assert refused.code == 5
    assert "/1/n: line 2: the value is not of type 'integer', got 'x'" in refused.err
    write_step(cli.folder, "return []", name="new")
    assert "note:" not in cli("check", "new.step.yaml", "--no-statement").err


def test_step_test_shows_a_diff_and_fails(cli: Cli) -> None:
    write_step(cli.folder, "log.info('hello')\nreturn INPUT_DATA or []", processing="bulk")
    cli.write(
        "step.tests.yaml",
        """
cases:
  - {name: same, input: [{id: 1}, {id: 2}], expect: {status: 200, rows: [{id: 1}, {id: 2}]}}
  - {name: another row, input: [{id: 1}, {id: 2}], expect: {rows: [{id: 1}, {id: 3}]}}
  - {name: order, unordered: true, input: [{id: 1}, {id: 2}], expect: {rows: [{id: 2}, {id: 1}]}}
  - {name: status, input: [{id: x}], expect: {rows: []}}
""",
    )
    outcome = cli("test", "step.step.yaml")
    assert outcome.code == 1
    assert [line for line in outcome.out.splitlines() if not line.startswith(" ")] == [
        "pass step: same", "FAIL step: another row", "pass step: order", "FAIL step: status",
    ]  # fmt: skip
    assert '    -{"id": 2}\n' not in outcome.out
    assert '    -{"id": 3}\n    +{"id": 2}\n' in outcome.out
    assert "    status: expected success, got 306 (OutputError: /0/id: column 'id' wants an integer" in outcome.out
    assert "2 passed, 2 failed" in outcome.err
    assert cli("test", "step.step.yaml", "--case", "same").code == 0
    assert cli("test", "step.step.yaml", "--case", "none").code == 2


def test_the_schema_is_printed_and_takes_a_step(cli: Cli) -> None:
    path = write_step(cli.folder, "return []")
    schema = json.loads(cli("schema").out)
    assert jsonschema_rs.Draft202012Validator(schema).is_valid(yaml.safe_load(path.read_text()))
    assert "cases" in json.loads(cli("schema", "--cases").out)["properties"]


DEBUGGED = '''
import json
text = """one
  two
three"""
async def late(value):
    await sleep(0)
    return value
log.warn(f"{DATA_CHECKPOINT} {LocalVariable.Name} {LocalVariable.Key}")
print("shown", INPUT_DATA2)
if INPUT_DATA[0]["id"] == 13:
    raise ValueError(text)
return [{"id": await late(INPUT_DATA[0]["id"]), "lines": text.split("\\n")}]
'''


def test_debug_runs_a_stand_alone_file_and_says_that_it_is_not_isolated(cli: Cli) -> None:
    write_step(
        cli.folder, DEBUGGED, checkpoint_column="id", local_variables="{Name: {type: text, initial: n}}",
        secrets="{Key: {env: DEBUG_KEY}}",
    )  # fmt: skip
    cli.environment["DEBUG_KEY"] = "k-0815"
    cli.write("in.jsonl", '{"id": 12}\n{"id": 13}\n')
    cli("checkpoint", "set", "step", '"c"')
    outcome = cli("debug", "step.step.yaml", "--input", "in.jsonl", "--row", "0")
    assert outcome.code == 0
    assert json.loads(outcome.out) == [{"id": 12, "lines": ["one", "  two", "three"]}]
    assert outcome.err.count("NOT ISOLATED") == 2
    assert " warn  c n k-0815\n" in outcome.err
    assert " info  shown None\n" in outcome.err
    text = (cli.folder / "step.debug.py").read_text()
    assert "NOT ISOLATED" in text
    assert "k-0815" not in text
    alone = subprocess.run(
        [sys.executable, "-I", "step.debug.py"], cwd=cli.folder, env=cli.environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert json.loads(alone.stdout)[0]["id"] == 12
    failed = cli("debug", "step.step.yaml", "--input", "in.jsonl", "--row", "1")
    assert failed.code == 1
    offset = int(text.split("is line n + ")[1].split(" ")[0])
    assert f'step.debug.py", line {offset + 11}, in _statement' in failed.err
    assert "ValueError: one" in failed.err


GATHERED = """
order = []
async def work(name, seconds, error=None):
    try:
        await sleep(seconds)
        if error is not None:
            raise error
        return name
    finally:
        order.append(name)
both = await gather(work("slow", 0.05), work("fast", 0))
kept = await gather(work("a", 0, KeyError("k")), return_exceptions=True)
try:
    await gather(work("long", 30), work("early", 0, ValueError("early")))
except ValueError as error:
    return [{"id": 1, "seen": [*both, *map(repr, kept), str(error), *order]}]
"""


def test_debug_gathers_as_a_run_does(cli: Cli) -> None:
    write_step(cli.folder, GATHERED, columns="  - {name: id, type: integer}\n  - {name: seen, type: json}\n")
    cli.write("in.jsonl", '{"id": 1}\n')
    debugged = json.loads(cli("debug", "step.step.yaml", "--input", "in.jsonl", "--row", "0").out)
    run = cli("run", "step.step.yaml", "--input", "in.jsonl", "--format", "json")
    seen = ["slow", "fast", "KeyError('k')", "early", "fast", "slow", "a", "early", "long"]
    assert debugged == json.loads(run.out) == [{"id": 1, "seen": seen}]


def test_debug_takes_inputs_and_refuses_them_as_a_run_does(cli: Cli) -> None:
    write_step(cli.folder, "return [{'id': INPUT_DATA2[0]['id']}]", processing="bulk")
    cli.write("in.jsonl", '{"id": 1}\n')
    cli.write("in2.jsonl", '{"id": 2}\n')
    cli.write("bad.jsonl", "{'id': 2}\n")
    for further in ("--input2", "--input"):
        outcome = cli("debug", "step.step.yaml", "--input", "in.jsonl", further, "in2.jsonl")
        assert (outcome.code, json.loads(outcome.out)) == (0, [{"id": 2}])
    for command in ("run", "debug"):
        missing = cli(command, "step.step.yaml", "--input", "none.jsonl")
        assert (missing.code, "none.jsonl cannot be read: No such file" in missing.err) == (2, True)
        bad = cli(command, "step.step.yaml", "--input", "bad.jsonl")
        assert (bad.code, "JSON has double quotes only" in bad.err) == (5, True)
    mixed = cli("debug", "step.step.yaml", "--input", "in.jsonl", "--input", "in.jsonl", "--input2", "in2.jsonl")
    assert (mixed.code, "use one way" in mixed.err) == (2, True)


def test_debug_overwrites_only_its_own_files(cli: Cli) -> None:
    write_step(cli.folder, "return []", processing="bulk")
    cli.write("step.debug.py", "mine")
    outcome = cli("debug", "step.step.yaml", "--no-run")
    assert (outcome.code, "not from `wasmexec step debug`" in outcome.err) == (2, True)
    assert (cli.folder / "step.debug.py").read_text() == "mine"


def test_runs_that_nobody_will_finish_are_abandoned_by_hand(cli: Cli) -> None:
    write_step(cli.folder, "return [{'id': 1}]", checkpoint_column="id")
    store = cli.folder / "runs.sqlite3"
    with RunStore.open(store) as opened:
        living, elsewhere = opened.begin_run("step"), opened.begin_run("step")
        opened.append_output(elsewhere, [{"id": 7}])
        engine = create_engine(f"sqlite:///{store}")
        with engine.begin() as connection:
            connection.execute(text("UPDATE wx_runs SET process_scope = 'another', process_host = 'db3' WHERE id = 2"))
        engine.dispose()
    # The next run leaves it: it may live, for all that can be seen from here.
    assert cli("run", "step.step.yaml").code == 0
    runs = json.loads(cli("history", "--format", "json").out)
    assert [run["state"] for run in runs] == ["finished", "running", "running"]
    assert cli("history").out.count(" running ") == 2
    assert "db3:" in cli("show", str(elsewhere.run_id)).out
    outcome = cli("abandon", str(elsewhere.run_id), "--reason", "db3 was scrapped")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith(f"abandoned: run {elsewhere.run_id} of step, started 20")
    record = json.loads(cli("show", str(elsewhere.run_id), "--format", "json").out)
    assert (record["state"], record["error"]["message"]) == (
        "abandoned", "the run was abandoned: db3 was scrapped",
    )  # fmt: skip
    again = cli("abandon", str(elsewhere.run_id))
    assert (again.code, "error: run 2 is abandoned, it must be running" in again.err) == (3, True)
    # This process lives.
    refused = cli("abandon", str(living.run_id))
    assert (refused.code, "run 1 is under way in process" in refused.err) == (3, True)
    assert cli("abandon", "--dead").err == "abandoned: none\n"
    assert cli("abandon", str(living.run_id), "--force").code == 0
    with RunStore.open(store) as opened:
        assert [run.state for run in opened.runs("step").runs] == ["finished", "abandoned", "abandoned"]
        with pytest.raises(RunStateError, match=r"^run 1 is abandoned"):
            opened.finish(living, status=Status.FINISHED)
        assert opened.get_run(elsewhere.run_id).output_rows == 0
        assert opened.checkpoint("step").value == 1
    assert cli("abandon").code == 2
    assert cli("abandon", "1", "--dead").code == 2
    assert "abandon 17 --reason" in cli("abandon", "--help").out


def test_help_names_every_command(cli: Cli) -> None:
    out = cli("--help").out
    for name in ("run", "check", "test", "history", "show", "checkpoint", "abandon", "replay", "schema", "debug"):
        assert f"\n  {name} " in out
        assert cli(name, "--help").code == 0
