"""Runs of steps on the real image: processing, checkpoint, local variables, inputs, secrets, and every status."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.step.helpers import make_step

import wasmexec
from wasmexec import InputSchemaError, OutputError, Status
from wasmexec.step import Cancellation, Progress, Step, StepLog
from wasmexec.store import CheckpointConflictError, RunStore, StoreBounds

ROWS = [{"id": 1}, {"id": 2}, {"id": 3}]
DOUBLE = "return [{'id': row['id'] * 2} for row in INPUT_DATA]"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    """A run store of its own."""
    with RunStore.open(tmp_path / "runs.sqlite3") as opened:
        yield opened


def test_row_by_row_is_the_default_and_gives_one_row_at_a_time(tmp_path: Path, executor: wasmexec.Executor) -> None:
    step = make_step(tmp_path, "return [{'id': row['id']} for row in INPUT_DATA] + [{'id': len(INPUT_DATA)}]")
    result = step.run(ROWS, executor=executor)
    assert result.status is Status.FINISHED
    assert result.rows == [{"id": 1}, {"id": 1}, {"id": 2}, {"id": 1}, {"id": 3}, {"id": 1}]
    assert list(result.source_rows) == [0, 0, 1, 1, 2, 2]
    assert (result.rows_in, result.rows_out, result.executions) == (3, 6, 3)


def test_bulk_is_one_execution_with_all_rows(tmp_path: Path, executor: wasmexec.Executor) -> None:
    step = make_step(tmp_path, "return [{'id': len(INPUT_DATA)}]", processing="bulk")
    result = step.run(ROWS, executor=executor)
    assert (result.rows, result.executions, result.rows_in) == ([{"id": 3}], 1, 3)


@pytest.mark.parametrize("processing", ["row_by_row", "bulk"])
def test_without_an_input_there_is_one_execution_that_sees_none(
    tmp_path: Path, executor: wasmexec.Executor, processing: str
) -> None:
    step = make_step(tmp_path, "return [{'id': 1 if INPUT_DATA is None else 2}]", processing=processing)
    result = step.run(executor=executor)
    assert (result.rows, result.executions, result.rows_in) == ([{"id": 1}], 1, 0)


def test_an_input_without_rows(tmp_path: Path, executor: wasmexec.Executor) -> None:
    by_row = make_step(tmp_path, "return 1 / 0").run([], executor=executor)
    assert (by_row.status, by_row.executions) == (Status.FINISHED_NO_DATA, 0)
    bulk = make_step(tmp_path, "return [{'id': int(INPUT_DATA == [])}]", processing="bulk").run([], executor=executor)
    assert bulk.rows == [{"id": 1}]


def test_results_keep_the_order_of_the_input_whatever_takes_longest(
    tmp_path: Path, executor: wasmexec.Executor
) -> None:
    step = make_step(tmp_path, "await sleep(0.3 if INPUT_DATA[0]['id'] % 5 == 0 else 0)\nreturn INPUT_DATA")
    result = step.run(({"id": number} for number in range(40)), executor=executor)
    assert [row["id"] for row in result.rows] == list(range(40))
    assert list(result.source_rows) == list(range(40))


@pytest.mark.timing
def test_rows_that_wait_wait_together_but_not_more_than_concurrency(
    tmp_path: Path, executor: wasmexec.Executor
) -> None:
    statement = "await sleep(0.5)\nreturn INPUT_DATA"
    started = time.monotonic()
    assert make_step(tmp_path, statement, concurrency="24").run(
        [{"id": number} for number in range(24)], executor=executor
    ).status is Status.FINISHED  # fmt: skip
    together = time.monotonic() - started
    started = time.monotonic()
    make_step(tmp_path, statement, concurrency="1").run([{"id": number} for number in range(4)], executor=executor)
    assert time.monotonic() - started >= 2.0
    assert together < 6.0


def test_nothing_survives_from_one_row_to_the_next(tmp_path: Path, executor: wasmexec.Executor) -> None:
    statement = "import math\nseen = getattr(math, 'seen', 0)\nmath.seen = seen + 1\nreturn [{'id': seen}]"
    result = make_step(tmp_path, statement).run(ROWS, executor=executor)
    assert result.rows == [{"id": 0}, {"id": 0}, {"id": 0}]


# Checkpoints


def test_the_last_row_is_the_checkpoint_of_the_next_run(
    tmp_path: Path, executor: wasmexec.Executor, store: RunStore
) -> None:
    statement = "log.info(repr(DATA_CHECKPOINT))\nreturn [{'id': (DATA_CHECKPOINT or 0) + INPUT_DATA[0]['id']}]"
    step = make_step(tmp_path, statement, checkpoint_column="id")
    first = step.run(ROWS, executor=executor, store=store)
    assert [item.record.message for item in first.logs] == ["None", "None", "None"]
    assert (first.checkpoint, first.checkpoint_advanced) == (3, True)
    second = step.run(ROWS, executor=executor, store=store)
    assert [item.record.message for item in second.logs] == ["3", "3", "3"]
    assert second.checkpoint == 6
    assert store.checkpoint("step").value == 6
    assert [run.checkpoint_after for run in store.runs("step").runs] == [6, 3]


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        ("return []", Status.FINISHED_NO_DATA),
        ("return [{'id': 1 / 0}]", Status.STATEMENT_RAISED),
        ("return [{'id': 'x'}]", Status.OUTPUT_REFUSED),
    ],
)
def test_an_empty_output_or_a_failure_leaves_the_checkpoint(
    tmp_path: Path, executor: wasmexec.Executor, store: RunStore, statement: str, status: Status
) -> None:
    store.set_checkpoint("step", 17)
    step = make_step(tmp_path, statement, checkpoint_column="id", processing="bulk")
    result = step.run(executor=executor, store=store)
    assert (result.status, result.checkpoint, result.checkpoint_advanced) == (status, 17, False)
    assert (store.checkpoint("step").value, store.checkpoint("step").version) == (17, 1)


def test_a_null_in_the_last_row_stores_null(tmp_path: Path, executor: wasmexec.Executor, store: RunStore) -> None:
    store.set_checkpoint("step", 17)
    columns = "  - {name: id, type: integer, allow_null: true}\n"
    step = make_step(tmp_path, "return [{'id': 1}, {}]", columns=columns, checkpoint_column="id", processing="bulk")
    assert step.run(executor=executor, store=store).checkpoint_advanced
    assert (store.checkpoint("step").value, store.checkpoint("step").version) == (None, 2)


def test_the_loser_of_two_runs_is_told_and_delivers_nothing(
    tmp_path: Path, executor: wasmexec.Executor, store: RunStore
) -> None:
    step = make_step(tmp_path, "await sleep(0.5)\nreturn [{'id': 5}]", checkpoint_column="id", processing="bulk")
    output = Rows()
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(step.run(executor=executor, store=store, output=output)))
    thread.start()
    while not store.runs("step").runs:
        time.sleep(0.01)
    store.set_checkpoint("step", 99)
    thread.join()
    [lost] = results
    assert (lost.status, lost.rows_out, lost.checkpoint_advanced) == (Status.CANCELLED, 0, False)
    assert isinstance(lost.error, CheckpointConflictError)
    assert (output.rows, output.delivered) == ([{"id": 5}], False)
    assert store.checkpoint("step").value == 99
    assert store.get_run(lost.run_id).state == "conflict"


# Local variables, inputs, secrets


def test_local_variables_have_values_and_are_updated_from_the_last_row(
    tmp_path: Path, executor: wasmexec.Executor
) -> None:
    step = make_step(
        tmp_path,
        "last = LocalVariable.Last\nreturn [{'id': last + 1}, {'id': last + 2 if LocalVariable.Unset is None else 0}]",
        local_variables="{Last: {type: integer, initial: 7, update_from: id}, Unset: text, "
        "Kept: {type: text, initial: a}}",
        processing="bulk",
    )
    result = step.run(executor=executor)
    assert result.rows == [{"id": 8}, {"id": 9}]
    assert result.local_variables == {"Last": 9, "Unset": None, "Kept": "a"}
    again = step.run(executor=executor, local_variables={"Last": 100})
    assert again.local_variables == {"Last": 102, "Unset": None, "Kept": "a"}
    wrong = step.run(executor=executor, local_variables={"Last": "x"})
    assert wrong.status is Status.CONFIG_REFUSED
    assert str(wrong.error) == "local variable Last: expected a whole number or null, got a string"
    unknown = step.run(executor=executor, local_variables={"Lst": 1})
    assert str(unknown.error) == "local variable Lst: the step has no such variable; it has Last, Unset, Kept"


def test_a_local_variable_refuses_a_value_of_another_type(tmp_path: Path, executor: wasmexec.Executor) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "statement: \"return [{'v': 'x'}]\"\noutput_schema: {type: object, properties: {v: {}}}\n"
        "local_variables: {V: {type: integer, update_from: v}}\ncheckpoint_column: v\n"
    )
    result = Step.load(path).run(executor=executor)
    assert result.status is Status.OUTPUT_REFUSED
    assert isinstance(result.error, OutputError)
    assert (result.error.pointer, result.error.rule, result.checkpoint_advanced) == ("/0/v", "local-variable", False)


def test_further_inputs_are_whole_in_every_execution(tmp_path: Path, executor: wasmexec.Executor) -> None:
    columns = "  - {name: a, type: integer}\n  - {name: b, type: json, allow_null: true}\n  - {name: c, type: json}\n"
    statement = "return [{'a': INPUT_DATA[0]['id'], 'b': INPUT_DATA2, 'c': INPUT_DATA3}]"
    step = make_step(tmp_path, statement, columns=columns, inputs="[{name: x}, {name: y}, {name: z}]")
    result = step.run(ROWS, extra_inputs=[None, [{"k": 1}, {"k": 2}]], executor=executor)
    assert result.rows == [{"a": number, "b": None, "c": [{"k": 1}, {"k": 2}]} for number in (1, 2, 3)]
    refused = step.run(ROWS, extra_inputs=[None, None, []], executor=executor)
    assert refused.status is Status.CONFIG_REFUSED
    assert str(refused.error) == "more inputs are given than the step has; its inputs are: x, y, z"


def test_secrets_come_from_the_environment_or_a_file_and_are_masked(
    tmp_path: Path, executor: wasmexec.Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pin.txt").write_text("pin-4711\n")
    monkeypatch.setenv("STEP_TOKEN", "tok-0815")
    step = make_step(
        tmp_path,
        "log.info(LocalVariable.Token + LocalVariable.Pin)\nraise ValueError(LocalVariable.Pin)",
        secrets="{Token: {env: STEP_TOKEN}, Pin: {file: pin.txt}}",
        processing="bulk",
    )
    result = step.run(executor=executor)
    assert [item.record.message for item in result.logs] == ["******"]
    assert str(result.error) == "ValueError: *** (line 2)"
    assert "4711" not in str(result.as_dict())
    monkeypatch.delenv("STEP_TOKEN")
    missing = step.run(executor=executor)
    assert (missing.status, str(missing.error)) == (
        Status.CONFIG_REFUSED, "secret Token: the environment has no variable STEP_TOKEN",
    )  # fmt: skip


@pytest.mark.parametrize("processing", ["bulk", "row_by_row"])
@pytest.mark.parametrize(("hosts", "shown"), [("", "ValueError: *** (line 1)"), (", hosts: [a.example.com]", None)])
def test_no_mask_answers_guesses_of_a_bound_secret(
    tmp_path: Path, executor: wasmexec.Executor, monkeypatch: pytest.MonkeyPatch, processing: str, hosts: str,
    shown: str | None,
) -> None:  # fmt: skip
    guess = "tok-0815-aBcD"
    monkeypatch.setenv("STEP_TOKEN", guess)
    step = make_step(
        tmp_path, f"raise ValueError({guess!r})", secrets=f"{{Token: {{env: STEP_TOKEN{hosts}}}}}",
        processing=processing,
    )  # fmt: skip
    result = step.run([{"id": 1}], executor=executor)
    assert str(result.error) == (shown or f"ValueError: {guess} (line 1)")


def test_an_input_row_that_breaks_its_schema_is_named_with_index_pointer_rule_and_value(
    tmp_path: Path, executor: wasmexec.Executor
) -> None:
    schema = "[{name: x, schema: [{name: id, type: integer}]}]"
    rows: list[Any] = [{"id": 1}, {"id": "two"}, {"id": 3}]
    for processing in ("row_by_row", "bulk"):
        result = make_step(tmp_path, DOUBLE, inputs=schema, processing=processing).run(rows, executor=executor)
        assert (result.status, result.rows) == (Status.INPUT_REFUSED, [])
        assert isinstance(result.error, InputSchemaError)
        assert (result.error.pointer, result.error.rule, result.error.value) == ("/1/id", "type", "'two'")
    skipped = make_step(tmp_path, DOUBLE, inputs=schema, on_row_error="skip").run(rows, executor=executor)
    assert (skipped.status, skipped.rows, skipped.rows_failed) == (202, [{"id": 2}, {"id": 6}], 1)
    [failure] = skipped.failures
    assert (failure.row, failure.status, failure.as_dict()["error"]) == (
        1,
        307,
        {
            "type": "InputSchemaError",
            "message": "INPUT_DATA: /1/id: column 'id' wants an integer, got a string 'two': correct the value, "
            "or make the column a text",
            "pointer": "/1/id",
            "rule": "type",
            "value": "'two'",
            "source": "INPUT_DATA",
        },
    )


# Statuses


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        ("return [{'id': 1}]", 200),
        ("return []", 201),
        ("log.error('x')\nreturn [{'id': 1}]", 202),
        ("return [{'id': 1 / 0}]", 300),
        ("while True: pass", 302),
        ("await sleep(60)\nreturn []", 302),
        ("import random\nrandom._os._exit(3)", 304),
        ("return [{'id': 'x'}]", 306),
        ("return {'id': 1}", 306),
        ("x: int = 1\nreturn []", 400),
    ],
)
@pytest.mark.parametrize("processing", ["row_by_row", "bulk"])
def test_every_status_of_a_statement(
    tmp_path: Path, executor: wasmexec.Executor, store: RunStore, statement: str, status: int, processing: str
) -> None:
    step = make_step(tmp_path, statement, processing=processing, limits="{wall_seconds: 1, cpu_seconds: 1}")
    result = step.run([{"id": 1}], executor=executor, store=store)
    assert result.status == status
    assert (result.error is None) == (status < 300)
    record = store.get_run(result.run_id or 0)
    assert (record.status, record.state) == (status, "finished")


@pytest.mark.timing
@pytest.mark.parametrize("processing", ["row_by_row", "bulk"])
def test_303_cancelled(tmp_path: Path, executor: wasmexec.Executor, store: RunStore, processing: str) -> None:
    step = make_step(tmp_path, "await sleep(60)\nreturn []", processing=processing)
    cancellation = Cancellation()
    threading.Timer(0.5, cancellation.cancel).start()
    started = time.monotonic()
    result = step.run([{"id": 1}] * 50, executor=executor, cancellation=cancellation, store=store)
    assert (result.status, time.monotonic() - started < 10) == (303, True)
    assert store.get_run(result.run_id or 0).status == 303


@pytest.mark.parametrize("processing", ["row_by_row", "bulk"])
def test_307_input_refused(tmp_path: Path, executor: wasmexec.Executor, processing: str) -> None:
    step = make_step(tmp_path, DOUBLE, processing=processing)
    assert step.run(b'[{"id": 1}, {"id": }]', executor=executor).status == 307
    assert step.run(b"\xff", executor=executor).status == 307
    assert step.run([{"id": object()}], executor=executor).status == 307
    assert step.run([{"id": 21}], executor=executor).rows == [{"id": 42}]


def test_400_for_a_file_that_is_not_there(tmp_path: Path, executor: wasmexec.Executor) -> None:
    result = make_step(tmp_path, DOUBLE).run(tmp_path / "no.jsonl", executor=executor)
    assert (result.status, "no.jsonl cannot be read: No such file" in str(result.error)) == (400, True)
    unknown = make_step(tmp_path, DOUBLE).run(tmp_path / "no.xyz", executor=executor)
    assert "the name does not tell its format" in str(unknown.error)


# Failing rows


def test_the_first_failing_row_in_input_order_fails_the_step(
    tmp_path: Path, executor: wasmexec.Executor, store: RunStore
) -> None:
    statement = """
    if INPUT_DATA[0]["id"] == 3:
        await sleep(0.3)
    return [{"id": 10 // (INPUT_DATA[0]["id"] - 3) // (INPUT_DATA[0]["id"] - 5)}]
    """
    output = Rows()
    step = make_step(tmp_path, statement, checkpoint_column="id")
    rows = [{"id": number} for number in range(8)]
    result = step.run(rows, executor=executor, store=store, output=output)
    assert result.status is Status.STATEMENT_RAISED
    assert [(failure.row, failure.status) for failure in result.failures] == [(3, 300)]
    assert (result.rows, result.rows_out, output.delivered, output.discarded) == ([], 0, False, True)
    assert store.checkpoint("step").cause == "never"
    [error] = store.row_errors(result.run_id or 0).errors
    assert (error.row, error.status, error.error["type"]) == (3, 300, "StatementRaised")
    assert list(store.output(result.run_id or 0)) == []


def test_skip_keeps_the_others_once_and_records_each_failure(
    tmp_path: Path, executor: wasmexec.Executor, store: RunStore
) -> None:
    statement = """
    number = INPUT_DATA[0]["id"]
    if number % 10 == 3:
        raise ValueError(f"bad {number}")
    return [{"id": "x" if number % 10 == 7 else number}]
    """
    step = make_step(tmp_path, statement, on_row_error="skip", checkpoint_column="id")
    result = step.run(({"id": number} for number in range(100)), executor=executor, store=store)
    good = [number for number in range(100) if number % 10 not in (3, 7)]
    assert result.status is Status.FINISHED_WITH_ERRORS
    assert [row["id"] for row in result.rows] == good
    assert (result.rows_in, result.rows_out, result.rows_failed, result.checkpoint) == (100, 80, 20, 99)
    stored = list(store.output(result.run_id or 0))
    assert [(item.row["id"], item.source_row) for item in stored] == [(number, number) for number in good]
    errors = store.row_errors(result.run_id or 0).errors
    assert [error.row for error in errors] == [number for number in range(100) if number % 10 in (3, 7)]
    assert errors[1].error["pointer"] == "/0/id"
    assert errors[1].error["rule"] == "type"
    assert errors[1].error["value"] == "'x'"


def test_a_statement_that_does_not_compile_fails_the_step_even_with_skip(
    tmp_path: Path, executor: wasmexec.Executor
) -> None:
    result = make_step(tmp_path, "return (", on_row_error="skip").run(ROWS, executor=executor)
    assert (result.status, result.rows_failed) == (400, 1)


# Logs, progress, async, processes


def test_a_flood_of_records_hides_no_error_of_a_run(tmp_path: Path, executor: wasmexec.Executor) -> None:
    statement = "for n in range(10_500): log.info(n)\nlog.error('the disk is full')\nreturn [{'id': 1}]"
    step = make_step(tmp_path, statement, processing="bulk", limits="{log_records: 20000}")
    with RunStore.open(tmp_path / "small.sqlite3", bounds=StoreBounds(log_records=10)) as store:
        result = step.run(executor=executor, store=store)
        assert result.status is Status.FINISHED_WITH_ERRORS
        assert (len(result.logs), result.log_dropped) == (10_001, 500)
        assert result.logs[-1].record.message == "the disk is full"
        assert result.run_id is not None
        stored = store.logs(result.run_id).records
        assert [record.message for record in stored] == [*map(str, range(10)), "the disk is full"]


def test_log_records_know_their_row_and_come_in_order(tmp_path: Path, executor: wasmexec.Executor) -> None:
    seen: list[StepLog] = []
    step = make_step(tmp_path, "log.info(INPUT_DATA[0]['id'])\nreturn []")
    result = step.run(ROWS, executor=executor, on_log=seen.append)
    assert [(item.row, item.record.message) for item in seen] == [(0, "1"), (1, "2"), (2, "3")]
    assert result.logs == seen
    bulk = make_step(tmp_path, "log.info('all')\nreturn []", processing="bulk")
    seen.clear()
    bulk.run(ROWS, executor=executor, on_log=seen.append)
    assert [(item.row, item.record.message) for item in seen] == [(None, "all")]


def test_progress_is_reported(tmp_path: Path, executor: wasmexec.Executor) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(f'{{"id": {number}}}\n' for number in range(20)))
    seen: list[Progress] = []
    step = make_step(tmp_path, "await sleep(0.4)\nreturn INPUT_DATA", concurrency="2")
    step.run(path, executor=executor, on_progress=seen.append)
    assert len(seen) >= 3
    assert [item.rows_done for item in seen] == sorted(item.rows_done for item in seen)
    assert [item.fraction for item in seen] == [pytest.approx(item.rows_done / 20, abs=0.05) for item in seen]


@pytest.mark.timing
def test_run_async_leaves_the_loop_free_and_can_be_cancelled(tmp_path: Path, executor: wasmexec.Executor) -> None:
    step = make_step(tmp_path, "await sleep(0.5)\nreturn INPUT_DATA")

    async def main() -> tuple[Any, ...]:
        first, second = await asyncio.gather(
            step.run_async(ROWS, executor=executor), step.run_async([{"id": 9}], executor=executor)
        )
        slow = make_step(tmp_path, "await sleep(60)\nreturn []")
        task = asyncio.create_task(slow.run_async(ROWS, executor=executor))
        await asyncio.sleep(0.3)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return first.rows, second.rows, time.monotonic() - started

    first, second, seconds = asyncio.run(main())
    assert (first, second) == (ROWS, [{"id": 9}])
    assert seconds < 10


def test_long_inputs_run_in_worker_processes_with_the_same_outcome(
    tmp_path: Path, executor: wasmexec.Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEP_TOKEN", "tok-0815-Jm4Xq9zR")
    statement = """
    number = INPUT_DATA[0]["id"]
    if number == 1111:
        log.error("it is " + LocalVariable.Token)
        raise KeyError(LocalVariable.Token)
    if number % 100 == 0:
        log.warn(number)
    return [{"id": number, "big": 2**70 + number + len(INPUT_DATA2) + (LocalVariable.Bound == "tok-0815-Jm4Xq9zR")}]
    """
    columns = "  - {name: id, type: integer}\n  - {name: big, type: integer}\n"
    step = make_step(
        tmp_path, statement, columns=columns, on_row_error="skip",
        secrets="{Token: {env: STEP_TOKEN}, Bound: {env: STEP_TOKEN, hosts: [a.example.com], also_in: [body]}}",
    )  # fmt: skip
    rows = ({"id": number} for number in range(1200))
    result = step.run(rows, extra_inputs=[[{}, {}]], executor=executor, processes=2)
    assert [row["id"] for row in result.rows] == [number for number in range(1200) if number != 1111]
    assert result.rows[-1]["big"] == 2**70 + 1199 + 2
    [failure] = result.failures
    assert (failure.row, failure.status, failure.error.message) == (1111, 300, "KeyError: '***' (line 4)")
    assert isinstance(failure.error, wasmexec.StatementRaised)
    assert [(item.row, item.record.message) for item in result.logs if item.row != 1111] == [
        (number, str(number)) for number in range(0, 1200, 100)
    ]
    assert result.executions == 1200


def test_a_worker_process_that_dies_costs_its_rows_and_is_replaced(tmp_path: Path, executor: wasmexec.Executor) -> None:
    import psutil

    killed: list[int] = []
    others = set(psutil.Process(os.getpid()).children())

    def kill(progress: Progress) -> None:
        """One that has handed results over is stopped, so that it keeps the rows it is given, and killed soon."""
        for child in psutil.Process(os.getpid()).children() if not killed else ():
            if child not in others and child.io_counters().write_chars > 4096:
                killed.append(child.pid)
                child.suspend()
                threading.Timer(0.5, child.kill).start()
                return

    given: list[int] = []

    def rows() -> Iterator[dict[str, int]]:
        """Until one is killed, and for a while after that."""
        left = 1000
        while left and len(given) < 50_000:
            left -= bool(killed)
            given.append(len(given))
            yield {"id": given[-1]}

    step = make_step(tmp_path, "await sleep(0.2)\nreturn INPUT_DATA", on_row_error="skip", concurrency="64")
    result = step.run(rows(), executor=executor, processes=2, on_progress=kill)
    assert killed
    assert result.rows_in == len(given)
    assert result.rows_out + result.rows_failed == len(given)
    assert 0 < result.rows_failed <= 128
    assert {failure.status for failure in result.failures} == {Status.RUNTIME_FAILED}
    lost = {failure.row for failure in result.failures}
    assert [row["id"] for row in result.rows] == [number for number in given if number not in lost]


class Rows:
    """An output that remembers what happened to it."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.delivered = self.discarded = False

    def write(self, rows: Any, source_row: int | None) -> None:
        self.rows += rows

    def commit(self) -> None:
        self.delivered = True

    def discard(self) -> None:
        self.discarded = True
