"""Inputs at the command line: `run` and `step run` read the same files alike, and say the same about them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet

MIXED = [
    {"name": "name", "type": "text"},
    {"name": "qty", "type": "integer"},
    {"name": "net", "type": "double", "allow_null": True},
]
OUTPUT = "output_schema: [{name: v, type: json}]\n"


class Ways:
    """Runs `return INPUT_DATA` through both commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "s.py").write_text("return [{'v': row} for row in INPUT_DATA]\n")

    def __call__(self, command: str, *, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        process = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m wasmexec {command} --format jsonl"], cwd=self.folder, input=stdin,
            capture_output=True, timeout=120, check=False,
            env={**os.environ, "WASMEXEC_STORE": str(self.folder / "runs.sqlite3")},
        )  # fmt: skip
        return subprocess.CompletedProcess([], process.returncode, process.stdout.decode(), process.stderr.decode())

    def both(self, options: str, schema: Any = None) -> list[subprocess.CompletedProcess[str]]:
        """By `run`, by a step row by row, by a step in bulk."""
        found = []
        given = ""
        if schema is not None:
            (self.folder / "in.schema.json").write_text(json.dumps(schema))
            given = " --input-schema in.schema.json"
        found.append(self(f"run s.py {options}{given}"))
        for processing in ("row_by_row", "bulk"):
            inputs = "" if schema is None else f"inputs: [{{name: x, schema: {json.dumps(schema)}}}]\n"
            text = f"statement_file: s.py\nprocessing: {processing}\n{OUTPUT}{inputs}"
            (self.folder / f"{processing}.step.yaml").write_text(text)
            found.append(self(f"step run {processing}.step.yaml {options}"))
        return found


@pytest.fixture
def ways(tmp_path: Path) -> Ways:
    """Runs commands in a folder of their own."""
    return Ways(tmp_path)


def rows(process: subprocess.CompletedProcess[str]) -> list[Any]:
    assert process.returncode == 0, process.stderr
    return [json.loads(line)["v"] for line in process.stdout.splitlines()]


def test_a_schema_makes_of_csv_what_its_columns_say_in_both_commands(ways: Ways) -> None:
    (ways.folder / "a.csv").write_text("name;qty;net\nA;1;1.5\nB;-2;\n")
    expected = [{"name": "A", "qty": 1, "net": 1.5}, {"name": "B", "qty": -2, "net": None}]
    for process in ways.both("--input a.csv", MIXED):
        assert rows(process) == expected
        assert "a.csv: its header shows that the delimiter is ';', not ',': read so\n" in process.stderr
        assert "are strings" not in process.stderr
    as_json_schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "qty": {"type": "integer"}, "net": {"type": ["number", "null"]}},
        "required": ["qty"],
        "additionalProperties": False,
    }
    for process in ways.both("--input a.csv", as_json_schema):
        assert rows(process) == expected
    [run, *steps] = ways.both("--input a.csv")
    assert rows(run) == [{"name": "A", "qty": "1", "net": "1.5"}, {"name": "B", "qty": "-2", "net": ""}]
    assert [rows(step) for step in steps] == [rows(run)] * 2
    assert "note: a.csv: values of CSV are strings without --input-schema\n" in run.stderr


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("A,one,1", "/1/qty: line 3: column 'qty' wants an integer, but the cell is 'one': correct the cell, or make"),
        ("A,,1", "/1/qty: line 3: column 'qty' does not allow null, but the cell is empty: fill the cell in, or let"),
        ("A,1.5,1", "/1/qty: line 3: column 'qty' wants an integer, but the cell is '1.5': write a whole number, or"),
        (
            'A,1,"1,5"',
            "/1/net: line 3: column 'net' wants a number, but the cell is '1,5': write decimals with a point",
        ),
        (
            "A,1,1e999",
            "/1/net: line 3: column 'net' wants a number, but the cell is '1e999': it is larger than a double",
        ),
        ("A,1,-1e999", "/1/net: line 3: column 'net' wants a number, but the cell is '-1e999': it is larger than a"),
        ("A,1,nan", "/1/net: line 3: column 'net' wants a number, but the cell is 'nan': leave the cell empty for"),
        ("A,1,inf", "/1/net: line 3: column 'net' wants a number, but the cell is 'inf': leave the cell empty for"),
        ("A,1,N/A", "/1/net: line 3: column 'net' wants a number, but the cell is 'N/A': leave the cell empty for"),
        ("A,1", "line 3: 2 fields, but the header has 3"),
    ],
)
def test_a_cell_that_does_not_fit_is_shown_with_line_column_and_text(ways: Ways, text: str, refusal: str) -> None:
    (ways.folder / "a.csv").write_text(f"name,qty,net\nA,1,2\n{text}\n")
    for process in ways.both("--input a.csv", MIXED):
        assert process.returncode == 5
        assert refusal in process.stderr
        assert "a.csv" in process.stderr
        for wrong in ("output schema", "convert it with", "return "):
            assert wrong not in process.stderr


def test_a_column_too_many_is_advised_on_as_of_an_input(ways: Ways) -> None:
    (ways.folder / "a.csv").write_text("name,qty,net,more\nA,1,2,x\n")
    for process in ways.both("--input a.csv", MIXED):
        assert process.returncode == 5
        assert "a.csv: /0/more: line 2: 'more' is not in the input schema" in process.stderr
    lenient = ways("run s.py --input a.csv --input-schema in.schema.json --lenient")
    assert rows(lenient) == [{"name": "A", "qty": 1, "net": 2.0}]
    assert "note: a.csv: 'more' is not in the input schema: dropped from 1 row\n" in lenient.stderr


def test_mistakes_in_an_input_schema_are_said_of_it(ways: Ways) -> None:
    (ways.folder / "a.csv").write_text("a\n1\n")
    (ways.folder / "bad.json").write_text('[{"name": "a", "type": "int"}]')
    (ways.folder / "empty.json").write_text("")
    for name, message in (
        ("bad.json", "input schema, at /0/type: unknown column type 'int', did you mean 'integer'?"),
        ("empty.json", "the input schema empty.json is not JSON"),
        ("none.json", "the input schema none.json cannot be read"),
    ):
        process = ways(f"run s.py --input a.csv --input-schema {name}")
        assert (process.returncode, message in process.stderr) == (2, True), process.stderr
        assert "output schema, at" not in process.stderr
    alone = ways("run s.py --input-schema bad.json")
    assert (alone.returncode, "--input-schema without --input" in alone.stderr) == (2, True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b'[{"a": NaN}]', 'NaN at line 1, column 8: JSON has no such number; write null, or the text "NaN"'),
        ("a.jsonl", b'{"a": 1}\n{"a": Infinity}\n', "line 2: not JSON: Infinity at line 2, column 7: JSON has no such"),
        ("a.json", b'{"a": 1}\n{"a": 2}\n', "it looks like JSON Lines: name it .jsonl or add --input-format jsonl"),
        ("a.csv", "a\nMüller\n".encode("cp1252"), "byte 0xfc at offset 3, in line 2; if it has another encoding, name"),
        ("a.csv", b"a,a\n1,2\n", "a.csv, line 1: the column 'a' is there twice"),
    ],
)
def test_what_cannot_be_read_is_explained_alike(ways: Ways, name: str, content: bytes, message: str) -> None:
    (ways.folder / name).write_bytes(content)
    for process in ways.both(f"--input {name}"):
        assert process.returncode == 5
        assert name in process.stderr
        assert message in process.stderr


def test_options_and_names_decide_in_both_commands(ways: Ways) -> None:
    (ways.folder / "a.csv").write_bytes("name\x1fqty\nMüller\x1f1\n".encode("cp1252"))
    (ways.folder / "a.json").write_text('{"a": 1}\n{"a": 2}\n')
    (ways.folder / "a.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n{"a": 2}\n'))
    for process in ways.both("--input a.csv --input-encoding windows-1252 --delimiter $'\\x1f'"):
        assert rows(process) == [{"name": "Müller", "qty": "1"}]
    for options in ("--input a.json --input-format jsonl", "--input a.jsonl.gz"):
        for process in ways.both(options):
            assert rows(process) == [{"a": 1}, {"a": 2}]
    for options, message in (
        ("--input a.json --delimiter ';'", "a delimiter is for CSV, and no input is CSV"),
        ("--input a.csv --delimiter ;;", "the delimiter must be one character"),
        ("--input a.csv --input-encoding klingon", "there is no encoding 'klingon'"),
    ):
        for process in ways.both(options.replace(";;", "';;'")):
            assert (process.returncode, message in process.stderr) == (2, True), process.stderr


@pytest.mark.parametrize(
    ("produce", "form", "expected"),
    [
        ("printf 'name;qty\\nA;1\\n'", "csv", [{"name": "A", "qty": "1"}]),
        ("printf 'name,qty\\nA,1\\n' | gzip", "csv", [{"name": "A", "qty": "1"}]),
        ("printf '[{\"a\": 1}]'", "json", [{"a": 1}]),
        ('printf \'{"a": 1}\\n{"a": 2}\\n\'', "jsonl", [{"a": 1}, {"a": 2}]),
    ],
)
def test_a_pipe_without_a_name_is_looked_at(ways: Ways, produce: str, form: str, expected: list[Any]) -> None:
    for process in ways.both(f"--input <({produce})"):
        assert rows(process) == expected
        assert (
            f"its name does not tell its format, it is read as {form}; --input-format names another" in process.stderr
        )


def test_parquet_is_read_by_both_commands(ways: Ways) -> None:
    table = pa.table({"id": [1, 2], "at": pa.array([1, 10**9], pa.timestamp("ns")), "x": [float("nan"), 1.5]})
    parquet.write_table(table, ways.folder / "a.parquet")
    expected = [
        {"id": 1, "at": "1970-01-01T00:00:00.000000001", "x": None}, {"id": 2, "at": "1970-01-01T00:00:01", "x": 1.5},
    ]  # fmt: skip
    for process in ways.both("--input a.parquet"):
        assert rows(process) == expected
        assert "a.parquet: NaN became null, because JSON has no NaN: in 'x' (1)\n" in process.stderr
    (ways.folder / "a.parquet").write_bytes(b"PAR1 no")
    for process in ways.both("--input a.parquet"):
        assert (process.returncode, "a.parquet cannot be read: it is not Parquet" in process.stderr) == (5, True)


def test_a_step_file_says_how_its_inputs_are_written(ways: Ways) -> None:
    (ways.folder / "a.dat").write_bytes("name|qty\nMüller|1\n".encode("cp1252"))
    text = (
        f"statement_file: s.py\nprocessing: bulk\n{OUTPUT}"
        "inputs: [{name: x, format: csv, encoding: windows-1252, delimiter: pipe}]\n"
    )
    (ways.folder / "x.step.yaml").write_text(text)
    process = ways("step run x.step.yaml --input a.dat")
    assert rows(process) == [{"name": "Müller", "qty": "1"}]
    assert "delimiter" not in process.stderr
    (ways.folder / "y.step.yaml").write_text(text.replace("pipe", "'||'").replace("windows-1252", "klingon"))
    wrong = ways("step run y.step.yaml --input a.dat")
    assert wrong.returncode == 2
    assert "encoding: there is no encoding 'klingon'" in wrong.stderr


def test_the_result_has_what_was_noted(ways: Ways) -> None:
    (ways.folder / "a.csv").write_text("name;qty\nA;1\n")
    command = f"{sys.executable} -m wasmexec run s.py --input a.csv --result"
    record = json.loads(
        subprocess.run(["bash", "-c", command], cwd=ways.folder, capture_output=True, check=True).stdout
    )
    assert record["warnings"] == [
        "a.csv: its header shows that the delimiter is ';', not ',': read so",
        "a.csv: values of CSV are strings without --input-schema",
    ]
