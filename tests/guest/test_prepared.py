"""`Executor.prepare`: checked and compiled once, run many times, and every run is as if it were the only one."""

from __future__ import annotations

import asyncio
import inspect
import queue
import threading
import time
from typing import Any

import pytest
from tests.servers import WebServer

import wasmexec
from wasmexec import (
    ConfigError,
    Deterministic,
    Grants,
    HttpGrant,
    Limits,
    MemoryRecorder,
    OutputError,
    SchemaError,
    StatementSyntaxError,
    Status,
)

DOUBLE = (
    "factor = LocalVariable.Factor\nreturn [{'n': row['n'] * factor, 'since': DATA_CHECKPOINT} for row in INPUT_DATA]"
)
COLUMNS: list[dict[str, Any]] = [
    {"name": "n", "type": "integer"},
    {"name": "since", "type": "text", "allow_null": True},
]


@pytest.fixture(scope="module")
def double(executor: wasmexec.Executor) -> wasmexec.Prepared:
    return executor.prepare(DOUBLE, output_schema=COLUMNS, local_variables={"Factor": 2})


def test_a_started_one_tells_how_far_it_is_and_when_it_is_about_to_be_seen(executor: wasmexec.Executor) -> None:
    done: queue.Queue[wasmexec.Result | BaseException] = queue.Queue()
    asked: list[int] = []
    with WebServer() as server:
        statement = (
            "import httpx\nawait sleep(0.3)\nclient = httpx.AsyncClient()\nfor _ in range(2):\n"
            f"    await client.get('{server.url()}')\nreturn []"
        )
        prepared = executor.prepare(
            statement, grants=Grants(http=[HttpGrant("127.0.0.1", ports=[server.port], allow_private=True)]),
            compile_now=False,
        )  # fmt: skip
        running = prepared.start(done.put, on_first_request=lambda: asked.append(len(server.requests)))
        assert running is not None
        while not running.is_waiting:
            time.sleep(0.001)
        assert asked == []
        used = running.cpu_seconds
        result = done.get(timeout=30)
        assert isinstance(result, wasmexec.Result)
        assert result.status == Status.FINISHED_NO_DATA
        assert (asked, len(server.requests)) == ([0], 2)
        assert 0 < used < min(running.cpu_seconds, result.usage.cpu_seconds)
    refused = executor.prepare("return [", compile_now=False).start(done.put)
    assert refused is None or isinstance(done.get(timeout=30), wasmexec.Result)
    stopped = executor.prepare("await sleep(60)").start(done.put)
    assert stopped is not None
    stopped.cancel()
    last = done.get(timeout=30)
    assert isinstance(last, wasmexec.Result)
    assert last.status == Status.CANCELLED


def test_a_prepared_statement_runs_with_input_after_input(double: wasmexec.Prepared) -> None:
    assert double.refusal is None
    assert double.run(input_data=[{"n": 1}]).rows == [{"n": 2, "since": None}]
    assert double.run(input_data=b'[{"n": 5}]', checkpoint="2024").rows == [{"n": 10, "since": "2024"}]
    assert double.run(input_data=[]).status == Status.FINISHED_NO_DATA


def test_the_three_ways_to_run_give_the_same(double: wasmexec.Prepared) -> None:
    outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
    double.submit(outcomes.put, input_data=[{"n": 3}])
    rows = [
        double.run(input_data=[{"n": 3}]).rows,
        asyncio.run(double.run_async(input_data=[{"n": 3}])).rows,
        outcomes.get(timeout=10).rows,
    ]
    assert rows == [[{"n": 6, "since": None}]] * 3


def test_the_conditions_hold_in_every_run(executor: wasmexec.Executor, double: wasmexec.Prepared) -> None:
    for _ in range(2):
        refused = double.run(input_data=[{"n": 1.5}])
        assert refused.status == Status.OUTPUT_REFUSED
        assert isinstance(refused.error, OutputError)
        assert refused.error.pointer == "/0/n"
    slow = executor.prepare("while True: pass", limits=Limits(cpu_seconds=0.05))
    assert [slow.run().status for _ in range(2)] == [Status.TIMED_OUT] * 2
    secret = executor.prepare("log.info(LocalVariable.KEY)\nreturn []", secrets={"KEY": "hunter22"})
    assert [[record.message for record in secret.run().logs] for _ in range(2)] == [["***"]] * 2


def test_bound_secrets_have_another_placeholder_in_every_run(executor: wasmexec.Executor) -> None:
    key = wasmexec.Secret("sk-0123456789abcdef", hosts=["api.example.com"])
    prepared = executor.prepare("return [{'key': LocalVariable.KEY}]", secrets={"KEY": key})
    keys = {prepared.run().rows[0]["key"] for _ in range(3)}
    assert len(keys) == 3
    assert key.value not in keys


@pytest.mark.parametrize(
    ("statement", "conditions", "kind", "text"),
    [
        ("return [", {}, StatementSyntaxError, "'[' was never closed"),
        ("x: int = 1\nreturn []", {}, StatementSyntaxError, "type hints are not allowed"),
        ("return '\ud800'", {}, StatementSyntaxError, "lone surrogate"),
        ("return []", {"output_schema": {"type": 7}}, SchemaError, "output schema"),
        ("return []", {"limits": Limits(memory_bytes=1 << 20)}, ConfigError, "memory_bytes must be at least"),
        ("return []", {"local_variables": {"a b": 1}}, ConfigError, "identifier"),
        ("return []", {"secrets": {"KEY": 5}}, ConfigError, "KEY"),
    ],
)
def test_what_is_refused_is_told_once_by_the_object_and_by_every_run(
    executor: wasmexec.Executor, statement: str, conditions: dict[str, Any], kind: type[Exception], text: str
) -> None:
    prepared = executor.prepare(statement, **conditions)
    assert isinstance(prepared.refusal, kind)
    assert text in str(prepared.refusal)
    results = [prepared.run(input_data=[1]) for _ in range(2)]
    assert [result.status for result in results] == [Status.CONFIG_REFUSED] * 2
    assert [type(result.error) for result in results] == [kind] * 2
    # As plainly run, byte for byte; and an error that somebody raises is nobody else's.
    assert str(results[0].error) == str(executor.run(statement, **conditions).error)
    with pytest.raises(kind):
        results[0].raise_for_status()
    assert results[1].error is not results[0].error


def test_preparing_compiles_so_that_no_run_does(executor: wasmexec.Executor) -> None:
    long = "\n".join(f"def f{n}(a, b={n}):\n    return [a, b, {{'x': a}}, a + b * {n}]" for n in range(400))
    statement = f"{long}\nreturn [{{'a': f399(1)[3]}}]"
    fresh = executor.run(statement + "\n# text")
    prepared = executor.prepare(statement)
    runs = [prepared.run() for _ in range(3)]
    assert {result.rows[0]["a"] for result in (fresh, *runs)} == {1 + 399 * 399}
    assert min(result.usage.cpu_seconds for result in runs) < fresh.usage.cpu_seconds / 2


def test_one_object_serves_many_threads(double: wasmexec.Prepared) -> None:
    found: list[int] = []

    def work(first: int) -> None:
        for number in range(first, first + 20):
            found.append(double.run(input_data=[{"n": number}]).rows[0]["n"])

    threads = [threading.Thread(target=work, args=(20 * index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [2 * number for number in range(120)]


def test_recordings_and_replays_and_seeds_work_as_with_run(
    executor: wasmexec.Executor, double: wasmexec.Prepared
) -> None:
    recorder = MemoryRecorder()
    rows = double.run(input_data=[{"n": 4}], checkpoint="c", recorder=recorder).rows
    again = double.run(replay=recorder.recording())
    assert again.rows == rows
    assert again.replay is not None
    # The variables are the prepared ones.
    assert again.replay.from_recording == ("input_data", "extra_inputs", "checkpoint")
    free = executor.prepare(DOUBLE, output_schema=COLUMNS)
    assert free.run(replay=recorder.recording()).rows == rows
    dice = executor.prepare("import random\nreturn [{'a': random.random()}]")
    seeded = [dice.run(determinism=Deterministic(seed=1)).rows for _ in range(2)]
    assert seeded[0] == seeded[1] != dice.run().rows


def test_it_ends_with_its_executor(executor: wasmexec.Executor) -> None:
    with wasmexec.Executor(executor.image.manifest) as own:
        prepared = own.prepare("return [{'a': 1}]")
        assert prepared.run().rows == [{"a": 1}]
        kept = own.statistics()
        assert (kept.executions, kept.waiting) == (0, 0)
        assert kept.codes >= 1
        assert kept.code_bytes >= 100
    with pytest.raises(wasmexec.ExecutorClosedError):
        prepared.run()
    with pytest.raises(wasmexec.ExecutorClosedError):
        own.prepare("return []")


def test_signatures_show_every_keyword_with_its_default() -> None:
    for method in (wasmexec.Executor.run, wasmexec.Executor.run_async, wasmexec.Executor.submit):
        options = inspect.signature(method).parameters
        assert {"input_data", "output_schema", "limits", "grants", "secrets", "replay"} <= set(options)
        assert options["limits"].default == Limits()
        assert not any(option.kind is inspect.Parameter.VAR_KEYWORD for option in options.values())
