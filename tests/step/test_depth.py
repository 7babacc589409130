"""A row of any depth is accepted everywhere or refused everywhere as a row: guest, inputs, workers, recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.step.helpers import make_step

from wasmexec import Executor, InputError, Status
from wasmexec.rows.bad_row import BadRow
from wasmexec.rows.source import Source
from wasmexec.rows.spool import Spool
from wasmexec.store import RunStore

COLUMNS = "  - {name: a, type: json}\n"
DEEPEST = 511
DEPTHS = [250, 254, 255, 256, 300, 400, 505, 510, 511, 512, 513, 520, 600]


def nested(depth: int) -> tuple[dict[str, Any], bytes]:
    row: dict[str, Any] = {"a": []}
    inner = row["a"]
    for _ in range(depth - 2):
        inner.append([])
        inner = inner[0]
    return row, b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("way", ["python", "bytes", "a.json", "a.jsonl"])
def test_an_input_of_every_kind_takes_the_same_depth(tmp_path: Path, depth: int, way: str) -> None:
    row, text = nested(depth)
    value: Any = {"python": [row, {"a": 1}], "bytes": b"[%b,{}]" % text}.get(way)
    if value is None:
        value = tmp_path / way
        value.write_bytes(text + b"\n{}\n" if way == "a.jsonl" else b"[%b,{}]" % text)
    first, second = Source(value, max_row_bytes=1024**2).rows()
    assert isinstance(second, bytes)
    assert isinstance(first, BadRow) is (depth > DEEPEST)
    if isinstance(first, BadRow):
        assert "nested deeper than 511 levels" in first.error.message


@pytest.mark.parametrize("depth", [255, 300, 511, 512, 600])
def test_a_row_goes_all_the_way_or_fails_as_a_row(tmp_path: Path, executor: Executor, depth: int) -> None:
    _, text = nested(depth)
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_bytes(b'{"a":[0]}\n%b\n{"a":[2]}\n' % text)
    step = make_step(tmp_path, "return [{'a': INPUT_DATA[0]['a']}]", columns=COLUMNS, on_row_error="skip")
    with RunStore.open(f"sqlite:///{tmp_path}/runs.db") as store:
        result = step.run(path, executor=executor, store=store, record=True, output=Spool(out, "jsonl"))
        assert result.run_id is not None
        replayed = step.replay(result.run_id, store, executor=executor)
    lines = out.read_bytes().splitlines()
    is_taken = depth <= DEEPEST
    assert lines == ([b'{"a":[0]}', text, b'{"a":[2]}'] if is_taken else [b'{"a":[0]}', b'{"a":[2]}'])
    assert result.rows_failed == (0 if is_taken else 1)
    assert all(isinstance(failure.error, InputError) for failure in result.failures)
    assert replayed is not None


@pytest.mark.parametrize("depth", [511, 512])
def test_a_statement_returns_what_it_could_be_given(executor: Executor, depth: int) -> None:
    _, text = nested(depth)
    result = executor.run("return INPUT_DATA", input_data=b"[%b]" % text)
    if depth <= DEEPEST:
        assert json.dumps(result.rows[0], separators=(",", ":")).encode() == text
    else:
        assert result.status is Status.OUTPUT_REFUSED


@pytest.mark.timeout(120)
def test_worker_processes_take_the_same_depth(tmp_path: Path, executor: Executor) -> None:
    path = tmp_path / "in.jsonl"
    _, fits = nested(DEEPEST)
    _, deeper = nested(DEEPEST + 1)
    path.write_bytes(b'{"a":[0]}\n' * 1500 + b"%b\n%b\n" % (fits, deeper) + b'{"a":[1]}\n')
    step = make_step(tmp_path, "return [{'a': INPUT_DATA[0]['a']}]", columns=COLUMNS, on_row_error="skip")
    result = step.run(path, executor=executor, processes=2)
    assert [failure.row for failure in result.failures] == [1501]
    assert (result.rows_in, result.rows_out) == (1503, 1502)
