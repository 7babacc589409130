"""How much a statement may return: rows, keys, levels, memory; just under a limit, just over, and the next run."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from wasmexec import Executor, Limits, OutputError, OutputLimitError, Status

WIDE = [{"name": f"column_{index}", "type": "text", "allow_null": True} for index in range(100)]


def refused(executor: Executor, statement: str, **options: Any) -> Any:
    result = executor.run(statement, **options)
    assert (result.status, result.rows, result.usage.output_bytes) == (Status.OUTPUT_REFUSED, [], 0)
    assert executor.run("return [{'still': 'fine'}]").rows == [{"still": "fine"}]
    return result.error


def test_rows_are_counted(executor: Executor) -> None:
    limits = Limits(output_rows=3)
    assert len(executor.run("return [{}] * 3", limits=limits).rows) == 3
    error = refused(executor, "return [{}] * 4", limits=limits)
    assert isinstance(error, OutputLimitError)
    assert (error.limit, error.used) == (3, 4)
    assert error.message == "the statement returned 4 rows; at most 3 are allowed (limit output_rows)"


@pytest.mark.parametrize("statement", ["return [dict.fromkeys('abc')]", "return [{'x': [dict.fromkeys('abc')]}]"])
def test_keys_are_counted_in_every_object(executor: Executor, statement: str) -> None:
    assert executor.run(statement, limits=Limits(output_keys=3)).status == Status.FINISHED
    error = refused(executor, statement, limits=Limits(output_keys=2))
    assert isinstance(error, OutputError)
    assert error.rule == "keys"
    assert error.message == "3 keys in one object; at most 2 are allowed (limit output_keys)"
    assert error.pointer == ("/0" if "x" not in statement else "/0/x/0")


def test_levels_are_counted(executor: Executor) -> None:
    statement = "return [{'a': [[1]]}]"
    assert executor.run(statement, limits=Limits(output_depth=4)).rows == [{"a": [[1]]}]
    error = refused(executor, statement, limits=Limits(output_depth=3))
    assert (error.rule, error.message) == ("depth", "nested deeper than 3 levels")


def test_what_takes_too_much_memory_to_check_is_refused(executor: Executor) -> None:
    error = refused(executor, "return [{'a': [[]] * 3_000_000}]")
    assert (error.pointer, error.rule) == ("", "memory")
    assert error.message.startswith("the rows have 9,000,009 bytes of JSON, and to check them, or to say why they ")
    for honest in ("[[]] * 30_000", "[0] * 300_000", "[i / 7 for i in range(100_000)]", "['x' * 9] * 100_000"):
        result = executor.run(f"return [{{'a': {honest}}}]", output_schema={"type": "object"})
        assert (result.status, len(result.rows[0]["a"])) == (200, len(eval(honest))), honest


def test_what_the_schema_fills_in_counts(executor: Executor) -> None:
    result = executor.run("return [{}] * 20_000", output_schema=WIDE)
    assert (result.status, len(result.block), result.block.rows[-1]) == (
        Status.FINISHED, 20_000, {column["name"]: None for column in WIDE},
    )  # fmt: skip
    error = refused(executor, "return [{}] * 200_000", output_schema=WIDE)
    assert isinstance(error, OutputLimitError)
    assert "once their schema has filled in what was missing" in error.message


@pytest.mark.parametrize("crowded", [False, True])
def test_long_outputs_are_the_same_with_others_about(executor: Executor, crowded: bool) -> None:
    statement = "return [{'id': i, 'text': 'ž\\n' * 10, 'value': i / 7} for i in range(30_000)]"
    wanted = [{"id": i, "text": "ž\n" * 10, "value": i / 7} for i in range(30_000)]
    schema = {"properties": {"id": {"type": "integer", "maximum": 29_999}}}
    ended = threading.Event()
    cancel = executor.submit("await sleep(60)\nreturn []", lambda result: ended.set()) if crowded else None
    result = executor.run(statement, output_schema=schema)
    assert result.rows == wanted
    assert [json.loads(line) for line in result.block.lines.splitlines()] == wanted
    assert result.usage.output_bytes == len(json.dumps(wanted, ensure_ascii=False, separators=(",", ":")).encode())
    schema["properties"]["id"]["maximum"] = 29_998
    error = executor.run(statement, output_schema=schema).error
    assert isinstance(error, OutputError)
    assert error.pointer == "/29999/id"
    if cancel is not None:
        cancel()
        assert ended.wait(10)


def test_the_option_that_helps_is_named(tmp_path: Path) -> None:
    statement = tmp_path / "s.py"
    statement.write_text("return [{}] * 4")
    command = [sys.executable, "-m", "wasmexec", "run", str(statement), "--output-rows", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "raise the limit with --output-rows" in done.stderr
    assert "--output-bytes" not in done.stderr
