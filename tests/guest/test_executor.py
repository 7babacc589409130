"""`Executor.run`, `run_async` and `check` on the real guest: what goes in, what comes out, what stays separate."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import time
import urllib.parse
from typing import Any

import pytest

import wasmexec
from wasmexec import Limits, LogRecord, Status

PRICE = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "price": {"type": ["number", "null"]}},
    "required": ["id"],
    "additionalProperties": False,
}


def logged(result: wasmexec.Result) -> list[tuple[str, str]]:
    return [(record.level, record.message) for record in result.logs]


@pytest.mark.timing
def test_a_statement_with_everything_returns_its_validated_rows(executor: wasmexec.Executor) -> None:
    statement = """
log.info(f"{len(INPUT_DATA)} rows, {DATA_CHECKPOINT}, {LocalVariable.Factor}, {INPUT_DATA2}")
rows = [row for row in INPUT_DATA if row["id"] > DATA_CHECKPOINT]
return [{"id": row["id"], "price": row["price"] * LocalVariable.Factor} for row in rows]
"""
    result = executor.run(
        statement,
        input_data=[{"id": 1, "price": 2.5}, {"id": 2, "price": 4}],
        extra_inputs=[{"k": ["v"]}],
        output_schema=PRICE,
        checkpoint=1,
        local_variables={"Factor": 2},
    )
    assert (result.status, result.rows) == (Status.FINISHED, [{"id": 2, "price": 8}])
    assert logged(result) == [("info", "2 rows, 1, 2, {'k': ['v']}")]
    assert (result.error, result.warnings, result.log_dropped) == (None, [], 0)
    usage = result.usage
    assert 0 < usage.cpu_seconds <= usage.wall_seconds + 0.001  # two clocks
    assert usage.wall_seconds < 10
    assert usage.peak_memory_bytes >= executor.image.memory_bytes
    assert usage.output_bytes == len('[{"id":2,"price":8}]')
    assert (usage.http_requests, usage.http_bytes_sent, usage.http_bytes_received) == (0, 0, 0)


STATUSES: list[tuple[str, Status, type[Exception] | None]] = [
    ("return [{'id': 1}]", Status.FINISHED, None),
    ("return []", Status.FINISHED_NO_DATA, None),
    ("log.error('careful')\nreturn [{'id': 1}]", Status.FINISHED_WITH_ERRORS, None),
    ("return 1 / 0", Status.STATEMENT_RAISED, wasmexec.StatementRaised),
    ("return [{'id': 'x'}]", Status.OUTPUT_REFUSED, wasmexec.OutputError),
    ("return None", Status.OUTPUT_REFUSED, wasmexec.OutputError),
    ("x = 1", Status.OUTPUT_REFUSED, wasmexec.OutputError),
    ("x: int = 1\nreturn []", Status.CONFIG_REFUSED, wasmexec.StatementSyntaxError),
    ("return [", Status.CONFIG_REFUSED, wasmexec.StatementSyntaxError),
    ("import os\nreturn []", Status.STATEMENT_RAISED, wasmexec.StatementRaised),
]


@pytest.mark.parametrize(("statement", "status", "kind"), STATUSES)
def test_each_outcome_has_its_status_and_its_error(
    executor: wasmexec.Executor, statement: str, status: Status, kind: type[Exception] | None
) -> None:
    result = executor.run(statement, output_schema=PRICE)
    assert (result.status, None if result.error is None else type(result.error)) == (status, kind)
    if kind is None:
        result.raise_for_status()
    else:
        assert result.rows == []
        with pytest.raises(kind):
            result.raise_for_status()


def test_a_column_of_another_type_is_refused_by_its_pointer(executor: wasmexec.Executor) -> None:
    result = executor.run(
        "return [{'id': n, 'price': None if n < 17 else 'x'} for n in range(20)]", output_schema=PRICE
    )
    assert isinstance(result.error, wasmexec.OutputError)
    assert (result.error.pointer, result.error.rule, result.error.value) == ("/17/price", "type", "'x'")


def test_nan_is_null_and_refused_where_null_is_not_allowed(executor: wasmexec.Executor) -> None:
    statement = "return [{'id': 1, 'price': 1.5}, {'id': float('nan')}]"
    result = executor.run(statement, output_schema=PRICE)
    assert isinstance(result.error, wasmexec.OutputError)
    assert (result.error.pointer, result.error.rule, result.error.value) == ("/1/id", "type", "None")


def test_a_prepared_schema_and_a_column_list_are_schemas_too(executor: wasmexec.Executor) -> None:
    columns: list[dict[str, Any]] = [
        {"name": "id", "type": "integer"},
        {"name": "note", "type": "text", "allow_null": True},
    ]
    for schema in (columns, wasmexec.Schema.prepare(columns)):
        assert executor.run("return [{'id': 1}]", output_schema=schema).rows == [{"id": 1, "note": None}]
        assert executor.run("return [{'id': '1'}]", output_schema=schema).status == Status.OUTPUT_REFUSED


@pytest.mark.parametrize("schema", [{"type": "no such type"}, [{"name": "id"}], {"$ref": "#/nowhere"}])
def test_a_schema_that_is_itself_invalid_is_refused_before_anything_runs(
    executor: wasmexec.Executor, schema: Any
) -> None:
    result = executor.run("log.info('ran')\nreturn []", output_schema=schema)
    assert (result.status, type(result.error), result.logs) == (Status.CONFIG_REFUSED, wasmexec.SchemaError, [])


INPUTS: list[tuple[bytes, str]] = [
    (b"[1,", "INPUT_DATA is not JSON: Expecting value: line 1 column 4 (char 3)"),
    (b"", "INPUT_DATA is not JSON: Expecting value: line 1 column 1 (char 0)"),
    (b"[NaN]", "INPUT_DATA is not JSON: NaN is not JSON"),
    (b"\xff\xfe[\x00]\x00", "INPUT_DATA is not UTF-8: byte 0xff at position 0"),
]


@pytest.mark.parametrize(("data", "message"), INPUTS)
def test_an_input_that_is_not_json_is_refused(executor: wasmexec.Executor, data: bytes, message: str) -> None:
    result = executor.run("log.info('ran')\nreturn []", input_data=data)
    assert (result.status, str(result.error), result.logs) == (Status.INPUT_REFUSED, message, [])


def test_integers_of_any_size_go_through_unchanged(executor: wasmexec.Executor) -> None:
    rows = [{"a": 2**63, "b": -(2**64), "c": 10**40, "d": 2**53 + 1}]
    assert executor.run("return INPUT_DATA", input_data=rows).rows == rows
    assert executor.run("return INPUT_DATA", input_data=json.dumps(rows).encode()).rows == rows


def test_a_large_input_and_output_go_through_unchanged(executor: wasmexec.Executor) -> None:
    rows = [{"id": n, "name": f"row {n} ž", "price": n / 7, "tags": ["a", None, True]} for n in range(50_000)]
    result = executor.run("return INPUT_DATA", input_data=rows)
    assert result.rows == rows
    assert result.usage.output_bytes > 3_000_000


def test_changing_the_input_does_not_change_the_callers(executor: wasmexec.Executor) -> None:
    data = [{"a": [1]}]
    executor.run("INPUT_DATA[0]['a'].append(2)\nINPUT_DATA.clear()\nreturn []", input_data=data)
    assert data == [{"a": [1]}]


def test_nothing_of_one_execution_is_seen_by_the_next(executor: wasmexec.Executor) -> None:
    leave = """
import json, warnings, math
json.left = warnings.left = math.pi = "here"
warnings.sys.modules["left"] = json
open("/tmp/left", "w").write("here")
builtins = warnings.sys.modules["builtins"]
builtins.left = "here"
return []
"""
    look = """
import json, warnings, math
os = warnings.sys.modules["os"]
found = [hasattr(json, "left"), hasattr(warnings, "left"), math.pi == "here", "left" in warnings.sys.modules,
         os.path.exists("/tmp/left"), "left" in dir(warnings.sys.modules["builtins"])]
return [{"found": found}]
"""
    assert executor.run(f"{leave[:-11]}\n{look[1:]}").rows == [{"found": [True] * 6}]
    assert executor.run(leave).status == Status.FINISHED_NO_DATA
    assert executor.run(look).rows == [{"found": [False] * 6}]


SECRET = "p@ss w/örd\"x'"


def test_a_secret_is_usable_and_masked_wherever_people_read(executor: wasmexec.Executor) -> None:
    statement = """
import base64, json, warnings
key = LocalVariable.KEY
log.info(key)
print("json", json.dumps({"key": key}))
print("repr", [key])
print("base64", base64.b64encode(f"user:{key}".encode()).decode())
warnings.warn(f"careful with {key}")
raise ValueError(f"bad key {key}")
"""
    records: list[LogRecord] = []
    result = executor.run(statement, secrets={"KEY": SECRET}, on_log=records.append)
    assert isinstance(result.error, wasmexec.StatementRaised)
    assert result.error.message == "ValueError: bad key *** (line 9)"
    assert result.error.exception_message == "bad key ***"
    assert "ValueError: bad key ***" in result.error.traceback
    assert [message for _, message in logged(result)] == [
        "***", 'json {"key": "***"}', "repr ['***']", logged(result)[3][1], "UserWarning: careful with *** (line 8)",
    ]  # fmt: skip
    assert logged(result)[3][1].startswith("base64 dXNlcj")
    assert base64.b64encode(f"user:{SECRET}".encode()).decode()[12:-4] not in logged(result)[3][1]
    assert records == result.logs
    everything = json.dumps(result.as_dict(), ensure_ascii=False)
    for spelling in (SECRET, urllib.parse.quote(SECRET), json.dumps(SECRET)[1:-1]):
        assert spelling not in everything
    assert executor.run("return [{'k': LocalVariable.KEY}]", secrets={"KEY": SECRET}).rows == [{"k": SECRET}]


def test_without_being_listed_as_secret_a_value_is_shown(executor: wasmexec.Executor) -> None:
    result = executor.run("log.info(LocalVariable.KEY)\nreturn []", local_variables={"KEY": SECRET})
    assert logged(result) == [("info", SECRET)]


def test_log_records_arrive_while_the_statement_runs(executor: wasmexec.Executor) -> None:
    times: list[float] = []
    result = executor.run(
        "for n in range(3):\n    log.debug(n)\n    await sleep(0.1)\nreturn []",
        on_log=lambda record: times.append(time.time()),
    )
    assert logged(result) == [("debug", "0"), ("debug", "1"), ("debug", "2")]
    assert times[2] - times[0] > 0.15
    assert all(abs(at - record.time) < 0.1 for at, record in zip(times, result.logs, strict=True))


def test_run_async_gives_the_same_results(executor: wasmexec.Executor) -> None:
    async def main() -> list[wasmexec.Result]:
        return await asyncio.gather(
            *(executor.run_async("return INPUT_DATA", input_data=[{"id": n}], output_schema=PRICE) for n in range(20))
        )

    assert [result.rows for result in asyncio.run(main())] == [[{"id": n}] for n in range(20)]


def test_check_reports_problems_and_runs_nothing(executor: wasmexec.Executor) -> None:
    problems = executor.check("import os\nx: int = 1\nwhile True: pass")
    assert [(problem.rule, problem.line, problem.column) for problem in problems][:2] == [
        ("import", 1, 8), ("type-hint", 2, 4),
    ]  # fmt: skip
    assert problems[0].text == "import os"
    assert executor.check("import math\nreturn [{'pi': math.pi}]") == []
    assert [problem.rule for problem in executor.check("return [")] == ["syntax"]
    assert [problem.rule for problem in executor.check("x = '\ud800'")] == ["syntax"]


def test_check_of_a_statement_that_is_hard_to_parse_ends(executor: wasmexec.Executor) -> None:
    assert executor.check("return " + "(" * 10_000)[0].rule == "syntax"
    assert executor.check("x = 1\n" * 5_000 + "return []") == []


def test_the_first_result_needs_neither_asyncio_nor_an_http_client() -> None:
    program = """
import sys, wasmexec
with wasmexec.Executor() as executor:
    assert executor.run("return [{'a': 1}]", output_schema={"type": "object"}).rows == [{"a": 1}]
print([name for name in ("asyncio", "httpcore", "anyio", "click", "rich", "ssl", "logging") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout, run.stderr) == ("[]\n", "")


def test_limits_are_kept_per_execution(executor: wasmexec.Executor) -> None:
    async def main() -> list[wasmexec.Result]:
        return await asyncio.gather(
            *(executor.run_async("await sleep(0.3)\nreturn []", limits=Limits(wall_seconds=s)) for s in (0.1, 5))
        )

    assert [result.status for result in asyncio.run(main())] == [Status.TIMED_OUT, Status.FINISHED_NO_DATA]
