"""Rows on their way out: nothing before the commit, then whole, in every format."""

from __future__ import annotations

import csv
import io
import json
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from wasmexec import ConfigError, DeliveryError, Result, Status
from wasmexec.cli.outputs import write_rows
from wasmexec.step import Spool
from wasmexec.step.running.totals import Totals

ROWS: list[dict[str, Any]] = [{"a": 1, "b": 'x"\n,'}, {"a": 2**70, "c": [None, 1.5]}]


def written(form: str, rows: list[dict[str, Any]], **options: Any) -> str:
    stream = io.BytesIO()
    spool = Spool(stream, form, **options)
    for index, row in enumerate(rows):
        spool.write([row], index)
    assert stream.getvalue() == b""
    spool.commit()
    return stream.getvalue().decode()


@pytest.mark.parametrize(
    ("form", "some", "none"),
    [
        ("json", '[\n{"a":1,"b":"x\\"\\n,"},\n{"a":1180591620717411303424,"c":[null,1.5]}\n]\n', "[]\n"),
        ("jsonl", '{"a":1,"b":"x\\"\\n,"}\n{"a":1180591620717411303424,"c":[null,1.5]}\n', ""),
        ("csv", 'c,a,b\n,1,"x""\n,"\n"[null,1.5]",1180591620717411303424,\n', "c\n"),
    ],
)
def test_every_format(form: str, some: str, none: str) -> None:
    assert written(form, ROWS, column_names=["c"]) == some
    assert written(form, [], column_names=["c"]) == none


def test_a_row_column_that_the_rows_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="the rows have a column 'a' of their own"):
        Spool(io.BytesIO(), "csv", column_names=["a"], row_column="a")


def test_the_row_column_comes_first() -> None:
    assert written("jsonl", [{"a": 5}, {"a": 6}], row_column="n") == '{"n":0,"a":5}\n{"n":1,"a":6}\n'
    assert written("csv", [{"a": 5}], row_column="n", column_names=["a"]) == "n,a\n0,5\n"


def test_rows_of_too_many_keys_are_no_csv(tmp_path: Path) -> None:
    for form in ("csv", "jsonl"):
        spool = Spool(tmp_path / "rows", form)
        for start in range(0, 100_000, 5000):
            spool.write([{f"key{number}": 1} for number in range(start, start + 5000)], None)
        if form == "csv":
            with pytest.raises(DeliveryError, match="more than 16,384 different keys"):
                spool.commit()
            spool.discard()
            assert not (tmp_path / "rows").exists()
        else:
            spool.commit()
            assert (tmp_path / "rows").read_bytes().count(b"\n") == 100_000


def test_formulas_are_escaped_if_that_is_wanted() -> None:
    rows = [{"a": "=1", "b": -1}]
    assert written("csv", rows) == "a,b\n=1,-1\n"
    assert written("csv", rows, escape_formulas=True) == '"a","b"\n"\'=1",-1\n'
    assert written("jsonl", rows, escape_formulas=True) == '{"a":"=1","b":-1}\n'


class Doubled(Spool):
    """A spool of somebody who changes the rows on their way."""

    def write(self, rows: Sequence[dict[str, Any]], source_row: int | None) -> None:
        super().write([{"a": row["a"] * 2} for row in rows], source_row)


def test_a_spool_with_a_write_of_its_own_is_given_the_rows() -> None:
    found = []
    for kind in (Spool, Doubled):
        stream = io.BytesIO()
        spool = kind(stream, "jsonl")
        totals = Totals(spool, None, None)
        totals.accept(Result(status=Status.FINISHED, rows=[{"a": 1}, {"a": 2}]), 0)
        spool.commit()
        found.append(stream.getvalue())
    assert found == [b'{"a":1}\n{"a":2}\n', b'{"a":2}\n{"a":4}\n']


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old\n")
    path.chmod(0o640)
    dropped = Spool(path, "jsonl")
    dropped.write([{"a": 1}], None)
    dropped.discard()
    assert path.read_text() == "old\n"
    spool = Spool(path, "jsonl")
    spool.write([{"a": 1}], None)
    assert path.read_text() == "old\n"
    spool.commit()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ('{"a":1}\n', 0o640)
    assert list(tmp_path.iterdir()) == [path]


def test_a_target_that_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a folder"):
        Spool(tmp_path)
    with pytest.raises(ConfigError, match="no such folder"):
        Spool(tmp_path / "a" / "b.json")
    with pytest.raises(ConfigError, match="the format must be json, jsonl, csv"):
        Spool(tmp_path / "b", "xml")


def test_many_rows_are_on_disk_and_not_in_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        spool = Spool(tmp_path / "out.json")
        for number in range(300):
            spool.write([{"id": number, "text": "x" * 100}] * 1000, number)
        spool.commit()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "out.json").stat().st_size > 30_000_000
    assert peak < 16_000_000


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_many_blocks_of_rows_are_written_as_one_and_as_the_command_line_writes_them(
    form: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    rows: list[dict[str, Any]] = [{"id": number, "text": "line\n" * 50, "more": [{}, {}]} for number in range(11_000)]
    streamed = written(form, rows)
    write_rows(rows, form, None)
    sys.stdout.flush()
    assert capfdbinary.readouterr().out.decode() == streamed
    if form == "csv":
        records = csv.DictReader(io.StringIO(streamed, newline=""))
        found = [{**row, "id": int(row["id"]), "more": json.loads(row["more"])} for row in records]
    else:
        found = json.loads(streamed if form == "json" else "[" + streamed[:-1].replace("\n", ",") + "]")
    assert found == rows
