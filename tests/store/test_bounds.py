"""Everything that is stored has a bound: just under it goes in, just over it is refused, cut or counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wasmexec import ConfigError, LogRecord, OutputError, StatementRaised, Status
from wasmexec.store import Advance, RowError, RunHandle, RunStore, StoreBounds, StoreLimitError

LINES = [LogRecord(0.0, "info", "0123456789") for _ in range(4)]


def begin(url: str, **bounds: int) -> tuple[RunStore, RunHandle]:
    store = RunStore.open(url, bounds=StoreBounds(**bounds))
    return store, store.begin_run("s")


def test_a_checkpoint_that_is_too_large_is_refused_and_the_run_goes_on(url: str) -> None:
    store, run = begin(url, checkpoint_bytes=12)
    with store, pytest.raises(StoreLimitError) as caught:
        store.finish(run, status=Status.FINISHED, logs=LINES, advance=Advance("x" * 11))
    error = caught.value
    assert error.message == "the checkpoint is too large for the run store: 13, at most 12"
    assert (error.what, error.limit, error.used) == ("the checkpoint", 12, 13)
    with store:
        assert (store.get_run(run.run_id).state, store.get_run(run.run_id).log_records) == ("running", 0)
        with pytest.raises(StoreLimitError):
            store.set_checkpoint("s", "é" * 6)
        assert store.finish(run, status=Status.FINISHED, advance=Advance("é" * 5)).checkpoint_after == "ééééé"


@pytest.mark.parametrize(
    ("bound", "what", "argument"),
    [("definition_bytes", "the definition", "definition"), ("attributes_bytes", "attributes", "attributes")],
)
def test_what_begins_a_run_is_refused_if_too_large(url: str, bound: str, what: str, argument: str) -> None:
    def value(size: int) -> Any:
        return "x" * size if argument == "definition" else {"a": "x" * (size - 8)}

    with RunStore.open(url, bounds=StoreBounds(**{bound: 100})) as store:
        with pytest.raises(StoreLimitError, match=rf"^{what} is too large for the run store: 101, at most 100$"):
            store.begin_run("s", **{argument: value(101)})
        assert store.runs("s").runs == ()
        store.begin_run("s", **{argument: value(100)})


def test_local_variables_are_refused_if_too_large(url: str) -> None:
    store, run = begin(url, local_variables_bytes=10)
    with store:
        with pytest.raises(StoreLimitError, match=r"^local variables is too large for the run store: 11, at most 10$"):
            store.finish(run, status=Status.FINISHED, local_variables={"a": 12345})
        assert store.finish(run, status=Status.FINISHED, local_variables={"a": 1234}).local_variables == {"a": 1234}


@pytest.mark.parametrize("bounds", [{"log_records": 6}, {"log_bytes": 60}, {"log_bytes": 69}])
def test_logs_beyond_the_bound_are_counted(url: str, bounds: dict[str, int]) -> None:
    store, run = begin(url, **bounds)
    with store:
        store.append_logs(run, LINES)
        assert store.get_run(run.run_id).log_dropped == 0
        record = store.finish(run, status=Status.FINISHED, logs=LINES, log_dropped=5)
        assert (record.log_records, record.log_dropped) == (6, 7)
        assert len(store.logs(run.run_id).records) == 6


@pytest.mark.parametrize("bounds", [{"log_records": 4}, {"log_bytes": 40}])
def test_a_full_log_still_takes_warnings_and_errors_within_its_reserve(url: str, bounds: dict[str, int]) -> None:
    store, run = begin(url, **bounds)
    with store:
        store.append_logs(run, [*LINES, *LINES, LogRecord(0.0, "warn", "w" * 5_000)])
        store.append_logs(run, [LogRecord(0.0, "warn", f"w{number}") for number in range(2_000)])
        store.append_logs(run, [LogRecord(0.0, "error", "e" * 4_096) for _ in range(300)])
        record = store.finish(run, status=Status.FINISHED_WITH_ERRORS, logs=LINES)
        page = store.logs(run.run_id, limit=5_000, min_level="warn").records
        assert [len(item.message) for item in page[:2]] == [4_096 - len(" … [cut]".encode()) + len(" … [cut]"), 2]
        errors = [item for item in page if item.level == "error"]
        assert 100 <= len(errors) <= 200
        assert {len(item.message) for item in errors[:-1]} == {4_096}
        assert record.log_records == 4 + len(page)
        assert record.log_dropped == 4 + 1 + 2_000 + 300 + 4 - len(page)


def test_a_long_log_message_is_cut_and_says_so(url: str) -> None:
    store, run = begin(url, log_message_bytes=20)
    with store:
        store.finish(run, status=Status.FINISHED, logs=[LogRecord(0, "info", "x" * size) for size in (20, 21)])
        messages = [log.message for log in store.logs(run.run_id).records]
    assert messages == ["x" * 20, "x" * 10 + " … [cut]"]
    assert len(messages[1].encode()) == 20


def test_warnings_beyond_the_bound_are_counted(url: str) -> None:
    store, run = begin(url, warnings=3, warning_bytes=12)
    with store:
        record = store.finish(run, status=Status.FINISHED, warnings=["a", "b", "c"])
        assert record.warnings == ("a", "b", "c")
        record = store.finish(store.begin_run("s"), status=Status.FINISHED, warnings=["a" * 13, "b", "c", "d", "e"])
        assert record.warnings == ("aa … [cut]", "b", "… and 3 more warnings")


def test_the_longest_texts_of_an_error_are_cut(url: str) -> None:
    store, run = begin(url, error_bytes=4096)
    with store:
        fits = StatementRaised("E", "m", "t" * 3000, 7)
        assert store.finish(run, status=Status.STATEMENT_RAISED, error=fits).error == {
            "type": "StatementRaised", "message": fits.message, **fits.fields(),
        }  # fmt: skip
        large = StatementRaised("E", "m" * 1000, "t" * 100_000, 7)
        error = store.finish(store.begin_run("s"), status=Status.STATEMENT_RAISED, error=large).error
    assert error is not None
    assert len(json.dumps(error)) <= 4096
    assert (error["type"], error["type_name"], error["line"]) == ("StatementRaised", "E", 7)
    assert error["traceback"].startswith("ttt")
    assert error["traceback"].endswith(" … [cut]")


def test_row_errors_beyond_the_bound_are_counted(url: str) -> None:
    store, run = begin(url, row_errors=3)
    refused = OutputError("/0/a", "type", "1", "no text")
    error = {"type": "OutputError", "message": refused.message, **refused.fields(), "nan": float("nan")}
    with store:
        for _ in range(2):
            store.append_row_errors(run, [RowError(row=n, status=Status.OUTPUT_REFUSED, error=error) for n in (1, 2)])
        record = store.finish(run, status=Status.FINISHED, rows_failed=4)
        assert (record.row_errors, record.row_errors_dropped) == (3, 1)
        errors = store.row_errors(run.run_id).errors
    assert [(item.row, item.error) for item in errors] == [(n, {**error, "nan": "nan"}) for n in (1, 2, 1)]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("log_records", 0, "store bounds: log_records must be from 1 to 1,099,511,627,776, not 0"),
        ("error_bytes", 4095, "store bounds: error_bytes must be from 4,096 to 536,870,912, not 4,095"),
        (
            "checkpoint_bytes",
            2**40,
            "store bounds: checkpoint_bytes must be from 1 to 536,870,912, not 1,099,511,627,776",
        ),
        ("warnings", True, "store bounds: warnings must be a whole number, not bool"),
        ("output_bytes", 1.5, "store bounds: output_bytes must be a whole number, not float"),
    ],
)
def test_a_bound_is_checked(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        StoreBounds(**{name: value})
    assert caught.value.message == message
